//! Who hears what the layers around our calls do: the metrics, the journal of the order that a call
//! is made for, whoever watches a circuit.

use aplomb::admission::AdmissionEvent;
use aplomb::admission::AdmissionHandle;
use aplomb::backoff::BackoffEvent;
use aplomb::circuit_breaker::BreakerEvent;
use aplomb::deadline::DeadlineEvent;
use aplomb::fallback::FallbackEvent;
use aplomb::retry::{Budget, RetryEvent};
use aplomb::stack::Observers;
use aplomb_core::Observe;
use aplomb_telemetry::{DependencyMetrics, Metrics};

use crate::circuit::Turns;
use crate::journal::Scribe;
use crate::policy::{INVENTORY, WAREHOUSE};

/// Makes an observer for each operation.
#[derive(Clone, Debug)]
pub(crate) struct Witnesses {
    pub(crate) metrics: Metrics,
    pub(crate) inventory: Turns,
    pub(crate) warehouse: Turns,
}

/// Hears all that is done around the calls of one operation.
pub(crate) type Hearing = (DependencyMetrics, Witness);

impl Observers for Witnesses {
    type Observer = Hearing;

    fn of(&self, dependency: &str, operation: &str) -> Hearing {
        let turns = match dependency {
            INVENTORY => Some(self.inventory.clone()),
            WAREHOUSE => Some(self.warehouse.clone()),
            _ => None,
        };
        (self.metrics.dependency(dependency, operation), Witness { turns })
    }

    fn budget(&self, dependency: &str, operation: &str, budget: &Budget) {
        Observers::budget(&self.metrics, dependency, operation, budget);
    }

    fn in_flight(&self, dependency: &str, places: &AdmissionHandle) {
        Observers::in_flight(&self.metrics, dependency, places);
    }
}

/// Tells the journal and the circuit's watch.
#[derive(Clone, Debug)]
pub(crate) struct Witness {
    turns: Option<Turns>,
}

impl Observe<RetryEvent> for Witness {
    fn observe(&self, event: &RetryEvent) {
        Scribe::current(|scribe| scribe.observe(event));
    }
}

impl Observe<BreakerEvent<'_>> for Witness {
    fn observe(&self, event: &BreakerEvent<'_>) {
        if let Some(turns) = &self.turns {
            turns.observe(event);
        }
    }
}

/// Of these the metrics tell enough.
macro_rules! is_silent_about {
    ($($event:ty),*) => {
        $(impl Observe<$event> for Witness {
            fn observe(&self, _: &$event) {}
        })*
    };
}
is_silent_about!(BackoffEvent, DeadlineEvent, AdmissionEvent, FallbackEvent);
