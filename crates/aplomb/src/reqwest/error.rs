use std::error::Error as StdError;
use std::fmt;

use aplomb_core::{BoxError, DeadlineExceeded, cause};

/// Why a call failed: whatever a layer or reqwest says, to be found by
/// [`cause`](aplomb_core::cause) or [`Error::cause`].
#[derive(Debug)]
pub struct Error {
    error: BoxError,
}

/// The result of a call.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The error of this type among its causes: `NotRetried`, `CircuitOpen`, `DeadlineExceeded`,
    /// `NoOperation`, `reqwest::Error`, and whatever else stands in the chain.
    pub fn cause<E: StdError + 'static>(&self) -> Option<&E> {
        cause(&*self.error)
    }

    /// Whether time was up, by a deadline of ours or by reqwest's.
    pub fn is_timeout(&self) -> bool {
        self.cause::<DeadlineExceeded>().is_some() || self.is(reqwest::Error::is_timeout)
    }

    /// Whether no connection could be made.
    pub fn is_connect(&self) -> bool {
        self.is(reqwest::Error::is_connect)
    }

    /// Whether the request could not be built.
    pub fn is_builder(&self) -> bool {
        self.is(reqwest::Error::is_builder)
    }

    fn is(&self, so: impl Fn(&reqwest::Error) -> bool) -> bool {
        self.cause::<reqwest::Error>().is_some_and(so)
    }
}

impl From<BoxError> for Error {
    fn from(error: BoxError) -> Self {
        Self { error }
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        Self { error: error.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.error)
    }
}
