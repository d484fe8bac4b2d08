use std::time::Duration;

use aplomb_core::{Attempt, Failure, Reason};

/// What a retry did.
///
/// ```
/// use aplomb_retry::{Budget, RetryEvent, RetryLayer};
///
/// let layer = RetryLayer::new(Budget::percent(20)).observe(|event: &RetryEvent| match event {
///     RetryEvent::Waiting { failed, wait, .. } => println!("{failed:?} failed; {wait:?} to go"),
///     RetryEvent::Refused { reason, .. } => println!("not sent again: {reason}"),
///     _ => {}
/// });
/// # let _ = layer;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryEvent {
    /// An attempt failed, another was paid for and will be sent after a wait.
    Waiting {
        /// The attempt that failed.
        failed: Attempt,
        /// How it failed.
        failure: Failure,
        /// How long it waits.
        wait: Duration,
    },
    /// The call was sent again.
    Resent {
        /// Which attempt this is: the first still, when a layer inside held back all before it.
        attempt: Attempt,
    },
    /// The call succeeded, or ended in a way that is nobody's failure.
    Done {
        /// The last attempt.
        attempt: Attempt,
        /// Whether it counts as a success.
        success: bool,
    },
    /// The call failed and ends here, since the layer only observes; else it would have been sent
    /// again after a wait.
    WouldRetry {
        /// The attempt that failed.
        failed: Attempt,
        /// How it failed.
        failure: Failure,
        /// How long it would have waited.
        wait: Duration,
    },
    /// The call failed, finally.
    Refused {
        /// The last attempt.
        attempt: Attempt,
        /// How it failed.
        failure: Failure,
        /// Why there was no other.
        reason: Reason,
    },
    /// The call was dropped before it ended.
    Abandoned {
        /// The last attempt that was sent.
        attempt: Attempt,
        /// Whether its time was up, so that it was a deadline outside that ended it. Else its caller
        /// hung up, which says nothing about the dependency.
        timed_out: bool,
    },
}
