//! The circuit breaker of one operation, and how often it opened and probed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aplomb_backoff::Backoff;
use aplomb_circuit_breaker::{BreakerEvent, CircuitBreakerLayer, Handle, State, Together, Trip};
use aplomb_core::{Dice, HttpClassifier, Observe, Ratio};
use serde_json::{Value, json};

use crate::policies::millis;

/// A circuit that lives as long as the process: calls come and go, each with a layer that shares it.
#[derive(Clone, Debug)]
pub(crate) struct Circuit {
    layer: CircuitBreakerLayer<Together, HttpClassifier, Turns>,
    turns: Turns,
}

impl Circuit {
    /// Opens after ten failures in a row, or as half of all calls fail; probes every few seconds.
    pub(crate) fn new(dice: &Dice) -> Self {
        let turns = Turns::default();
        let trip = Trip::failure_ratio(Ratio::percent(FAILED_PERCENT))
            .at_least(AT_LEAST)
            .over(WINDOW)
            .failures_in_a_row(FAILED_IN_A_ROW)
            .unsent_in_a_row(UNSENT_IN_A_ROW);
        let layer = CircuitBreakerLayer::new(trip)
            .open_for(Backoff::equal(OPEN_MIN, OPEN_MAX))
            .dice(dice.clone())
            .observe(turns.clone());
        Self { layer, turns }
    }

    pub(crate) fn layer(&self) -> CircuitBreakerLayer<Together, HttpClassifier, Turns> {
        self.layer.clone()
    }

    pub(crate) fn watch(&self) -> CircuitWatch {
        CircuitWatch { handle: self.layer.handle(), turns: self.turns.clone() }
    }
}

/// When every circuit opens, and for how long.
pub(crate) fn document() -> Value {
    json!({
        "opens_at_failed_percent": FAILED_PERCENT,
        "of_at_least": AT_LEAST,
        "in_ms": millis(WINDOW),
        "or_failed_in_a_row": FAILED_IN_A_ROW,
        "or_unsent_in_a_row": UNSENT_IN_A_ROW,
        "open_ms": { "jitter": "equal", "first": millis(OPEN_MIN), "longest": millis(OPEN_MAX) },
    })
}

/// Watches a circuit, and lets an operator hold it.
#[derive(Clone, Debug)]
pub struct CircuitWatch {
    handle: Handle,
    turns: Turns,
}

impl CircuitWatch {
    /// How it stands, and the means to hold it.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// How often it opened.
    pub fn opened(&self) -> u64 {
        self.turns.counts.opened.load(Ordering::Relaxed)
    }

    /// How often it let a probe out after an open time.
    pub fn probed(&self) -> u64 {
        self.turns.counts.probed.load(Ordering::Relaxed)
    }

    /// How many calls it rejected.
    pub fn rejected(&self) -> u64 {
        self.turns.counts.rejected.load(Ordering::Relaxed)
    }
}

/// Counts what a circuit does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    opened: AtomicU64,
    probed: AtomicU64,
    rejected: AtomicU64,
}

impl Observe<BreakerEvent<'_>> for Turns {
    fn observe(&self, event: &BreakerEvent<'_>) {
        let count = match event {
            BreakerEvent::Changed { change, .. } if change.to == State::Open => &self.counts.opened,
            BreakerEvent::Changed { change, .. } if change.to == State::HalfOpen => {
                &self.counts.probed
            }
            BreakerEvent::Rejected { .. } => &self.counts.rejected,
            _ => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A customer's order is `pending` meanwhile, so it may be tried again soon; four seconds leave a
/// service that restarts alone.
const OPEN_MIN: Duration = Duration::from_secs(1);
const OPEN_MAX: Duration = Duration::from_secs(4);
const FAILED_PERCENT: u32 = 50;
const AT_LEAST: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);
/// A service with one call a second never has twenty of them in its window.
const FAILED_IN_A_ROW: u32 = 10;
const UNSENT_IN_A_ROW: u32 = 5;
