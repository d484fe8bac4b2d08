//! The one seam to what is counted.

use aplomb_telemetry::OperationMetrics;
use prometheus::{Error, Registry};

/// What this service counts, in a registry of its own.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(aplomb_telemetry::Metrics);

impl Metrics {
    pub(crate) const MEDIA_TYPE: &str = aplomb_telemetry::Metrics::MEDIA_TYPE;

    pub(crate) fn new() -> Self {
        let registered = aplomb_telemetry::Metrics::register(&Registry::new(), None);
        Self(registered.expect("a new registry takes every name once"))
    }

    /// Hears the idempotency layer of reservations.
    pub(crate) fn reservations(&self) -> OperationMetrics {
        self.0.operation("reserve")
    }

    pub(crate) fn page(&self) -> Result<String, Error> {
        self.0.encode()
    }
}
