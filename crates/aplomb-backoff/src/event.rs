use std::time::Duration;

/// What pacing did.
///
/// ```
/// use aplomb_backoff::{Backoff, BackoffEvent, BackoffLayer};
///
/// let layer = BackoffLayer::new(Backoff::interactive()).observe(|event: &BackoffEvent| {
///     if let BackoffEvent::Refused { left } = event {
///         println!("it asked to be left alone for {left:?} more");
///     }
/// });
/// # let _ = layer;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackoffEvent {
    /// The dependency is left alone from now on, for this long.
    Paused {
        /// How long.
        pause: Duration,
    },
    /// A call waits for the dependency.
    Waiting {
        /// How long.
        wait: Duration,
    },
    /// A call was sent, since the layer only observes; else it would have waited, or not been sent.
    WouldWait {
        /// How long the dependency is still to be left alone.
        left: Duration,
    },
    /// A call could not wait that long, and was not sent.
    Refused {
        /// How long the dependency is still left alone.
        left: Duration,
    },
}
