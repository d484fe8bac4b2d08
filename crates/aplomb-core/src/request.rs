use http::{HeaderMap, Method, request::Parts};

use crate::time::Instant;
use crate::{Call, Deadline, KeepRecord, OperationClass, ReplayBody};

/// What every layer may read of a request, and write on it.
///
/// Two families fit: [`http::Request`] (hyper, axum, tonic) and, with the feature `reqwest`,
/// `reqwest::Request`.
pub trait Request {
    /// Its method.
    fn method(&self) -> &Method;
    /// Its headers.
    fn headers(&self) -> &HeaderMap;
    /// Its headers, to write on.
    fn headers_mut(&mut self) -> &mut HeaderMap;
    /// Host and port that it goes to, without credentials.
    fn authority(&self) -> Option<&str>;
    /// The deadline that an outer layer left for it.
    fn deadline(&self, now: Instant) -> Option<Deadline>;
    /// Leaves a deadline for the layers inside.
    fn set_deadline(&mut self, deadline: Deadline, now: Instant);

    /// The class of operation it is part of: the one it names, else by its method and key.
    fn class(&self) -> OperationClass {
        OperationClass::of(self.call())
    }

    /// Whether it asks for a record of its call.
    fn wants_record(&self) -> bool {
        false
    }

    /// What policies must know of it after it was sent.
    fn call(&self) -> Call {
        Call::of(self.method(), self.headers())
    }
}

/// A request that can be split into this attempt and what the next attempt needs.
pub trait Replay: Request + Sized {
    /// What the next attempt needs: cheap to hold, shared where the body is.
    type Kept;

    /// Splits the request. Nothing is kept when it can never be sent again, or when a body whose
    /// length is known is longer than `cap` bytes.
    fn split(self, cap: usize) -> (Self, Option<Self::Kept>);

    /// Whether `again` would answer with a request, asked before anything is paid for it.
    fn is_whole(_kept: &Self::Kept) -> bool {
        true
    }

    /// The same request once more, byte for byte, or `None` when its body is gone.
    fn again(kept: &mut Self::Kept) -> Option<Self>;
}

impl<B> Request for http::Request<B> {
    fn method(&self) -> &Method {
        self.method()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    fn authority(&self) -> Option<&str> {
        let written = || self.headers().get(http::header::HOST)?.to_str().ok();
        self.uri()
            .authority()
            .map(|authority| without_credentials(authority.as_str()))
            .or_else(written)
    }

    fn deadline(&self, _: Instant) -> Option<Deadline> {
        self.extensions().get().copied()
    }

    fn set_deadline(&mut self, deadline: Deadline, _: Instant) {
        self.extensions_mut().insert(deadline);
    }

    fn wants_record(&self) -> bool {
        self.extensions().get::<KeepRecord>().is_some()
    }

    fn class(&self) -> OperationClass {
        let named = self.extensions().get().copied();
        named.unwrap_or_else(|| OperationClass::of(self.call()))
    }
}

impl<B: ReplayBody> Replay for http::Request<B> {
    type Kept = (Parts, B::Kept);

    fn split(self, cap: usize) -> (Self, Option<Self::Kept>) {
        let (parts, body) = self.into_parts();
        let (body, kept) = body.split(cap);
        let kept = kept.map(|body| (parts.clone(), body));
        (Self::from_parts(parts, body), kept)
    }

    fn is_whole((_, body): &Self::Kept) -> bool {
        B::is_whole(body)
    }

    fn again((parts, body): &mut Self::Kept) -> Option<Self> {
        Some(Self::from_parts(parts.clone(), B::again(body)?))
    }
}

#[cfg(feature = "reqwest")]
impl Request for reqwest::Request {
    fn method(&self) -> &Method {
        self.method()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    fn authority(&self) -> Option<&str> {
        Some(without_credentials(self.url().authority()))
    }

    // reqwest keeps its extensions to itself, so the deadline rides on the header that the next
    // hop reads anyway. It is relative, and therefore read by a layer at the moment of its call.
    fn deadline(&self, now: Instant) -> Option<Deadline> {
        Deadline::from_wire(self.headers(), now)
    }

    fn set_deadline(&mut self, deadline: Deadline, now: Instant) {
        deadline.write(self.headers_mut(), now);
    }
}

#[cfg(feature = "reqwest")]
impl Replay for reqwest::Request {
    type Kept = Self;

