use std::fmt;
use std::sync::Arc;

use aplomb_core::Observe;

use super::{AuditEntry, Listing, Note, Purge, Resolution, Which};
use crate::seal::{Seal, Sealer};
use crate::{
    Held, IdempotencyEvent, Record, RecordId, Scope, Settled, Store, StoreError, Unsealable,
};

/// What a person does about keys that no machine can decide.
///
/// A caller whose outcome is unknown quotes a reference. Whoever gets it looks the effect up where
/// it would be, and says what was found:
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use aplomb_idempotency::operator::{Operator, Resolution};
/// use aplomb_idempotency::{MemoryStore, RecordId, Settled};
///
/// # async fn f(store: Arc<MemoryStore>, reference: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let operator = Operator::new(store, "ada");
/// let id: RecordId = reference.parse()?;
/// let Some(record) = operator.show(id).await? else { return Ok(()) };
/// let not_applied = Resolution::NotApplied { keep: Duration::from_secs(3600) };
/// let resolved = operator.resolve(record.held(), not_applied, "no such transfer").await?;
/// assert_eq!(resolved, Settled::Done);
/// # Ok(())
/// # }
/// ```
///
/// Each change is written into the store's audit in the same step, told to the observer, and said
/// in a `tracing` event of the target `aplomb_idempotency::audit`: who, why, what, to which record.
/// Neither names a key or shows an answer.
///
/// All methods may be repeated after an error; so may a future that was dropped. Whether such a
/// change was made, the audit says.
pub struct Operator<St, O = ()> {
    store: St,
    name: Arc<str>,
    sealer: Sealer,
    observer: O,
}

impl<St: Store> Operator<St> {
    /// Acts on `store` in the name of someone.
    pub fn new(store: St, name: impl Into<Arc<str>>) -> Self {
        Self { store, name: name.into(), sealer: Sealer::default(), observer: () }
    }
}

impl<St: Store, O: Observe<IdempotencyEvent>> Operator<St, O> {
    /// Seals the answers that it records, as the layer does.
    #[must_use]
    pub fn seal(mut self, seal: impl Seal) -> Self {
        self.sealer = Sealer::new(seal);
        self
    }

    /// Tells `observer` of each change.
    #[must_use]
    pub fn observe<P: Observe<IdempotencyEvent>>(self, observer: P) -> Operator<St, P> {
        let Self { store, name, sealer, .. } = self;
        Operator { store, name, sealer, observer }
    }

    /// Unknown outcomes, and claims whose lease has ended: up to `most` after the one that the page
    /// before ended with.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store failed.
    pub async fn stuck(
        &self,
        after: Option<RecordId>,
        most: usize,
    ) -> Result<Vec<Record>, StoreError> {
        self.store.list(&Listing { which: Which::Stuck, after, most }).await
    }

    /// A caller's records, likewise.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store failed.
    pub async fn of(
        &self,
        scope: Scope,
        after: Option<RecordId>,
        most: usize,
    ) -> Result<Vec<Record>, StoreError> {
        self.store.list(&Listing { which: Which::Of(scope), after, most }).await
    }

    /// What is known of a key. Its answer is shown as the store has it: sealed, where it is.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store failed.
    pub async fn show(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        self.store.get(id).await
    }

    /// The answer of a completed record, opened.
    ///
    /// # Errors
    ///
    /// [`Unsealable`] when this operator's seal is not the one that it was sealed with.
    pub fn open(&self, record: Record) -> Result<Record, Unsealable> {
        self.sealer.open_record(record)
    }

    /// Ends a doubt. `held` is the claim of the record that was looked at, so that what has changed
    /// since is not resolved by mistake: then it is [`Settled::Lost`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store failed.
    pub async fn resolve(
        &self,
        held: Held,
        resolution: Resolution,
        why: &str,
    ) -> Result<Settled, StoreError> {
        let (note, action) = (Note::new(&self.name, why), resolution.action());
        let resolution = match resolution {
            Resolution::Applied { answer, keep } => {
                Resolution::Applied { answer: self.sealer.seal(held.id, answer), keep }
            }
            not_applied @ Resolution::NotApplied { .. } => not_applied,
        };
        let settled = self.store.resolve(held, &resolution, &note).await?;
        if settled == Settled::Done {
            let (id, fence, action) = (held.id, held.fence.get(), action.as_str());
            let Note { by, why } = &note;
            tracing::info!(target: AUDIT, %by, %why, action, %id, fence, "resolved a doubt");
            self.observer.observe(&IdempotencyEvent::Resolved);
        }
        Ok(settled)
    }

    /// Erases answers, and says how many. Their keys stay used.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store failed; what was erased until then stays erased.
    pub async fn purge(&self, purge: &Purge, why: &str) -> Result<usize, StoreError> {
        let note = Note::new(&self.name, why);
        let mut erased = 0;
        let failed = loop {
            match self.store.purge(purge, &note, PURGED_AT_ONCE).await {
                Ok(some) => {
                    erased += some;
                    if some < PURGED_AT_ONCE {
                        break None;
                    }
                }
                Err(error) => break Some(error),
            }
        };
        if erased > 0 {
            let of = match purge {
                Purge::Key(id) => id.to_string(),
                Purge::Of(scope) => format!("all of one {}", scope.kind()),
            };
            let Note { by, why } = &note;
            tracing::info!(target: AUDIT, %by, %why, action = "purged", of, erased, "erased answers");
            self.observer.observe(&IdempotencyEvent::Purged);
        }
        failed.map_or(Ok(erased), Err)
    }

    /// What operators did, newest first: to one record, or to all.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store failed.
    pub async fn audit(
        &self,
        of: Option<RecordId>,
        most: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.store.audit(of, most).await
    }
}

impl<St, O> fmt::Debug for Operator<St, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The target of the events that say what operators did.
pub const AUDIT: &str = "aplomb_idempotency::audit";
/// How many answers are erased in one step of the store.
const PURGED_AT_ONCE: usize = 100;
