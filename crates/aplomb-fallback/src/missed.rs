use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use aplomb_core::Condition;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};

/// Why a fallback is asked. It stands where the body of the request stood.
///
/// A fallback gets the method, URI, headers and extensions of the original request. It does not get
/// its body, which went to the service that failed: a read has none, and what a fallback for writes
/// needs of one, the handler puts into the request's extensions, where it is read and bounded once.
///
/// On the wire it is an empty body, so that an HTTP client of another dependency can be a fallback as
/// it is: `hyper_util`'s `Client<_, Missed>` answers these requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Missed {
    /// What kept the service from answering.
    pub condition: Condition,
    /// Whether the request is a write that may have been acted on, so that nobody knows its outcome.
    /// Only a [pending](crate::FallbackLayer::pending) fallback is asked about one.
    pub is_unknown: bool,
    /// Whether anything was sent.
    pub is_sent: bool,
    /// The status of the answer that was not good enough, if there was one.
    pub status: Option<StatusCode>,
}

impl Missed {
    /// Missed for this reason, without a word about the rest: for tests of a fallback.
    pub const fn new(condition: Condition) -> Self {
        Self { condition, is_unknown: false, is_sent: false, status: None }
    }
}

impl Body for Missed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}
