//! What a call that ended says about its dependency.

use std::time::Duration;

use aplomb_core::{Failure, FailureKind, Outcome, Pushback};

use crate::trip::Trip;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a future ends, is dropped, or panics")]
pub enum Ended {
    /// With an answer or an error, which means this.
    With(Outcome),
    /// Its caller gave it up.
    Dropped,
    /// The service panicked.
    Panicked,
}

/// What a call that ended says about the dependency.
#[derive(Clone, Copy)]
pub(crate) enum Vote {
    None,
    Passed { slow: bool },
    Failed { failure: Failure, slow: bool },
}

impl Vote {
    pub(crate) fn of(ended: Ended, trip: &Trip, took: impl FnOnce() -> Duration) -> Self {
        match ended {
            Ended::With(Outcome::Success) => {
                Self::Passed { slow: trip.counts_slow() && trip.is_slow(took()) }
            }
            Ended::With(Outcome::Neutral) => Self::None,
            Ended::With(Outcome::Failure(failure)) => Self::of_failure(failure, trip, took()),
            Ended::Dropped => {
                let took = took();
                if !trip.is_slow(took) {
                    return Self::None;
                }
                Self::of_failure(Failure::new(FailureKind::Timeout), trip, took)
            }
            Ended::Panicked => Self::of_failure(Failure::new(FailureKind::Transient), trip, took()),
        }
    }

    /// A key in flight elsewhere says nothing about the dependency, nor does a call that a layer
    /// inside held back.
    fn of_failure(failure: Failure, trip: &Trip, took: Duration) -> Self {
        if failure.held_back || failure.kind == FailureKind::Pending {
            return Self::None;
        }
        Self::Failed { failure, slow: trip.counts_slow() && trip.is_slow(took) }
    }

    pub(crate) fn pushback(self) -> Pushback {
        match self {
            Self::Failed { failure, .. } => failure.pushback,
            _ => Pushback::None,
        }
    }
}
