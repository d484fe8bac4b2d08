//! What a call that succeeds at once allocates in the layers of a stack.

#![cfg(feature = "policy")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use aplomb::core::OperationClass;
use aplomb::policy::{Policy, PolicyFile};
use aplomb::stack::{self, Stack};
use http::{HeaderMap, HeaderValue, Request, Response};
use tower::{Layer, Service};

/// Answers at once, and allocates nothing.
#[derive(Clone)]
struct Prompt;

impl Service<Request<()>> for Prompt {
    type Response = Response<http_body_util::Empty<bytes::Bytes>>;
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::default()))
    }
}

#[tokio::test]
async fn a_call_that_is_sent_once_allocates_what_it_tells_the_next_hop() {
    let policy = Policy::preset(OperationClass::Confirm).build().unwrap();
    let client = Stack::new(policy).layer(Prompt);
    assert_eq!(allocations(&client, "http://stock:7001/stock/mug"), what_is_told());
}

#[tokio::test]
async fn a_call_that_may_be_repeated_allocates_the_copy_of_its_headers_too() {
    let policy = Policy::preset(OperationClass::Read).build().unwrap();
    let client = Stack::new(policy).layer(Prompt);
    let allocated = allocations(&client, "http://stock:7001/stock/mug");
    assert_eq!(allocated, what_is_told() + copy_of_headers());
}

#[tokio::test]
async fn finding_the_operation_allocates_nothing() {
    let policies = PolicyFile::parse(
        "aplomb.toml",
        r#"
        version = 1
        [service]
        name = "shop"
        [dependency.stock]
        authority = "stock:7001"
        breaker = { window = "10s" }
        in_flight = { limit = 8, wait = "10ms" }
        [dependency.stock.operation.look]
        class = "read"
        match = "GET /stock/{sku}"
        "#,
    );
    let client = stack::client(policies.unwrap()).service(Prompt);
    let found = allocations(&client, "http://stock:7001/stock/mug");
    // Beside what one policy alone costs: the name of who retries.
    assert_eq!(found, what_is_told() + copy_of_headers() + what_is_claimed());
}

/// Allocations of one call, after a first one that warms everything up.
fn allocations<S: Service<Request<()>> + Clone>(client: &S, uri: &'static str) -> u64 {
    let call = |request: Request<()>| {
        let mut client = client.clone();
        let mut answer = pin!(client.call(request));
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(answer.as_mut().poll(&mut context), Poll::Ready(Ok(_))));
    };
    call(request(uri));
    let second = request(uri);
    measure(|| call(second)).count_total
}

/// A request with room for the headers that layers write.
fn request(uri: &'static str) -> Request<()> {
    let mut request = Request::get(uri).body(()).unwrap();
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert("accept", "text/plain".parse().unwrap());
    *request.headers_mut() = headers;
    request
}

/// The value of a header: how much time is left.
fn what_is_told() -> u64 {
    measure(|| drop(HeaderValue::from(350_u64))).count_total
}

/// The value of another: who retries, towards whom. It is copied with the rest.
fn what_is_claimed() -> u64 {
    measure(|| drop(aplomb::core::owner::claim("shop", "stock:7001"))).count_total
}

fn copy_of_headers() -> u64 {
    let request = request("/");
    measure(|| drop(request.headers().clone())).count_total
}
