//! What is in force, as `GET /policies` shows it.

use std::time::Duration;

use aplomb_backoff::{Backoff, Jitter};
use aplomb_core::OperationClass;
use serde_json::{Value, json};

use crate::circuit;

/// The policy of one operation, for people to read.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) operation: &'static str,
    /// Who is asked.
    pub(crate) dependency: &'static str,
    pub(crate) class: OperationClass,
    pub(crate) attempts: u32,
    /// How long one attempt may take.
    pub(crate) attempt: Duration,
    /// How long all of them may take, with the waits between them.
    pub(crate) total: Duration,
    /// The waits between them.
    pub(crate) backoff: Option<Backoff>,
    /// What makes a repetition safe.
    pub(crate) repeated_because: &'static str,
    /// What key it carries.
    pub(crate) key: Option<&'static str>,
    /// How many retries a hundred first tries that succeed pay for, and which operations share them.
    pub(crate) budget: Option<(u32, &'static str)>,
    pub(crate) has_circuit: bool,
    /// How many calls may be in flight to the dependency, and how long others wait.
    pub(crate) in_flight: Option<(u32, Duration)>,
    pub(crate) when_exhausted: String,
}

impl Page {
    pub(crate) fn document(&self) -> Value {
        let budget = self.budget.map(
            |(percent, shared_by)| json!({ "earned_percent": percent, "shared_by": shared_by }),
        );
        let in_flight =
            self.in_flight.map(|(limit, wait)| json!({ "limit": limit, "wait_ms": millis(wait) }));
        json!({
            "operation": self.operation,
            "dependency": self.dependency,
            "class": self.class.as_str(),
            "attempts": self.attempts,
            "attempt_timeout_ms": millis(self.attempt),
            "total_ms": millis(self.total),
            "backoff": self.backoff.map(waits),
            "repeated_because": self.repeated_because,
            "key": self.key,
            "budget": budget,
            "circuit": self.has_circuit.then(circuit::document),
            "in_flight": in_flight,
            "when_exhausted": self.when_exhausted,
        })
    }
}

fn waits(backoff: Backoff) -> Value {
    let jitter = match backoff.jitter() {
        Jitter::Full => "full",
        Jitter::Equal => "equal",
        Jitter::Decorrelated => "decorrelated",
        _ => "none",
    };
    // The first ceiling is the base; so late a one is the cap.
    let (base, cap) = (backoff.ceiling(1), backoff.ceiling(u32::MAX));
    json!({ "jitter": jitter, "base_ms": millis(base), "cap_ms": millis(cap) })
}

/// For durations of minutes at most.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
