use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;

use aplomb_core::BoxError;

/// The connection is to be cut without an answer.
///
/// A server closes the connection when its service answers this; around a client it is what a
/// reset connection looks like. It comes inside an [`io::Error`] of the kind `ConnectionReset`, so
/// that a classifier takes it for the reset that it stands for; [`cause`](aplomb_core::cause)
/// finds it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cut {
    /// Whether the service had already acted and answered.
    pub answered: bool,
}

impl Cut {
    pub(crate) const BEFORE: Self = Self { answered: false };
    pub(crate) const AFTER: Self = Self { answered: true };

    pub(crate) fn reset(self) -> BoxError {
        io::Error::new(io::ErrorKind::ConnectionReset, self).into()
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.answered {
            "response lost on purpose"
        } else {
            "connection dropped on purpose"
        })
    }
}

impl Error for Cut {}

/// The connection was refused. Nothing was sent.
///
/// It comes inside an [`io::Error`] of the kind `ConnectionRefused`, so that a classifier takes it
/// for the refusal that it stands for; [`cause`](aplomb_core::cause) finds it there.
///
/// ```
/// use aplomb_chaos::{Chaos, Knobs, Refused};
/// use aplomb_core::cause;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let chaos = Chaos::seeded(7);
/// let connector = chaos.connect().layer(service_fn(async |_: http::Uri| {
///     Ok::<_, std::io::Error>(())
/// }));
/// chaos.set(Knobs { down: true, ..Knobs::default() });
/// let error = connector.oneshot(http::Uri::default()).await.unwrap_err();
/// assert!(cause::<Refused>(&*error).is_some(), "nothing was sent");
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {}

impl Refused {
    pub(crate) const NOW: Self = Self {};

    pub(crate) fn of_connection(self) -> BoxError {
        io::Error::new(io::ErrorKind::ConnectionRefused, self).into()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection refused on purpose")
    }
}

impl Error for Refused {}

/// A knob was turned further than it goes.
///
/// ```
/// use aplomb_chaos::Knobs;
///
/// // Knobs come from JSON, and say what is wrong with it.
/// let wrong = serde_json::from_str::<Knobs>(r#"{"workers": 1000000000}"#).unwrap_err();
/// assert!(wrong.to_string().contains("workers"), "{wrong}");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OutOfRange {
    /// Which knob.
    pub field: &'static str,
    /// What it was to be set to.
    pub value: f64,
    /// What it can be set to.
    pub range: Cow<'static, str>,
}

impl OutOfRange {
    pub(crate) fn new(
        field: &'static str,
        value: f64,
        range: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field, value, range: range.into() }
    }
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}; give {}", self.field, self.value, self.range)
    }
}

impl Error for OutOfRange {}