    fn split(self, cap: usize) -> (Self, Option<Self>) {
        let fits = match self.body() {
            None => true,
            Some(body) => body.as_bytes().is_some_and(|bytes| bytes.len() <= cap),
        };
        let kept = if fits { self.try_clone() } else { None };
        (self, kept)
    }

    fn again(kept: &mut Self) -> Option<Self> {
        kept.try_clone()
    }
}

fn without_credentials(authority: &str) -> &str {
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::Full;

    #[test]
    fn the_authority_never_shows_credentials() {
        let request = http::Request::get("http://user:secret@stock:7001/")
            .body(())
            .unwrap();
        assert_eq!(Request::authority(&request), Some("stock:7001"));
    }

    #[test]
    fn a_request_names_its_class_or_lets_its_method_tell() {
        let mut request = http::Request::post("/").body(()).unwrap();
        assert_eq!(request.class(), OperationClass::Confirm);
        request
            .headers_mut()
            .insert(crate::IDEMPOTENCY_KEY, "k".parse().unwrap());
        assert_eq!(request.class(), OperationClass::KeyedWrite);
        request.extensions_mut().insert(OperationClass::Deferred);
        assert_eq!(request.class(), OperationClass::Deferred);
    }

    #[test]
    fn a_server_request_names_its_host_by_header() {
        let request = http::Request::get("/")
            .header("host", "stock:7001")
            .body(())
            .unwrap();
        assert_eq!(Request::authority(&request), Some("stock:7001"));
    }

    #[tokio::test]
    async fn every_attempt_has_the_same_headers_extensions_and_bytes() {
        use http_body_util::BodyExt;
        let request = http::Request::post("/")
            .header("idempotency-key", "k")
            .extension(7_u8);
        let (first, kept) = request.body(Full::<Bytes>::from("body")).unwrap().split(4);
        let mut kept = kept.unwrap();
        for mut sent in [
            first,
            Replay::again(&mut kept).unwrap(),
            Replay::again(&mut kept).unwrap(),
        ] {
            assert_eq!(sent.headers()["idempotency-key"], "k");
            assert_eq!(sent.extensions().get(), Some(&7_u8));
            assert_eq!(sent.body_mut().collect().await.unwrap().to_bytes(), "body");
        }
    }

    #[test]
    fn a_body_over_the_cap_goes_out_once() {
        let request = http::Request::post("/")
            .body(Full::<Bytes>::from("body"))
            .unwrap();
        let (sent, kept) = request.split(3);
        assert!(kept.is_none());
        assert_eq!(http_body::Body::size_hint(sent.body()).exact(), Some(4));
    }

    #[cfg(feature = "reqwest")]
    #[test]
    fn a_reqwest_request_carries_its_deadline_on_the_wire() {
        let now = crate::time::now();
        let mut request = reqwest::Request::new(Method::GET, "http://u:p@stock/".parse().unwrap());
        assert_eq!(Request::authority(&request), Some("stock"));
        assert_eq!(Request::deadline(&request, now), None);
        let deadline = Deadline::after(now, crate::time::Duration::from_secs(2));
        request.set_deadline(deadline, now);
        assert_eq!(Request::deadline(&request, now), Some(deadline));
    }

    #[cfg(feature = "reqwest")]
    #[test]
    fn a_reqwest_body_over_the_cap_is_not_kept() {
        let mut request = reqwest::Request::new(Method::POST, "http://stock/".parse().unwrap());
        *request.body_mut() = Some("body".into());
        let (request, kept) = request.split(4);
        assert_eq!(
            <reqwest::Request as Replay>::again(&mut kept.unwrap())
                .unwrap()
                .body()
                .unwrap()
                .as_bytes(),
            Some(&b"body"[..])
        );
        assert!(request.split(3).1.is_none());
    }
}
