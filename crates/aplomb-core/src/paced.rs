use std::error::Error;
use std::fmt;
use std::time::Duration;

/// A dependency asked to be left alone, and the call's time would be up before it may be asked
/// again. Nothing was sent.
///
/// ```
/// use std::time::Duration;
/// use aplomb_core::{BoxError, NotBefore, cause};
///
/// let error: BoxError = NotBefore::new(Duration::from_secs(2)).into();
/// let left = cause::<NotBefore>(&*error).map(|pace| pace.retry_after);
/// assert_eq!(left, Some(Duration::from_secs(2)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotBefore {
    /// How long the dependency is still to be left alone.
    pub retry_after: Duration,
}

impl NotBefore {
    /// Not before `retry_after` has passed.
    pub const fn new(retry_after: Duration) -> Self {
        Self { retry_after }
    }
}

impl fmt::Display for NotBefore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.retry_after.as_millis();
        write!(f, "the dependency is left alone for another {millis} ms; nothing was sent")
    }
}

impl Error for NotBefore {}
