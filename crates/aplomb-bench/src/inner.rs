use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use tower_service::Service;

pub(crate) type Body = Full<Bytes>;

/// Answers 200 at once.
#[derive(Clone)]
pub(crate) struct Prompt;

impl Service<Request<Body>> for Prompt {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        std::hint::black_box(request);
        ready(Ok(Response::new(Body::default())))
    }
}

/// Answers 200 when it is polled the second time.
#[derive(Clone)]
pub(crate) struct Later;

impl Service<Request<Body>> for Later {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Second;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        std::hint::black_box(request);
        Second { polled: false }
    }
}

pub(crate) struct Second {
    polled: bool,
}

impl Future for Second {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::replace(&mut self.polled, true) {
            return Poll::Ready(Ok(Response::new(Body::default())));
        }
        Poll::Pending
    }
}

/// Answers 503 at once.
#[derive(Clone)]
pub(crate) struct Broken;

impl Service<Request<Body>> for Broken {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        std::hint::black_box(request);
        let mut response = Response::new(Body::default());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        ready(Ok(response))
    }
}

/// Loses its connection with every call, or with every other one.
#[derive(Clone)]
pub(crate) struct Failing {
    calls: Arc<AtomicU32>,
    every: u32,
}

impl Failing {
    pub(crate) fn always() -> Self {
        Self { calls: Arc::default(), every: 1 }
    }

    /// The second try of the first call succeeds, as does the first of the next.
    pub(crate) fn every_other() -> Self {
        Self { calls: Arc::default(), every: 3 }
    }
}

impl Service<Request<Body>> for Failing {
    type Response = Response<Body>;
    type Error = io::Error;
    type Future = Ready<io::Result<Response<Body>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        std::hint::black_box(request);
        if self.calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.every) {
            return ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        ready(Ok(Response::new(Body::default())))
    }
}

pub(crate) fn read() -> Request<Body> {
    request(Method::GET, 0)
}

pub(crate) fn read_8() -> Request<Body> {
    request(Method::GET, 8)
}

pub(crate) fn write() -> Request<Body> {
    request(Method::POST, 0)
}

/// A request with so many headers.
fn request(method: Method, headers: usize) -> Request<Body> {
    let mut request = Request::new(Body::new(BODY));
    *request.method_mut() = method;
    for (name, value) in HEADERS.iter().take(headers) {
        request.headers_mut().insert(*name, http::HeaderValue::from_static(value));
    }
    request
}

const BODY: Bytes = Bytes::from_static(b"{\"sku\":\"mug\",\"quantity\":1}");

const HEADERS: [(&str, &str); 8] = [
    ("accept", "application/json"),
    ("content-type", "application/json"),
    ("user-agent", "bench"),
    ("x-request-id", "01890a5d-ac96-774b-bcce-b302099a8057"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("accept-language", "en"),
    ("cache-control", "no-cache"),
    ("x-tenant", "shop"),
];
