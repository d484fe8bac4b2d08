/// What a deadline did.
///
/// ```
/// use std::time::Duration;
/// use aplomb_deadline::{DeadlineEvent, DeadlineLayer};
///
/// let layer = DeadlineLayer::attempt(Duration::from_millis(500)).observe(|event: &DeadlineEvent| {
///     if *event == DeadlineEvent::Exceeded {
///         println!("an attempt took longer than half a second");
///     }
/// });
/// # let _ = layer;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeadlineEvent {
    /// Time was up before the answer came.
    Exceeded,
    /// Time was up before anything was sent.
    Unsent,
    /// Time was up before the answer came, and the call goes on, since the layer only observes.
    WouldHaveExceeded,
    /// Time was up before anything was sent, and the call was sent, since the layer only observes.
    WouldNotHaveSent,
}
