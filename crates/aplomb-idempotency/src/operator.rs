//! What an operator may ask of a store: to list, to resolve, to purge, and who did.

mod desk;

use std::sync::Arc;
use std::time::Duration;

use crate::record::{Fence, Keep, Record, State, Timestamp};
use crate::{RecordId, Scope, StoredAnswer};

pub use desk::{AUDIT, Operator};

/// Which records to list.
///
/// ```
/// use aplomb_idempotency::operator::{Action, AuditEntry, Listing, Note, Operator, Purge, Which};
/// use aplomb_idempotency::{MalformedReference, MemoryStore, RecordId, Scope, Store, StoreError};
///
/// async fn forget(store: MemoryStore, caller: Scope) -> Result<Vec<AuditEntry>, StoreError> {
///     let which = Which::Of(caller.clone());
///     let listed = store.list(&Listing { which, after: None, most: 100 }).await?;
///     let ada = Operator::new(store, "ada");
///     ada.purge(&Purge::Of(caller), "she asked for it").await?;
///     let lines = ada.audit(None, 100).await?;
///     assert!(lines.len() <= listed.len() && lines.iter().all(|line| line.action == Action::Purged));
///     assert!(lines.iter().all(|line| line.note == Note::new("ada", "she asked for it")));
///     Ok(lines)
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// assert!(forget(MemoryStore::new(), Scope::Global("public".into())).await.unwrap().is_empty());
/// # });
/// let wrong: Result<RecordId, MalformedReference> = "no reference".parse();
/// assert!(wrong.is_err());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "which, from where, how many")]
pub struct Listing {
    /// Which.
    pub which: Which,
    /// Only those whose [`RecordId`] is greater: where the page before ended.
    pub after: Option<RecordId>,
    /// How many at most. A page with fewer is the last.
    pub most: usize,
}

/// The records that operators ask for.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "stores must list each of them")]
pub enum Which {
    /// What nobody but an operator ends: unknown outcomes, and claims whose lease has ended.
    Stuck,
    /// A caller's, in any state.
    Of(Scope),
}

impl Which {
    /// Whether a record is meant, at the store's own `now`.
    pub fn holds(&self, record: &Record, now: Timestamp) -> bool {
        match (self, &record.state) {
            (Self::Of(scope), _) => record.identity.scope == *scope,
            (Self::Stuck, State::Unknown { .. }) => true,
            (Self::Stuck, State::Started(started)) => started.has_lapsed(now),
            (Self::Stuck, _) => false,
        }
    }
}

/// What an operator found out about a key in doubt.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "it was carried out or it was not")]
pub enum Resolution {
    /// The work was done: this answer is replayed from now on.
    Applied {
        /// What the caller is told.
        answer: StoredAnswer,
        /// For how long.
        keep: Keep,
    },
    /// The work was not done: the key may run again.
    ///
    /// Say so once *every* process that ever had the key is known to be gone. One that was only
    /// stopped, an earlier one too, may still do the work after its claim is lost, unless the
    /// record lies in the work's own transaction.
    NotApplied {
        /// How long it is remembered that there was a claim.
        keep: Duration,
    },
}

impl Resolution {
    /// Its word in the audit.
    pub const fn action(&self) -> Action {
        match self {
            Self::Applied { .. } => Action::ResolvedApplied,
            Self::NotApplied { .. } => Action::ResolvedNotApplied,
        }
    }

    /// Whether `state` is what this resolution of that claim has made.
    pub(crate) fn made(&self, state: &State, fence: Fence) -> bool {
        match (self, state) {
            (Self::Applied { answer, .. }, State::Completed { fence: by, answer: made, .. }) => {
                *by == fence && answer == made
            }
            (Self::NotApplied { .. }, State::Released { fence: by, .. }) => *by == fence,
            _ => false,
        }
    }
}

/// Whose answers to erase.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "stores must purge each of them")]
pub enum Purge {
    /// One key's.
    Key(RecordId),
    /// All of a caller's.
    Of(Scope),
}

/// Who asks, and why: written beside the change it explains.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "who and why")]
pub struct Note {
    /// The operator's name.
    pub by: Arc<str>,
    /// The reason, for whoever reads the audit later.
    pub why: Arc<str>,
}

impl Note {
    /// A note by someone, for a reason; both are cut to [`NOTE_MAX`] characters.
    pub fn new(by: &str, why: &str) -> Self {
        let cut = |text: &str| text.chars().take(NOTE_MAX).collect::<String>().into();
        Self { by: cut(by), why: cut(why) }
    }
}

/// What an operator did to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "stores must write every action")]
pub enum Action {
    /// Said that the work was done.
    ResolvedApplied,
    /// Said that it was not.
    ResolvedNotApplied,
    /// Erased the answer.
    Purged,
}

impl Action {
    /// Its word in a store's column and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ResolvedApplied => "resolved_applied",
            Self::ResolvedNotApplied => "resolved_not_applied",
            Self::Purged => "purged",
        }
    }

    /// The action of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::ResolvedApplied, Self::ResolvedNotApplied, Self::Purged];
        all.into_iter().find(|action| action.as_str() == word)
    }
}

/// One line of the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "when, who, why, what, to which")]
pub struct AuditEntry {
    /// When, on the store's clock.
    pub at: Timestamp,
    /// Who and why.
    pub note: Note,
    /// What was done.
    pub action: Action,
    /// To which record.
    pub id: RecordId,
    /// To which claim of it.
    pub fence: Fence,
}

/// How many characters a name or a reason has at most.
pub const NOTE_MAX: usize = 500;
