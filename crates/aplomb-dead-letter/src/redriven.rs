//! How a redrive can end.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::LastFailure;
use crate::machine::Refused;
use crate::sink::{SinkError, StepError};

/// How a redrive ended.
///
/// ```
/// use aplomb_dead_letter::Redriven;
///
/// fn told(redriven: &Redriven) -> String {
///     match redriven {
///         Redriven::Delivered { .. } => "it arrived".to_owned(),
///         Redriven::StoredAgain { failure, wait } => format!("{failure}; not before {wait:?}"),
///         _ => "look at the letter".to_owned(),
///     }
/// }
/// # let _ = told;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Redriven {
    /// It arrived.
    Delivered {
        /// What the answer's status was.
        status: Option<StatusCode>,
    },
    /// It failed again, and its letter is stored again.
    StoredAgain {
        /// How it failed.
        failure: LastFailure,
        /// How long it is to be left alone.
        wait: Duration,
    },
}

/// A letter was not redriven, or nobody can say how.
#[derive(Debug)]
#[non_exhaustive]
pub enum RedriveError {
    /// It must not be redriven, or somebody else has it.
    Refused(Refused),
    /// The retry budget is empty.
    BudgetEmpty,
    /// The sink failed. It was not sent.
    Sink(SinkError),
    /// It was sent, and that could not be written down.
    Unwritten(Unwritten),
}

impl fmt::Display for RedriveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::BudgetEmpty => {
                f.write_str("the retry budget is empty; redrive when the dependency answers again")
            }
            Self::Sink(error) => error.fmt(f),
            Self::Unwritten(unwritten) => unwritten.fmt(f),
        }
    }
}

impl Error for RedriveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(_) | Self::BudgetEmpty => None,
            Self::Sink(error) => error.source(),
            Self::Unwritten(unwritten) => Some(&unwritten.source),
        }
    }
}

impl From<StepError> for RedriveError {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Refused(refused) => Self::Refused(refused),
            StepError::Sink(error) => Self::Sink(error),
        }
    }
}

impl From<SinkError> for RedriveError {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}

/// A letter was sent again, and the sink could not write the outcome down. When its lease ends, it
/// can be redriven once more: its key keeps the work from being done twice.
///
/// ```
/// use aplomb_core::cause;
/// use aplomb_dead_letter::Unwritten;
///
/// fn was_sent(error: &(dyn std::error::Error + 'static)) -> bool {
///     // The sink did not write it down, and still it went out.
///     cause::<Unwritten>(error).is_some()
/// }
/// assert!(!was_sent(&std::fmt::Error));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Unwritten {
    /// What became of it.
    pub redriven: Redriven,
    pub(crate) source: SinkError,
}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.redriven {
            Redriven::Delivered { .. } => "it arrived",
            Redriven::StoredAgain { .. } => "it failed",
        };
        write!(f, "the letter was sent ({what}), which could not be written down; redrive it later")
    }
}

impl Error for Unwritten {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
