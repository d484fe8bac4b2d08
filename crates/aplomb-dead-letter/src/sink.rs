//! Where letters lie: the contract of a sink, and how it can fail.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::BoxError;

use crate::machine::{Refused, Step};
use crate::operator::{AuditEntry, Listing};
use crate::{Letter, LetterId, Record};

/// Keeps letters.
///
/// What every sink owes its callers:
///
/// - Each method is one step per letter, by the rules of [`machine`](crate::machine), at the sink's
///   own clock. Of two operators who press at once, one is given the claim.
/// - `Ok` means kept, as durably as the sink says.
/// - An error that [is uncertain](SinkError::is_uncertain) may have happened nevertheless, and so
///   may what a dropped future was doing. Storing and settling may be repeated as they were.
/// - A letter that has not ended is never given up to make room. A sink with no room says
///   [`SinkError::full`], and the caller keeps its request.
/// - A change and its line of the audit are one step.
/// - Fences grow over the whole sink, so that a redrive of a letter that was forgotten and stored
///   anew can never be mistaken for the old one.
pub trait Sink: Send + Sync + 'static {
    /// Stores a letter.
    fn store(&self, letter: &Letter) -> impl Future<Output = Result<Stored, SinkError>> + Send;

    /// Takes a step, and answers with the letter as it is then.
    fn step(
        &self,
        id: LetterId,
        step: &Step,
    ) -> impl Future<Output = Result<Record, StepError>> + Send;

    /// The letter of this id.
    fn get(&self, id: LetterId) -> impl Future<Output = Result<Option<Record>, SinkError>> + Send;

    /// Letters in the order of their ids.
    fn list(
        &self,
        listing: &Listing,
    ) -> impl Future<Output = Result<Vec<Record>, SinkError>> + Send;

    /// What was done, newest first: to one letter, or to all.
    fn audit(
        &self,
        of: Option<LetterId>,
        most: usize,
    ) -> impl Future<Output = Result<Vec<AuditEntry>, SinkError>> + Send;

    /// Forgets up to `most` letters that ended longer than `keep` ago, and says how many. The audit
    /// keeps its lines.
    fn sweep(
        &self,
        keep: Duration,
        most: usize,
    ) -> impl Future<Output = Result<usize, SinkError>> + Send;
}

/// A sink that is shared, by a layer and the page of its operators.
impl<K: Sink> Sink for Arc<K> {
    async fn store(&self, letter: &Letter) -> Result<Stored, SinkError> {
        (**self).store(letter).await
    }

    async fn step(&self, id: LetterId, step: &Step) -> Result<Record, StepError> {
        (**self).step(id, step).await
    }

    async fn get(&self, id: LetterId) -> Result<Option<Record>, SinkError> {
        (**self).get(id).await
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>, SinkError> {
        (**self).list(listing).await
    }

    async fn audit(&self, of: Option<LetterId>, most: usize) -> Result<Vec<AuditEntry>, SinkError> {
        (**self).audit(of, most).await
    }

    async fn sweep(&self, keep: Duration, most: usize) -> Result<usize, SinkError> {
        (**self).sweep(keep, most).await
    }
}

/// What storing a letter did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "it is new or it is there")]
pub enum Stored {
    /// It is new, or was stored once more after it had been discarded.
    New,
    /// It lay there already, or its work was done since. Nothing was changed.
    There,
}

/// A sink did not do what it was asked.
#[derive(Debug)]
pub struct SinkError {
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

impl SinkError {
    /// It cannot be reached, and nothing was done.
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        Self { kind: Kind::Unavailable, source: Some(source.into()) }
    }

    /// Its answer was lost: what was asked may have been done.
    pub fn uncertain(source: impl Into<BoxError>) -> Self {
        Self { kind: Kind::Uncertain, source: Some(source.into()) }
    }

    /// It has no room for another letter.
    pub const fn full() -> Self {
        Self { kind: Kind::Full, source: None }
    }

    /// It holds something that this version cannot read.
    pub fn corrupt(source: impl Into<BoxError>) -> Self {
        Self { kind: Kind::Corrupt, source: Some(source.into()) }
    }

    /// Whether what was asked may have been done.
    pub fn is_uncertain(&self) -> bool {
        self.kind == Kind::Uncertain
    }

    /// Whether it had no room.
    pub fn is_full(&self) -> bool {
        self.kind == Kind::Full
    }
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Unavailable => "the sink of dead letters cannot be reached",
            Kind::Uncertain => "the answer of the sink of dead letters was lost; ask it again",
            Kind::Full => "the sink of dead letters is full; redrive or discard some",
            Kind::Corrupt => "the sink of dead letters holds something that cannot be read",
        })
    }
}

impl Error for SinkError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}

/// A step was not taken: its rules forbid it, or the sink failed.
///
/// ```
/// use aplomb_dead_letter::{SinkError, StepError, Stored};
///
/// fn told(result: Result<Stored, StepError>) -> &'static str {
///     match result {
///         Ok(Stored::New) => "kept",
///         Ok(Stored::There) => "kept before",
///         Err(StepError::Sink(error)) if error.is_uncertain() => "do it once more",
///         Err(_) => "not kept",
///     }
/// }
/// let broken = StepError::Sink(SinkError::uncertain("the connection broke"));
/// assert_eq!(told(Err(broken)), "do it once more");
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "either it must not or it could not be taken")]
pub enum StepError {
    /// It must not be taken.
    Refused(Refused),
    /// It could not be taken.
    Sink(SinkError),
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Sink(error) => error.fmt(f),
        }
    }
}

impl Error for StepError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(_) => None,
            Self::Sink(error) => error.source(),
        }
    }
}

impl From<Refused> for StepError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<SinkError> for StepError {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}
