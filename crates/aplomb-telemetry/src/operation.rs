use std::sync::Arc;

use aplomb_core::Observe;
use aplomb_idempotency::IdempotencyEvent;
use prometheus::IntCounter;

/// Counts what the idempotency layer of one operation does.
#[derive(Clone, Debug)]
pub struct OperationMetrics {
    replays: IntCounter,
    conflicts: Arc<[(IdempotencyEvent, IntCounter)]>,
}

impl OperationMetrics {
    pub(crate) fn new(replays: IntCounter, conflicts: impl Fn(&'static str) -> IntCounter) -> Self {
        let conflicts = CONFLICTS.iter().map(|event| (*event, conflicts(event.as_str()))).collect();
        Self { replays, conflicts }
    }
}

impl Observe<IdempotencyEvent> for OperationMetrics {
    fn observe(&self, event: &IdempotencyEvent) {
        if *event == IdempotencyEvent::Replayed {
            self.replays.inc();
        }
        if let Some((_, counter)) = self.conflicts.iter().find(|(conflict, _)| conflict == event) {
            counter.inc();
        }
    }
}

const CONFLICTS: [IdempotencyEvent; 4] = [
    IdempotencyEvent::Mismatch,
    IdempotencyEvent::InFlight,
    IdempotencyEvent::Unknown,
    IdempotencyEvent::Gone,
];
