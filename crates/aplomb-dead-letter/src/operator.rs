//! What operators ask of a sink, and what they did.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{LetterId, Timestamp};

/// Who acts, and why: written beside the change that it explains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "who and why")]
pub struct Note {
    /// Whoever acts.
    pub by: Box<str>,
    /// The reason, for whoever reads the audit later.
    pub why: Box<str>,
}

impl Note {
    /// A note by someone, for a reason; both are cut to [`NOTE_MAX`] characters.
    pub fn new(by: &str, why: &str) -> Self {
        // No text column of Postgres holds a NUL.
        let cut = |text: &str| {
            text.chars().filter(|&c| c != '\0').take(NOTE_MAX).collect::<String>().into()
        };
        Self { by: cut(by), why: cut(why) }
    }
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "stores must write every action")]
pub enum Action {
    /// It was stored once more after it had been discarded: its work was asked for again.
    Reopened,
    /// Somebody began to send it.
    Redriven,
    /// It arrived.
    Delivered,
    /// It failed again.
    Failed,
    /// It was not sent after all.
    Released,
    /// It was discarded.
    Discarded,
}

impl Action {
    /// Its word in columns and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reopened => "reopened",
            Self::Redriven => "redriven",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Released => "released",
            Self::Discarded => "discarded",
        }
    }

    /// The action of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        ALL.into_iter().find(|action| action.as_str() == word)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One line of the audit.
///
/// ```
/// use aplomb_dead_letter::{AuditEntry, Listing, MemorySink, Sink, SinkError, Which};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), SinkError> {
/// let sink = MemorySink::new();
/// let ended = sink.list(&Listing { which: Which::Ended, ..Listing::dead(100) }).await?;
/// let lines: Vec<AuditEntry> = sink.audit(None, 100).await?;
/// assert!(ended.is_empty() && lines.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "when, who, why, what, to which, how")]
pub struct AuditEntry {
    /// When, on the sink's clock.
    pub at: Timestamp,
    /// Who and why.
    pub note: Note,
    /// What was done.
    pub action: Action,
    /// To which letter.
    pub id: LetterId,
    /// In which of its redrives, 0 for what is none.
    pub fence: u64,
    /// The outcome in words, such as the failure of a redrive.
    pub outcome: Box<str>,
}

/// Which letters to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "which, from where, how many")]
pub struct Listing {
    /// Which.
    pub which: Which,
    /// Only those whose id is greater: where the page before ended.
    pub after: Option<LetterId>,
    /// How many at most. A page with fewer is the last.
    pub most: usize,
}

impl Listing {
    /// The first page of the letters that somebody has to look at.
    pub const fn dead(most: usize) -> Self {
        Self { which: Which::Dead, after: None, most }
    }
}

/// The letters that operators ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "stores must list each of them")]
pub enum Which {
    /// Stored, or being redriven.
    Dead,
    /// Delivered or discarded.
    Ended,
    /// All of them.
    All,
}

const ALL: [Action; 6] = [
    Action::Reopened,
    Action::Redriven,
    Action::Delivered,
    Action::Failed,
    Action::Released,
    Action::Discarded,
];
/// How many characters a name or a reason has at most.
pub const NOTE_MAX: usize = 500;
