use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response};
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

/// A request with so many headers.
pub(crate) fn request(method: Method, headers: usize) -> Request<Body> {
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
