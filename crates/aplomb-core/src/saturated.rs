use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Our own limit of calls in flight to a dependency is used up, and the call could not wait for its
/// turn. Nothing was sent, and the dependency was not even asked.
///
/// To a classifier it is [neutral](crate::Outcome::Neutral): it says nothing about the dependency,
/// so it has no vote in a breaker or a pacer, and nothing is retried, since the place that is
/// missing would only be waited for once more. Whoever stands outside finds it with
/// [`cause`](crate::cause), and may send the call later, whatever its method.
///
/// ```
/// use std::time::Duration;
/// use aplomb_core::{BoxError, Saturated, cause};
///
/// let error: BoxError = Saturated::new(Duration::from_millis(100)).into();
/// assert!(cause::<Saturated>(&*error).is_some(), "nothing was sent");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saturated {
    /// When it is worth another try, before jitter.
    pub retry_after: Duration,
}

impl Saturated {
    /// Worth another try after `retry_after`.
    pub const fn new(retry_after: Duration) -> Self {
        Self { retry_after }
    }
}

impl fmt::Display for Saturated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many calls to the dependency are in flight; nothing was sent, try later")
    }
}

impl Error for Saturated {}
