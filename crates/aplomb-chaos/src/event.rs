use std::time::Duration;

use http::StatusCode;

/// A fault that was injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The connection was cut because the service plays dead.
    Down,
    /// The connection was cut before the service was reached.
    Dropped,
    /// An answer was lost after the service made it.
    Lost,
    /// A call was answered with this status instead of by the service.
    Failed(StatusCode),
    /// A call was answered 503 because it was over the capacity.
    OverCapacity,
    /// A call is made to wait so long.
    Delayed(Duration),
}
