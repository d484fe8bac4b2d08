use std::error::Error;
use std::fmt;

use aplomb_core::BoxError;

use crate::fate::Reschedule;

/// A request failed finally and no letter of it could be stored, or it was done and its letter could
/// not be taken back.
///
/// Its caller still has the request and must keep it, with the same key. [`Fate::of`](crate::Fate)
/// answers with [`Fate::NotStored`](crate::Fate::NotStored).
#[derive(Debug)]
#[non_exhaustive]
pub struct NotStored {
    /// When to try again.
    pub reschedule: Reschedule,
    /// Why: a [`SinkError`](crate::SinkError), or a [`BodyNotKept`].
    pub(crate) source: BoxError,
}

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failure = &self.reschedule.failure;
        write!(f, "no dead letter could be written; keep the request ({failure})")
    }
}

impl Error for NotStored {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// A request's body is over the cap, or was a stream that broke off: no letter can hold it.
///
/// ```
/// use aplomb_core::cause;
/// use aplomb_dead_letter::BodyNotKept;
///
/// fn advice(error: &(dyn std::error::Error + 'static)) -> Option<String> {
///     let BodyNotKept { cap, .. } = cause(error)?;
///     Some(format!("bodies over {cap} bytes are kept nowhere"))
/// }
/// # let _ = advice;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyNotKept {
    /// How many bytes a letter holds.
    pub cap: usize,
}

impl fmt::Display for BodyNotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body could not be kept; a letter holds up to {} bytes of it", self.cap)
    }
}

impl Error for BodyNotKept {}
