use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::{Attempt, Failure, Reason};

/// Asks for the [`CallRecord`] of one call: put it into the request's extensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a unit: it only asks")]
pub struct KeepRecord;

/// How a call went, attempt by attempt, for whoever asked.
///
/// It lies beside the answer: in the response's extensions, or in the error's chain, where
/// [`cause`](crate::cause) finds it.
///
/// ```
/// use aplomb_core::{CallRecord, Decision, KeepRecord};
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(KeepRecord::default());
///
/// fn told<B>(answer: &http::Response<B>) -> Vec<String> {
///     let record = answer.extensions().get::<CallRecord>();
///     record.map(|record| record.decisions.iter().map(Decision::to_string).collect()).unwrap_or_default()
/// }
/// assert!(told(&http::Response::new(())).is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CallRecord {
    /// One decision for each attempt that failed.
    pub decisions: Vec<Decision>,
}

impl fmt::Display for CallRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.decisions.is_empty() {
            return f.write_str("no attempt failed");
        }
        for (i, decision) in self.decisions.iter().enumerate() {
            write!(f, "{}{decision}", if i > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

/// So that [`cause`](crate::cause) finds it beside an error. It is none itself.
impl Error for CallRecord {}

/// What was decided after one attempt failed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// The attempt that failed.
    pub attempt: Attempt,
    /// How it failed.
    pub failure: Failure,
    /// The wait before the next attempt, or why there was none.
    pub then: Result<Duration, Reason>,
    /// What the budget held before it was asked, in retries at its lowest price.
    pub balance_before: f64,
    /// What it held afterwards.
    pub balance_after: f64,
}

impl Decision {
    /// After `attempt` failed like this, `then` followed.
    pub const fn new(attempt: Attempt, failure: Failure, then: Result<Duration, Reason>) -> Self {
        Self { attempt, failure, then, balance_before: 0.0, balance_after: 0.0 }
    }

    /// With what the budget held before and afterwards.
    #[must_use]
    pub const fn balance(mut self, before: f64, after: f64) -> Self {
        self.balance_before = before;
        self.balance_after = after;
        self
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempt, failure, then, balance_before, .. } = self;
        write!(f, "attempt {attempt} failed ({}), {balance_before} in the budget: ", failure.kind)?;
        match then {
            Ok(wait) => write!(f, "waited {} ms", wait.as_millis()),
            Err(reason) => write!(f, "stopped, {reason}"),
        }
    }
}
