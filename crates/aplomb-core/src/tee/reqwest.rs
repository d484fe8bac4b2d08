use std::fmt;

use http::{HeaderMap, Method, Uri};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use reqwest::{Body, Request};

use super::KeptBody;
use crate::time::Instant;
use crate::{BoxError, Deadline, Replay, ReplayBody};
use bytes::Bytes;

/// What the next attempt needs of a `reqwest::Request`.
///
/// ```
/// use aplomb_core::{KeptReqwest, Replay};
///
/// let client = reqwest::Client::new();
/// let mut request = client.post("http://stock/reservations").body("one mug").build()?;
/// let mut kept: KeptReqwest = request.keep(64 * 1024).expect("it is short");
/// drop(request); // sent
/// assert!(<reqwest::Request as Replay>::again(&mut kept).is_some());
/// # Ok::<(), reqwest::Error>(())
/// ```
pub struct KeptReqwest {
    // With its body, if that is in memory.
    request: Request,
    stream: Option<KeptBody<Stream>>,
}

type Stream = BoxBody<Bytes, BoxError>;

impl Replay for Request {
    type Kept = KeptReqwest;

    fn keep(&mut self, cap: usize) -> Option<KeptReqwest> {
        let Some(body) = self.body() else {
            return Some(KeptReqwest { request: self.try_clone()?, stream: None });
        };
        if let Some(bytes) = body.as_bytes() {
            let request = if bytes.len() <= cap { self.try_clone()? } else { return None };
            return Some(KeptReqwest { request, stream: None });
        }
        // A body known to be too long stays as it is.
        if http_body::Body::size_hint(body).lower() > cap as u64 {
            return None;
        }
        let mut stream = self.body_mut().take()?.map_err(BoxError::from).boxed();
        let (request, kept) = (self.try_clone(), stream.keep(cap));
        *self.body_mut() = Some(Body::wrap(stream));
        Some(KeptReqwest { request: request?, stream: Some(kept?) })
    }

    fn is_whole(kept: &KeptReqwest) -> bool {
        kept.stream.as_ref().is_none_or(KeptBody::is_whole)
    }

    fn again(kept: &mut KeptReqwest) -> Option<Self> {
        let mut request = kept.request.try_clone()?;
        if let Some(stream) = &mut kept.stream {
            *request.body_mut() = Some(Body::wrap(Stream::again(stream)?));
        }
        Some(request)
    }
}

impl crate::Request for KeptReqwest {
    fn method(&self) -> &Method {
        self.request.method()
    }

    fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.request.headers_mut()
    }

    fn uri(&self) -> Uri {
        self.request.uri()
    }

    fn path(&self) -> &str {
        crate::Request::path(&self.request)
    }

    fn authority(&self) -> Option<&str> {
        self.request.authority()
    }

    fn deadline(&self, now: Instant) -> Option<Deadline> {
        self.request.deadline(now)
    }
}

impl fmt::Debug for KeptReqwest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptReqwest").field("request", &self.request).finish_non_exhaustive()
    }
}
