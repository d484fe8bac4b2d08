//! The circuit breaker of a dependency, and how often it opened and probed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aplomb::circuit_breaker::{BreakerEvent, CircuitBreakerLayer, Handle, State, Trip};
use aplomb_core::{Observe, Ratio};

use crate::policy::InForce;

/// Watches a circuit, and lets an operator hold it.
#[derive(Clone)]
pub struct CircuitWatch {
    handle: Handle,
    turns: Turns,
}

impl CircuitWatch {
    /// That of this dependency as its policies are now; one that never opens when they have none.
    pub(crate) fn new(in_force: &InForce, dependency: &str, turns: Turns) -> Self {
        let handle = in_force.handle().breaker(dependency);
        let closed = || CircuitBreakerLayer::new(Trip::failure_ratio(Ratio::percent(100))).handle();
        Self { handle: handle.unwrap_or_else(closed), turns }
    }

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

impl fmt::Debug for CircuitWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitWatch").field("turns", &self.turns).finish_non_exhaustive()
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
