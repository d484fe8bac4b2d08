use std::sync::Arc;
use std::time::Duration;

/// What is answered, or done, when retries fail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenExhausted {
    /// A clear failure.
    Fail,
    /// `pending`: the outcome is settled later, with the same key.
    Pending {
        /// For how long the settling goes on.
        horizon: Duration,
    },
    /// The last good answer.
    LastGood {
        /// Younger than this it is shown as it is.
        fresh_for: Duration,
        /// Younger than this it is shown as old; older, never.
        stale_for: Duration,
    },
    /// A poorer answer made here, marked as such.
    Degraded,
    /// Another dependency's answer.
    Call {
        /// Which.
        dependency: Arc<str>,
        /// How long it may take.
        time: Duration,
    },
    /// Kept as a dead letter, for redrive.
    DeadLetter {
        /// For how long it may be redriven, with the same key.
        redrive: Duration,
    },
    /// Dropped, and counted.
    Drop,
}

impl WhenExhausted {
    /// Settled within twelve hours: half of the time that keys are kept by default.
    pub const PENDING: Self = Self::Pending { horizon: Duration::from_secs(12 * 3600) };
    /// Fresh for two seconds, shown as old for half a minute.
    pub const LAST_GOOD: Self =
        Self::LastGood { fresh_for: Duration::from_secs(2), stale_for: Duration::from_secs(30) };
    /// To be redriven within a week: long enough for people to mend what is broken.
    pub const DEAD_LETTER: Self = Self::DeadLetter { redrive: Duration::from_secs(7 * 24 * 3600) };

    /// The word for it in a policy file.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Pending { .. } => "pending",
            Self::LastGood { .. } => "last-good",
            Self::Degraded => "degraded",
            Self::Call { .. } => "call",
            Self::DeadLetter { .. } => "dead-letter",
            Self::Drop => "drop",
        }
    }

    /// How long after its retries a call may still be sent again with the same key.
    pub const fn sent_again_for(&self) -> Duration {
        match self {
            Self::Pending { horizon } => *horizon,
            Self::DeadLetter { redrive } => *redrive,
            _ => Duration::ZERO,
        }
    }
}
