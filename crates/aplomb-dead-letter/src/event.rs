use std::time::Duration;

use aplomb_core::FailureKind;

use crate::Cause;
use crate::machine::Refused;

/// What the layer, or a redriver, did.
///
/// ```
/// use aplomb_dead_letter::{DeadLetterEvent, DeadLetterLayer, Lacks, MemorySink};
///
/// let layer = DeadLetterLayer::new(MemorySink::new()).observe(|event: &DeadLetterEvent| match event {
///     DeadLetterEvent::Misused { lacks: Lacks::Key } => println!("give it a key, or lose it"),
///     other => println!("{}", other.as_str()),
/// });
/// # let _ = layer;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeadLetterEvent {
    /// A request passed that the layer is not for.
    Misused {
        /// What it lacks.
        lacks: Lacks,
    },
    /// A job goes back to its queue.
    Rescheduled {
        /// How it failed; `None` when it was refused or held back.
        kind: Option<FailureKind>,
        /// How long it waits.
        wait: Duration,
    },
    /// A letter was stored.
    Stored {
        /// Why it was written.
        cause: Cause,
    },
    /// A letter was handed to whoever keeps the queue.
    HandedOver {
        /// Why it was written.
        cause: Cause,
    },
    /// The sink failed: the caller keeps its request.
    NotStored,
    /// A job that had failed before was done from its queue.
    Retracted,
    /// A letter is being sent again.
    Redriving,
    /// A letter arrived.
    Redelivered,
    /// A letter that was sent again failed.
    FailedAgain {
        /// How; `None` when it was refused or held back.
        kind: Option<FailureKind>,
    },
    /// A letter was not sent, because of the rules.
    Refused {
        /// Why.
        why: Refused,
    },
    /// A letter was not sent, because the retry budget is empty.
    BudgetEmpty,
    /// A letter was discarded.
    Discarded,
}

impl DeadLetterEvent {
    /// A word for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Misused { .. } => "misused",
            Self::Rescheduled { .. } => "rescheduled",
            Self::Stored { .. } => "stored",
            Self::HandedOver { .. } => "handed_over",
            Self::NotStored => "not_stored",
            Self::Retracted => "retracted",
            Self::Redriving => "redriving",
            Self::Redelivered => "redelivered",
            Self::FailedAgain { .. } => "failed_again",
            Self::Refused { .. } => "refused",
            Self::BudgetEmpty => "budget_empty",
            Self::Discarded => "discarded",
        }
    }
}

/// What a request lacks for which no letter is ever written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "it needs both")]
pub enum Lacks {
    /// Somebody waits for it: its class is not `Deferred`.
    Deferral,
    /// It has no `Idempotency-Key`, or more than one: sent again, it might be done twice.
    Key,
}
