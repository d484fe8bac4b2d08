use std::fmt;
use std::time::Duration;

use aplomb_circuit_breaker::State;
use aplomb_core::{Attempt, CallRecord, Condition, Reason};

use crate::story::Story;

/// How a call ended, for whoever made it.
///
/// ```
/// use aplomb_telemetry::CallOutcome;
///
/// // The label of `dependency_calls_total`.
/// assert_eq!(CallOutcome::Rescued.as_str(), "rescued");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallOutcome {
    /// The first attempt succeeded.
    FirstTry,
    /// A later attempt succeeded, or a fallback that is as good.
    Rescued,
    /// A fallback answered less than what was asked for.
    Degraded,
    /// It failed, or its time was up.
    Failed,
    /// The answer is nobody's failure: the caller's own mistake, or a limit of our own.
    Neutral,
    /// Its caller hung up before its time was up.
    Abandoned,
}

impl CallOutcome {
    /// Every outcome.
    pub const ALL: &[Self] = &[
        Self::FirstTry,
        Self::Rescued,
        Self::Degraded,
        Self::Failed,
        Self::Neutral,
        Self::Abandoned,
    ];

    /// A word for labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstTry => "first_try",
            Self::Rescued => "rescued",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Neutral => "neutral",
            Self::Abandoned => "abandoned",
        }
    }

    /// Of a call that was not retried or rescued otherwise.
    pub(crate) const fn of(attempt: Attempt, success: bool) -> Self {
        match (success, attempt.is_first()) {
            (true, true) => Self::FirstTry,
            (true, false) => Self::Rescued,
            (false, _) => Self::Neutral,
        }
    }
}

impl fmt::Display for CallOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The decision record of one call: all that was decided about it, without bodies, keys or addresses.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CallReport {
    /// How it ended.
    pub outcome: CallOutcome,
    /// The last attempt that was sent.
    pub attempt: Attempt,
    /// Each attempt that failed, how, and what followed. Whether the balances in it are known,
    /// [`has_balances`](Self::has_balances) says.
    pub record: CallRecord,
    /// Whether the retries kept a record, with what the budget held.
    pub has_balances: bool,
    /// Why it was not sent again at last.
    pub reason: Option<Reason>,
    /// How long it waited for the dependency's pause.
    pub paced: Duration,
    /// How long it waited for a place in the bulkhead.
    pub queued: Duration,
    /// How the circuit that it met was when this call, or the last one before it, changed it.
    pub circuit: Option<State>,
    /// Instead of what a fallback answered.
    pub fallback: Option<Condition>,
    /// Whether the retries only observe: the last wait in the record is one that they would have made.
    pub only_observed: bool,
}

impl CallReport {
    pub(crate) fn new(story: Story, outcome: CallOutcome, kept: Option<CallRecord>) -> Self {
        let has_balances = kept.is_some();
        let record = kept.unwrap_or(story.record);
        let Story { attempt, reason, paced, queued, circuit, fallback, only_observed, .. } = story;
        Self {
            outcome,
            attempt,
            record,
            has_balances,
            reason,
            paced,
            queued,
            circuit,
            fallback,
            only_observed,
        }
    }

    /// How long it waited between attempts.
    pub fn waited(&self) -> Duration {
        if self.only_observed {
            return Duration::ZERO;
        }
        self.record.decisions.iter().filter_map(|decision| decision.then.ok()).sum()
    }

    /// What the budget held before the first decision, and after the last.
    pub fn balances(&self) -> Option<(f64, f64)> {
        let decisions = &self.record.decisions;
        let (first, last) = (decisions.first()?, decisions.last()?);
        self.has_balances.then_some((first.balance_before, last.balance_after))
    }
}

/// Attempt by attempt, in a line.
impl fmt::Display for CallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for decision in &self.record.decisions {
            write!(f, "attempt {} {}", decision.attempt, decision.failure.kind)?;
            if decision.failure.held_back {
                f.write_str(" (held back)")?;
            }
            match decision.then {
                Ok(wait) if self.only_observed => {
                    write!(f, ", would have been sent again after {} ms; ", wait.as_millis())?;
                }
                Ok(wait) => write!(f, ", again after {} ms; ", wait.as_millis())?,
                Err(reason) => write!(f, ", not again: {reason}; ")?,
            }
        }
        write!(f, "{} at attempt {}", self.outcome, self.attempt)
    }
}
