use std::time::Duration;

use aplomb_admission::{AdmissionLayer, Inbound};
use aplomb_telemetry::OperationMetrics;

/// How much a service takes on at a time: more is answered 503 with a `Retry-After`.
///
/// One door for products and reservations, so that in an overload reservations go first. A place
/// more than the service can work on at a time is a place in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Doors {
    /// So many requests at a time, 1 at least: 512, half of the connections that it takes.
    pub limit: u32,
    /// How long a request may wait for its place: 100 ms.
    pub longest_wait: Duration,
}

impl Doors {
    /// For so many requests at a time.
    pub fn new(limit: u32) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(crate) fn layer(
        self,
        metrics: OperationMetrics,
    ) -> AdmissionLayer<Inbound, OperationMetrics> {
        let layer = AdmissionLayer::new(self.limit.max(1)).longest_wait(self.longest_wait);
        layer.observe(metrics)
    }
}

impl Default for Doors {
    fn default() -> Self {
        Self { limit: 512, longest_wait: Duration::from_millis(100) }
    }
}
