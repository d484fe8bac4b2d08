use std::error::Error;
use std::fmt;
use std::time::Duration;

use aplomb_core::NotBefore;

/// The circuit is open: the call was not sent.
///
/// Its cause is a [`NotBefore`], the word by which every layer knows that nothing left the process:
/// a retry above waits for free or not at all, a server's problem layer answers 503 with a jittered
/// `Retry-After`.
///
/// ```
/// use std::time::Duration;
/// use aplomb_circuit_breaker::CircuitOpen;
/// use aplomb_core::{BoxError, NotBefore, cause};
///
/// let error: BoxError = CircuitOpen::new(Duration::from_secs(2)).into();
/// assert_eq!(cause::<CircuitOpen>(&*error).map(|open| open.retry_after()), Some(TWO_SECONDS));
/// assert_eq!(cause::<NotBefore>(&*error).map(|why| why.retry_after), Some(TWO_SECONDS));
/// # const TWO_SECONDS: Duration = Duration::from_secs(2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitOpen(NotBefore);

impl CircuitOpen {
    /// Open for another `retry_after`.
    pub const fn new(retry_after: Duration) -> Self {
        Self(NotBefore::new(retry_after))
    }

    /// How long it is of no use to try again.
    pub const fn retry_after(&self) -> Duration {
        self.0.retry_after
    }
}

impl fmt::Display for CircuitOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.retry_after().as_millis();
        write!(f, "circuit open, nothing was sent; try again in {millis} ms")
    }
}

impl Error for CircuitOpen {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
