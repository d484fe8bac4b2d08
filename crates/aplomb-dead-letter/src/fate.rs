//! What became of a deferred request, beside its answer.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aplomb_core::{Answer, BoxError, cause};

use crate::error::NotStored;
use crate::{LastFailure, Letter, LetterId, Timestamp};

/// What became of a deferred request, for the queue that its job came from.
///
/// It travels with the answer: in the extensions of a response, in the chain of an error. The answer
/// itself is the one that came from inside, so whoever wants to know more looks at that.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fate {
    /// It was done, although its status alone does not say so.
    Delivered,
    /// Not yet: the job goes back to its queue.
    Reschedule(Reschedule),
    /// It is dead, and its letter is stored: the job can be removed from its queue.
    Buried(LetterId),
    /// It is dead: whoever keeps the queue stores the letter and removes the job in one step.
    HandedOver(Arc<Letter>),
    /// It is dead, or was done after all, and that could not be written down: the job goes back to
    /// its queue.
    NotStored(Reschedule),
}

impl Fate {
    /// What became of a request, by its answer. `None` for an answer that says it all: a success,
    /// and what was no deferred request with a key.
    pub fn of<R: Answer>(result: &Result<R, BoxError>) -> Option<Self> {
        match result {
            Ok(response) => response.extensions().get().cloned(),
            Err(error) => match cause::<NotStored>(&**error) {
                Some(error) => Some(Self::NotStored(error.reschedule.clone())),
                None => cause::<Unfinished>(&**error).map(|unfinished| unfinished.fate.clone()),
            },
        }
    }

    /// Leaves it beside an answer.
    pub(crate) fn beside<R: Answer>(self, result: Result<R, BoxError>) -> Result<R, BoxError> {
        match result {
            Ok(mut response) => {
                response.extensions_mut().insert(self);
                Ok(response)
            }
            Err(first) => Err(Box::new(Unfinished { fate: self, first })),
        }
    }
}

/// The job goes back to its queue and waits there, not in a worker's slot.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reschedule {
    /// How long it waits: the queue adds it to its own clock.
    pub wait: Duration,
    /// The calendar time until which that is, for people.
    pub not_before: SystemTime,
    /// How the request failed.
    pub failure: LastFailure,
    /// How often this round sent it.
    pub attempts: u32,
    /// When this round failed.
    pub failed_at: Timestamp,
}

impl Reschedule {
    /// After a failure at the calendar's `failed_at`, wait for `wait`.
    pub fn new(failure: LastFailure, attempts: u32, failed_at: SystemTime, wait: Duration) -> Self {
        let not_before = failed_at.checked_add(wait).unwrap_or(failed_at);
        Self { wait, not_before, failure, attempts, failed_at: failed_at.into() }
    }
}

/// A request's own error, with what became of the request.
#[derive(Debug)]
struct Unfinished {
    fate: Fate,
    first: BoxError,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let then = match &self.fate {
            Fate::Delivered => "it was delivered",
            Fate::Reschedule(_) | Fate::NotStored(_) => "its job goes back to its queue",
            Fate::Buried(_) => "its letter is stored",
            Fate::HandedOver(_) => "its letter is to be stored",
        };
        write!(f, "{} ({then})", self.first)
    }
}

impl Error for Unfinished {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aplomb_core::Outcome;
    use http::{Response, StatusCode};

    #[test]
    fn a_fate_is_found_beside_a_response_and_beside_an_error() {
        let failure = LastFailure::new(Outcome::Neutral, Ok(StatusCode::FORBIDDEN));
        let wait = Duration::from_secs(1);
        let again = Reschedule::new(failure, 1, SystemTime::UNIX_EPOCH, wait);
        let answers = [Ok(Response::new(())), Err(std::io::Error::other("reset").into())];
        for answer in answers {
            assert!(Fate::of(&answer).is_none());
            let answer = Fate::Reschedule(again.clone()).beside(answer);
            let Some(Fate::Reschedule(found)) = Fate::of(&answer) else { panic!("it is there") };
            assert_eq!(found, again);
            if let Err(error) = answer {
                assert!(cause::<std::io::Error>(&*error).is_some());
            }
        }
    }
}
