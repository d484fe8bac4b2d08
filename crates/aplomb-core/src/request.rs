use http::{Extensions, HeaderMap, Method, Uri};

use crate::time::Instant;
use crate::{Call, Deadline, KeepRecord, OperationClass, Repeatable, ReplayBody, Safety};

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
    /// What it asks for. A server's request may name a path alone.
    fn uri(&self) -> Uri;
    /// The path of what it asks for, without copying it.
    fn path(&self) -> &str;
    /// Host and port that it goes to, without credentials.
    fn authority(&self) -> Option<&str>;
    /// The deadline that it carries; [`Deadline::of`] knows the one in force as well.
    fn deadline(&self, now: Instant) -> Option<Deadline>;

    /// Whether it may carry one. Asked before the clock is read for [`deadline`](Self::deadline).
    fn may_carry_deadline(&self) -> bool {
        true
    }

    /// Its extensions, where they can be read: reqwest keeps its own to itself.
    fn extensions(&self) -> Option<&Extensions> {
        None
    }

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

/// A request of which can be kept what the next attempt needs.
pub trait Replay: Request + Sized {
    /// What the next attempt needs: cheap to hold, shared where the body is.
    type Kept: Request;

    /// Keeps what the next attempt needs, before this one is sent. Nothing is kept when it can never
    /// be sent again, or when a body whose length is known is longer than `cap` bytes.
    fn keep(&mut self, cap: usize) -> Option<Self::Kept>;

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

    fn uri(&self) -> Uri {
        self.uri().clone()
    }

    fn path(&self) -> &str {
        self.uri().path()
    }

    fn extensions(&self) -> Option<&Extensions> {
        Some(self.extensions())
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

    #[inline]
    fn may_carry_deadline(&self) -> bool {
        !self.extensions().is_empty()
    }

    fn wants_record(&self) -> bool {
        self.extensions().get::<KeepRecord>().is_some()
    }

    fn class(&self) -> OperationClass {
        let named = self.extensions().get().copied();
        named.unwrap_or_else(|| OperationClass::of(self.call()))
    }

    #[inline]
    fn call(&self) -> Call {
        let call = Call::of(self.method(), self.headers());
        // A client's request seldom carries anything, and looking costs more than the rest of this.
        if self.extensions().is_empty() { call } else { as_said(call, self.extensions()) }
    }
}

/// The call as its author knows it.
#[inline(never)]
fn as_said(call: Call, extensions: &Extensions) -> Call {
    match extensions.get() {
        None => call,
        Some(Repeatable::Yes) => Call { safety: Safety::Idempotent, ..call },
        Some(Repeatable::No) => Call { once: true, ..call },
    }
}

impl<B: ReplayBody> Replay for http::Request<B> {
    type Kept = http::Request<B::Kept>;

    fn keep(&mut self, cap: usize) -> Option<Self::Kept> {
        B::keep_request(self, cap)
    }

    fn is_whole(kept: &Self::Kept) -> bool {
        B::is_whole(kept.body())
    }

    fn again(kept: &mut Self::Kept) -> Option<Self> {
        B::request_again(kept)
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

    // Every URL that can be sent is a URI too.
    fn uri(&self) -> Uri {
        self.url().as_str().parse().unwrap_or_default()
    }

    fn path(&self) -> &str {
        self.url().path()
    }

    fn authority(&self) -> Option<&str> {
        Some(without_credentials(self.url().authority()))
    }

    // reqwest keeps its extensions to itself; what can be carried is the header for the next hop.
    // It is relative, and therefore read by a layer at the moment of its call.
    fn deadline(&self, now: Instant) -> Option<Deadline> {
        Deadline::from_wire(self.headers(), now)
    }
}

fn without_credentials(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::Full;

    #[test]
    fn the_authority_never_shows_credentials() {
        let request = http::Request::get("http://user:secret@stock:7001/").body(()).unwrap();
        assert_eq!(Request::authority(&request), Some("stock:7001"));
    }

    #[test]
    fn a_request_names_its_class_or_lets_its_method_tell() {
        let mut request = http::Request::post("/").body(()).unwrap();
        assert_eq!(request.class(), OperationClass::Confirm);
        request.headers_mut().insert(crate::IDEMPOTENCY_KEY, "k".parse().unwrap());
        assert_eq!(request.class(), OperationClass::KeyedWrite);
        request.extensions_mut().insert(OperationClass::Deferred);
        assert_eq!(request.class(), OperationClass::Deferred);
    }

    #[test]
    fn its_author_knows_better_than_its_method_whether_a_request_may_be_repeated() {
        let mut request = http::Request::post("/").body(()).unwrap();
        request.extensions_mut().insert(Repeatable::Yes);
        assert_eq!((request.call().safety, request.call().once), (Safety::Idempotent, false));
        *request.method_mut() = Method::GET;
        request.extensions_mut().insert(Repeatable::No);
        assert_eq!((request.call().safety, request.call().once), (Safety::Idempotent, true));
        assert_eq!(request.class(), OperationClass::Read, "it reads all the same");
    }

    #[test]
    fn a_server_request_names_its_host_by_header() {
        let request = http::Request::get("/").header("host", "stock:7001").body(()).unwrap();
        assert_eq!(Request::authority(&request), Some("stock:7001"));
    }

    #[tokio::test]
    async fn every_attempt_has_the_same_headers_extensions_and_bytes() {
        use http_body_util::BodyExt;
        let request = http::Request::post("/").header("idempotency-key", "k").extension(7_u8);
        let mut first = request.body(Full::<Bytes>::from("body")).unwrap();
        let mut kept = first.keep(4).unwrap();
        let (second, third) = (Replay::again(&mut kept), Replay::again(&mut kept));
        for mut sent in [first, second.unwrap(), third.unwrap()] {
            assert_eq!((sent.method(), sent.uri().path()), (&Method::POST, "/"));
            assert_eq!(sent.headers()["idempotency-key"], "k");
            assert_eq!(sent.extensions().get(), Some(&7_u8));
            assert_eq!(sent.body_mut().collect().await.unwrap().to_bytes(), "body");
        }
    }

    #[test]
    fn a_body_over_the_cap_goes_out_once() {
        let mut request = http::Request::post("/").body(Full::<Bytes>::from("body")).unwrap();
        assert!(request.keep(3).is_none());
        assert_eq!(http_body::Body::size_hint(request.body()).exact(), Some(4));
    }

    #[cfg(feature = "reqwest")]
    #[test]
    fn a_reqwest_request_carries_its_deadline_on_the_wire() {
        let now = crate::time::now();
        let mut request = reqwest::Request::new(Method::GET, "http://u:p@stock/".parse().unwrap());
        assert_eq!(Request::authority(&request), Some("stock"));
        assert_eq!(Request::deadline(&request, now), None);
        let deadline = Deadline::after(now, crate::time::Duration::from_secs(2));
        deadline.write(request.headers_mut(), now);
        assert_eq!(Request::deadline(&request, now), Some(deadline));
    }

    #[cfg(feature = "reqwest")]
    #[test]
    fn a_reqwest_body_over_the_cap_is_not_kept() {
        let mut request = reqwest::Request::new(Method::POST, "http://stock/".parse().unwrap());
        *request.body_mut() = Some("body".into());
        let again = reqwest::Request::again(&mut request.keep(4).unwrap()).unwrap();
        assert_eq!(again.body().unwrap().as_bytes(), Some(&b"body"[..]));
        assert!(request.keep(3).is_none());
    }
}
