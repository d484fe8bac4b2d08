use std::sync::Arc;

use aplomb_core::{Observe, Reason};
use aplomb_deadline::DeadlineEvent;
use aplomb_retry::RetryEvent;
use prometheus::{Histogram, IntCounter};

/// Counts what the layers around one operation of one dependency do. Give a clone to each of them.
#[derive(Clone, Debug)]
pub struct DependencyMetrics {
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Counters {
    resent: IntCounter,
    exhausted: IntCounter,
    timeouts: IntCounter,
    attempts: Histogram,
    waits: Histogram,
    denied: Vec<(Reason, IntCounter)>,
    first_try: IntCounter,
    rescued: IntCounter,
    failed: IntCounter,
}

impl DependencyMetrics {
    pub(crate) fn new(
        resent: IntCounter,
        exhausted: IntCounter,
        timeouts: IntCounter,
        attempts: Histogram,
        waits: Histogram,
        denied: impl Fn(&'static str) -> IntCounter,
        calls: impl Fn(&'static str) -> IntCounter,
    ) -> Self {
        let denied = Reason::ALL.iter().map(|&reason| (reason, denied(reason.as_str()))).collect();
        let (first_try, rescued, failed) = (calls("first_try"), calls("rescued"), calls("failed"));
        calls("degraded");
        Self {
            counters: Arc::new(Counters {
                resent,
                exhausted,
                timeouts,
                attempts,
                waits,
                denied,
                first_try,
                rescued,
                failed,
            }),
        }
    }

    fn refused(&self, reason: Reason) {
        let Counters { denied, exhausted, failed, .. } = &*self.counters;
        failed.inc();
        if let Some((_, counter)) = denied.iter().find(|(of, _)| *of == reason) {
            counter.inc();
        }
        if matches!(reason, Reason::Attempts | Reason::Time | Reason::Budget) {
            exhausted.inc();
        }
    }
}

impl Observe<RetryEvent> for DependencyMetrics {
    fn observe(&self, event: &RetryEvent) {
        let counters = &*self.counters;
        match *event {
            RetryEvent::Waiting { wait, .. } => counters.waits.observe(wait.as_secs_f64()),
            RetryEvent::Resent { .. } => counters.resent.inc(),
            RetryEvent::Done { attempt, success } => {
                counters.attempts.observe(attempt.number().into());
                match (success, attempt.is_first()) {
                    (true, true) => counters.first_try.inc(),
                    (true, false) => counters.rescued.inc(),
                    // The caller's own mistake is neither a success nor a failure.
                    (false, _) => {}
                }
            }
            RetryEvent::Refused { attempt, reason, .. } => {
                counters.attempts.observe(attempt.number().into());
                self.refused(reason);
            }
            _ => {}
        }
    }
}

impl Observe<DeadlineEvent> for DependencyMetrics {
    fn observe(&self, event: &DeadlineEvent) {
        if *event == DeadlineEvent::Exceeded {
            self.counters.timeouts.inc();
        }
    }
}
