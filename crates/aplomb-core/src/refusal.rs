use std::error::Error;
use std::fmt;

use crate::{Attempt, BoxError, CallRecord};

/// Why a failed call was not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The failure will not pass by itself.
    Permanent,
    /// The server said not to.
    Told,
    /// The body could not be sent again: over the cap, or a stream nobody kept.
    Body,
    /// Repeating it might do it twice: no key, or no promise that keys are honoured.
    Unsafe,
    /// Another layer or hop owns the retries of this dependency.
    OwnedElsewhere,
    /// All its attempts were used.
    Attempts,
    /// Too little time was left for an attempt to finish, or the server asked for too long a wait.
    Time,
    /// The retry budget was empty.
    Budget,
    /// Our own limit of calls in flight was used up, and waiting for a place once more is of no use.
    Saturated,
}

impl Reason {
    /// Every reason.
    pub const ALL: &[Self] = &[
        Self::Permanent,
        Self::Told,
        Self::Body,
        Self::Unsafe,
        Self::OwnedElsewhere,
        Self::Attempts,
        Self::Time,
        Self::Budget,
        Self::Saturated,
    ];

    /// Whether whoever owned the retries gave up: nobody above should try again.
    pub const fn is_exhaustion(self) -> bool {
        use Reason::{Attempts, Budget, OwnedElsewhere, Time, Told};
        matches!(self, Attempts | Time | Budget | Told | OwnedElsewhere)
    }

    /// A word for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Told => "told",
            Self::Body => "body",
            Self::Unsafe => "unsafe",
            Self::OwnedElsewhere => "owned_elsewhere",
            Self::Attempts => "attempts",
            Self::Time => "time",
            Self::Budget => "budget",
            Self::Saturated => "saturated",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permanent => "the failure is permanent",
            Self::Told => "the server said not to retry",
            Self::Body => "the body cannot be sent again",
            Self::Unsafe => "repeating it might do it twice; give it an idempotency key",
            Self::OwnedElsewhere => "another layer owns its retries",
            Self::Attempts => "all attempts were used",
            Self::Time => "its next attempt would come too late",
            Self::Budget => "the retry budget is empty",
            Self::Saturated => "our own limit of calls in flight is used up",
        })
    }
}

/// Travels with the answer of a call that failed finally: in the response's extensions, or in the
/// error's chain, where [`cause`](crate::cause) finds it.
///
/// Fallback, dead letter and metrics read it without knowing the layer that wrote it.
///
/// ```
/// use aplomb_core::{Attempt, BoxError, NotRetried, Reason, cause};
///
/// let error: BoxError =
///     NotRetried::new(Reason::Budget, Attempt::FIRST).because_of("connection reset");
/// let why = cause::<NotRetried>(&*error).unwrap();
/// assert!(why.reason.is_exhaustion());
/// assert_eq!(why.reason.as_str(), "budget");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotRetried {
    /// Why the retrying ended.
    pub reason: Reason,
    /// The last attempt, counted over all layers that retried the call: those before it were sent
    /// and failed.
    pub attempt: Attempt,
}

impl NotRetried {
    /// A call that ended for `reason` at `attempt`.
    pub const fn new(reason: Reason, attempt: Attempt) -> Self {
        Self { reason, attempt }
    }

    /// Wraps an error so that both it and this can be found by type.
    pub fn because_of(self, error: impl Into<BoxError>) -> BoxError {
        self.recorded(error, None)
    }

    /// Wraps an error with this and with the record of its call.
    pub fn recorded(self, error: impl Into<BoxError>, record: Option<CallRecord>) -> BoxError {
        Box::new(Ended { why: self, record, first: error.into() })
    }
}

impl fmt::Display for NotRetried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not retried after attempt {}: {}", self.attempt, self.reason)
    }
}

impl Error for NotRetried {}

/// A call's own error, with why it was final beside it.
///
/// [`cause`](crate::cause) looks into it.
#[derive(Debug)]
pub(crate) struct Ended {
    why: NotRetried,
    record: Option<CallRecord>,
    first: BoxError,
}

impl Ended {
    /// What stands beside the error, if it is an `E`.
    pub(crate) fn beside<E: Error + 'static>(&self) -> Option<&E> {
        let why: &dyn Error = &self.why;
        let record = self.record.as_ref().map(|record| record as &dyn Error);
        why.downcast_ref().or_else(|| record?.downcast_ref())
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.first, self.why)
    }
}

impl Error for Ended {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause;

    #[test]
    fn both_the_error_and_why_it_was_final_are_found() {
        let why = NotRetried::new(Reason::Budget, Attempt::FIRST);
        let error = why.because_of(std::io::Error::other("reset"));
        assert_eq!(cause::<NotRetried>(&*error), Some(&why));
        assert!(cause::<std::io::Error>(&*error).is_some());
        assert_eq!(
            error.to_string(),
            "reset (not retried after attempt 1: the retry budget is empty)"
        );
    }
}
