//! Where records lie: the contract of a store, and what its authors need.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::BoxError;
use bytes::Bytes;
use http::Response;

use crate::operator::{AuditEntry, Listing, Note, Purge, Resolution};
use crate::recorded::Mark;
use crate::{Begin, Begun, Claim, Held, Keep, Record, RecordId, Recorded, Settled, StoredAnswer};

/// Keeps records of keys.
///
/// What every store owes its callers:
///
/// - Each method is one step per record: of fifty callers of [`begin`](Self::begin) with one new
///   key, one is given the claim. The rules are those of [`machine`](crate::machine).
/// - Fences grow over the whole store, not per record, so that a claim of a record that was
///   forgotten and made anew can never be mistaken for the old one.
/// - Time is the store's own clock, read inside the step.
/// - `Ok` means durable: it survives what the store says it survives.
/// - An error that [is uncertain](StoreError::is_uncertain) may have happened nevertheless. All
///   methods may then be repeated as they were: `begin` knows its ticket again, the others their
///   fence. What became of the key, [`get`](Self::get) says.
/// - A future that is dropped has the same meaning as an uncertain error.
/// - A claim is never evicted to make room, and neither is an unknown outcome. A store with no room
///   says [`StoreError::full`] to `begin`; any other method may say it too where a store's memory
///   is not its own to manage.
/// - The fence is drawn while the record is held, not before: of two numbers drawn early, the
///   later could be used and forgotten before the earlier is written.
pub trait Store: Send + Sync + 'static {
    /// Asks for a key.
    fn begin(&self, begin: &Begin) -> impl Future<Output = Result<Begun, StoreError>> + Send;

    /// The same at once, for a store that never waits: [`begin`](Self::begin) says the same then. A
    /// store that may have to wait has no answer here, and nothing has happened. Such is the default.
    fn begin_now(&self, _begin: &Begin) -> Option<Result<Begun, StoreError>> {
        None
    }

    /// Holds a claim for `lease` from now.
    fn renew(
        &self,
        held: Held,
        lease: Duration,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;

    /// Records the outcome of a claim, to be kept as `keep` says.
    ///
    /// What is checked is the fence, never the lease's clock: a handler that took longer than its
    /// lease, and that nobody overtook, has a true outcome.
    fn complete(
        &self,
        held: Held,
        answer: &StoredAnswer,
        keep: Keep,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;

    /// Gives a key back because nothing happened under it; how often it was claimed is remembered
    /// for `keep`.
    fn abandon(
        &self,
        held: Held,
        keep: Duration,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;

    /// Records that nobody knows whether the claim's handler had its effect.
    fn mark_unknown(&self, held: Held) -> impl Future<Output = Result<Settled, StoreError>> + Send;

    /// What is known of a key. Records that have expired and are not yet swept may be seen.
    fn get(&self, id: RecordId) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send;

    /// Does what [`machine::expire`](crate::machine::expire) says of up to `most` records that are
    /// [due](crate::State::due), and says how many they were. Several processes may sweep at once.
    fn sweep(&self, most: usize) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Records for an operator, in the order of their ids.
    fn list(
        &self,
        listing: &Listing,
    ) -> impl Future<Output = Result<Vec<Record>, StoreError>> + Send;

    /// Ends a doubt as [`machine::resolve`](crate::machine::resolve) says, and writes `note` into
    /// the audit in the same step; a repeated step writes it once.
    fn resolve(
        &self,
        held: Held,
        resolution: &Resolution,
        note: &Note,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;

    /// Erases answers as [`machine::purge`](crate::machine::purge) says, up to `most`, writes
    /// `note` into the audit for each in the same step, and says how many.
    fn purge(
        &self,
        purge: &Purge,
        note: &Note,
        most: usize,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// What operators did, newest first: to one record, or to all.
    fn audit(
        &self,
        of: Option<RecordId>,
        most: usize,
    ) -> impl Future<Output = Result<Vec<AuditEntry>, StoreError>> + Send;
}

/// A store that is shared, by several layers or by a layer and an operator's page.
impl<S: Store> Store for Arc<S> {
    async fn begin(&self, begin: &Begin) -> Result<Begun, StoreError> {
        (**self).begin(begin).await
    }

    fn begin_now(&self, begin: &Begin) -> Option<Result<Begun, StoreError>> {
        (**self).begin_now(begin)
    }

    async fn renew(&self, held: Held, lease: Duration) -> Result<Settled, StoreError> {
        (**self).renew(held, lease).await
    }

    async fn complete(
        &self,
        held: Held,
        answer: &StoredAnswer,
        keep: Keep,
    ) -> Result<Settled, StoreError> {
        (**self).complete(held, answer, keep).await
    }

    async fn abandon(&self, held: Held, keep: Duration) -> Result<Settled, StoreError> {
        (**self).abandon(held, keep).await
    }

    async fn mark_unknown(&self, held: Held) -> Result<Settled, StoreError> {
        (**self).mark_unknown(held).await
    }

    async fn get(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        (**self).get(id).await
    }

    async fn sweep(&self, most: usize) -> Result<usize, StoreError> {
        (**self).sweep(most).await
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>, StoreError> {
        (**self).list(listing).await
    }

    async fn resolve(
        &self,
        held: Held,
        resolution: &Resolution,
        note: &Note,
    ) -> Result<Settled, StoreError> {
        (**self).resolve(held, resolution, note).await
    }

    async fn purge(&self, purge: &Purge, note: &Note, most: usize) -> Result<usize, StoreError> {
        (**self).purge(purge, note, most).await
    }

    async fn audit(
        &self,
        of: Option<RecordId>,
        most: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        (**self).audit(of, most).await
    }
}

/// A store did not do what it was asked.
///
/// ```
/// use aplomb_idempotency::StoreError;
///
/// assert!(StoreError::full().is_full());
/// // Whether it was carried out is unknown: it may be repeated as it was.
/// assert!(StoreError::uncertain("the connection broke").is_uncertain());
/// ```
#[derive(Debug)]
pub struct StoreError {
    kind: Kind,
    source: Option<BoxError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unavailable,
    Uncertain,
    Full,
    Corrupt,
}

impl StoreError {
    /// It cannot be reached, and nothing was done.
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        Self::because(Kind::Unavailable, source)
    }

    /// Its answer was lost: what was asked may have been done.
    pub fn uncertain(source: impl Into<BoxError>) -> Self {
        Self::because(Kind::Uncertain, source)
    }

    /// It has no room for another key.
    pub const fn full() -> Self {
        Self { kind: Kind::Full, source: None }
    }

    /// It holds something that this version cannot read.
    pub fn corrupt(source: impl Into<BoxError>) -> Self {
        Self::because(Kind::Corrupt, source)
    }

    /// Whether what was asked may have been done.
    pub fn is_uncertain(&self) -> bool {
        self.kind == Kind::Uncertain
    }

    /// Whether it had no room.
    pub fn is_full(&self) -> bool {
        self.kind == Kind::Full
    }

    /// Whether it holds something that cannot be read: asking again does not help.
    pub fn is_corrupt(&self) -> bool {
        self.kind == Kind::Corrupt
    }

    fn because(kind: Kind, source: impl Into<BoxError>) -> Self {
        Self { kind, source: Some(source.into()) }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Unavailable => "the idempotency store cannot be reached",
            Kind::Uncertain => "the idempotency store's answer was lost; read the record again",
            Kind::Full => "the idempotency store is full; raise its bounds or keep keys shorter",
            Kind::Corrupt => "the idempotency store holds a record that cannot be read",
        })
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}

/// Whether the transaction that a record was written in has been committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it has or it has not")]
pub enum Commit {
    /// It has.
    Done,
    /// Its owner will, or will not: the layer reads the record again before it answers.
    Pending,
}

/// For stores alone: an answer that is now the record of `claim`.
///
/// Whoever calls this promises that the record was completed under the claim's fence, in a
/// transaction that stands as `commit` says. A handler that calls it to get around its store loses
/// what the type is there for.
///
/// ```
/// use aplomb_idempotency::store::{Commit, recorded};
/// use aplomb_idempotency::{Claim, CompleteError, Recorded};
///
/// /// What a store's `complete_in` ends with, when the row was written and is yet to be committed.
/// fn written(claim: &Claim, answer: http::Response<bytes::Bytes>, rows: u64)
///     -> Result<Recorded, CompleteError>
/// {
///     match rows {
///         0 => Err(CompleteError::Lost),
///         _ => Ok(recorded(claim, answer, Commit::Pending)),
///     }
/// }
/// # let _ = written;
/// ```
pub fn recorded(claim: &Claim, response: Response<Bytes>, commit: Commit) -> Recorded {
    let mark = Mark { fence: claim.fence(), commit };
    Recorded::new(response, mark)
}
