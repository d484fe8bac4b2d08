//! The events of this crate, as metrics.

use aplomb_core::Observe;
use aplomb_telemetry::OperationMetrics;

use crate::problem::ProblemEvent;
#[cfg(feature = "policy")]
use crate::stack::PolicyEvent;

/// `problem_answers_total`, by operation and status.
impl Observe<ProblemEvent> for OperationMetrics {
    fn observe(&self, event: &ProblemEvent) {
        match *event {
            ProblemEvent::Failed(status) => self.problem(status),
            ProblemEvent::Unready(status) => self.unready(status),
        }
    }
}

/// `policy_reloads_total`, by what became of the new text.
#[cfg(feature = "policy")]
impl Observe<PolicyEvent<'_>> for aplomb_telemetry::PolicyMetrics {
    fn observe(&self, event: &PolicyEvent<'_>) {
        match event {
            PolicyEvent::Reloaded(_) => self.reloaded(),
            PolicyEvent::Refused(_) => self.refused(),
            PolicyEvent::Lost(_) => self.lost(),
        }
    }
}
