use std::time::Duration;

use aplomb_core::{Condition, DegradedKind};

/// What a fallback did, or under [observation](crate::FallbackLayer::observe_only) would have done.
///
/// ```
/// use aplomb_core::Condition;
/// use aplomb_fallback::{FallbackEvent, Unanswered};
///
/// fn tell(event: &FallbackEvent) -> String {
///     match event {
///         FallbackEvent::Used { age: Some(age), .. } => format!("an answer that was good {age:?} ago"),
///         FallbackEvent::Unanswered { why: Unanswered::Late, .. } => "no time was left".to_owned(),
///         other => format!("{other:?}"),
///     }
/// }
/// # let _ = tell;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FallbackEvent {
    /// It answered.
    Used {
        /// Instead of what.
        condition: Condition,
        /// In what way its answer is less; `None` when it is as good.
        kind: Option<DegradedKind>,
        /// How long ago its answer was true, if that is known.
        age: Option<Duration>,
    },
    /// It was to answer and did not: the caller got the original response or error.
    Unanswered {
        /// Instead of what.
        condition: Condition,
        /// Why not.
        why: Unanswered,
    },
    /// A write that may have been acted on kept its own answer.
    Kept {
        /// What the fallback would have been asked for.
        condition: Condition,
    },
    /// It would have been asked.
    WouldAsk {
        /// Instead of what.
        condition: Condition,
    },
}

/// Why a fallback did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unanswered {
    /// It had nothing to say ([`Nothing`](crate::Nothing)).
    Nothing,
    /// It failed, or its answer was a failure.
    Failed,
    /// It took longer than its time slice, or than the caller would wait.
    Late,
    /// As many calls as it may serve at a time were asking it.
    Full,
    /// It was to say that the write is pending, and said something else.
    NotPending,
}

impl Unanswered {
    /// A word for labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Failed => "failed",
            Self::Late => "late",
            Self::Full => "full",
            Self::NotPending => "not_pending",
        }
    }
}
