use std::error::Error;
use std::fmt;
use std::io;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

/// What the probe does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Act {
    /// Answers with this status; see [`answer`](Self::answer) for the rest of the response.
    Answer(StatusCode),
    /// Fails with a [`ProbeError`].
    Fail,
    /// Fails with a connection reset that carries a [`ProbeError`], which provokes another attempt
    /// where there are retries.
    Reset,
    /// Never ends.
    Hang,
    /// Panics in `call`.
    PanicInCall,
    /// Panics when its future is polled.
    PanicInFuture,
}

impl Act {
    /// 200.
    pub const OK: Self = Self::Answer(StatusCode::OK);
    /// 503, which provokes another attempt where there are retries.
    pub const UNAVAILABLE: Self = Self::Answer(StatusCode::SERVICE_UNAVAILABLE);

    /// The answer of this status to call number `call`: a header that comes twice, a header with
    /// the number, and a body with the number, so that no two answers are alike.
    pub fn answer(status: StatusCode, call: u64) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(format!("answer {call}")));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("text/plain"));
        headers.append("x-probe", HeaderValue::from_static("one"));
        headers.append("x-probe", HeaderValue::from_static("two"));
        headers.insert(CALL, HeaderValue::from(call));
        response
    }
}

/// Whether the probe is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "what `poll_ready` may answer")]
pub enum Readiness {
    /// It is.
    #[default]
    Ready,
    /// Not now; a clone that was ready stays so.
    Pending,
    /// It fails with a [`ProbeError`].
    Fails,
}

/// The error of a probe.
///
/// ```
/// use aplomb_testkit::ProbeError;
///
/// // What the probe answers when the script says that a call fails.
/// println!("{}", ProbeError::Call);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProbeError {
    /// A call failed as scripted.
    Call,
    /// `poll_ready` failed as scripted.
    Readiness,
    /// It was called without having been ready.
    Unready,
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call => "the probe failed, as scripted",
            Self::Readiness => "the probe's readiness failed, as scripted",
            Self::Unready => "the probe was called without having been polled ready",
        })
    }
}

impl Error for ProbeError {}

/// The error of a connection that was reset.
pub(crate) fn reset() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, ProbeError::Call)
}

/// The header with the number of the call that a response answers.
pub(crate) const CALL: &str = "x-probe-call";
/// What a scripted panic says.
pub(crate) const PANIC: &str = "the probe panics, as scripted";
