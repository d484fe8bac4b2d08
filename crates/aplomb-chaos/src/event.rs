use std::time::Duration;

use http::StatusCode;

/// A fault that was injected.
///
/// ```
/// use aplomb_chaos::{Chaos, Event};
///
/// let chaos = Chaos::seeded(7).observe(|event: &Event| match event {
///     Event::Lost => println!("it was done, and nobody will hear of it"),
///     other => println!("{other:?}"),
/// });
/// # let _ = chaos.edge();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The connection was cut because the service plays dead.
    Down,
    /// The connection was cut before the service was reached.
    Dropped,
    /// A call was taken and is never answered.
    Hung,
    /// A connection was refused before it stood.
    Refused,
    /// An answer breaks off in the middle of its body.
    CutShort,
    /// An answer was lost after the service made it.
    Lost,
    /// A call was answered with this status instead of by the service.
    Failed(StatusCode),
    /// A call was answered 503 because it was over the capacity.
    OverCapacity,
    /// A call is made to wait so long: for nothing, or for its turn.
    Delayed(Duration),
}
