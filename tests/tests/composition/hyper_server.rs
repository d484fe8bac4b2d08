//! On a bare hyper server, under the problem layer.
//!
//! Its requests have the body `Incoming`, which nobody can make. One line gives layers that must
//! make a body, to replay it, one that can be made:
//! `.map_request(|request| Request::map(request, Body::new))`.

use std::convert::Infallible;
use std::net::SocketAddr;

use aplomb::core::{BoxError, Deadline, transport};
use aplomb::idempotency::{MemoryStore, problems::REPLAYED};
use aplomb::{
    DEPENDENCY_FAILED, DEPENDENCY_PAUSED, DeadlineLayer, INTERNAL, IdempotencyLayer, ProblemLayer,
    deadline::EXPIRED,
};
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper_util::rt::TokioExecutor;
use tower::ServiceBuilder;

use crate::layers::{backoff, breaker, doors, fallback, fits_axum, loses_one, retry};
use crate::wire::{Script, Seen, Stock, ask, get, ms, post, serve};

async fn found<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("42")))
}

/// Passes a request on to another server.
async fn passed_on(address: SocketAddr) -> Result<Response<Full<Bytes>>, BoxError> {
    let Seen { status, headers, body } = ask(get(address)).await?;
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status)?;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Passes a request on as it comes, a body that is a stream included.
async fn streamed_on(
    address: SocketAddr,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    let (mut parts, body) = request.into_parts();
    parts.uri = format!("http://{address}{}", parts.uri.path()).parse()?;
    let client = transport::hyper(TokioExecutor::new()).build_http();
    Ok(client.request(Request::from_parts(parts, body)).await?.map(Body::new))
}

async fn hangs<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    std::future::pending().await
}

async fn fails<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, BoxError> {
    Err("hunter2".into())
}

#[tokio::test]
async fn problems_answer_what_nobody_foresaw() {
    let server = ServiceBuilder::new().layer(ProblemLayer::new()).service_fn(fails);
    let seen = ask(get(serve(fits_axum(server)).await)).await.unwrap();
    assert_eq!((seen.status, seen.problem()), (500, INTERNAL.into()));
}

#[tokio::test]
async fn retry_passes_a_request_on_again_with_the_same_bytes() {
    let stock = Stock::plain([Script::Status(503)]).await;
    let address = stock.address;
    let server = ServiceBuilder::new()
        .layer(ProblemLayer::new())
        .map_request(|request| Request::map(request, Body::new))
        .layer(retry().honours_keys())
        .service_fn(move |request| streamed_on(address, request));
    let seen = ask(post(serve(fits_axum(server)).await, "k")).await.unwrap();
    assert_eq!((seen.status, &seen.body[..]), (200, &b"42"[..]));
    let seen = stock.seen();
    assert_eq!(seen.iter().map(|(_, _, body)| &body[..]).collect::<Vec<_>>(), [b"a mug"; 2]);
}

#[tokio::test]
async fn deadline_total_ends_the_work() {
    let server = ServiceBuilder::new()
        .layer(ProblemLayer::new())
        .layer(DeadlineLayer::total(ms(50)))
        .service_fn(hangs);
    let seen = ask(get(serve(fits_axum(server)).await)).await.unwrap();
    assert_eq!((seen.status, seen.problem()), (504, EXPIRED.into()));
}

#[tokio::test]
async fn deadline_attempt_ends_the_work() {
    let server = ServiceBuilder::new()
        .layer(ProblemLayer::new())
        .layer(DeadlineLayer::attempt(ms(50)))
        .service_fn(hangs);
    let seen = ask(get(serve(fits_axum(server)).await)).await.unwrap();
    assert_eq!((seen.status, seen.problem()), (504, EXPIRED.into()));
}

#[tokio::test]
async fn inherit_ends_the_work_when_its_caller_stops_waiting() {
    let server = ServiceBuilder::new().layer(DeadlineLayer::inherit()).service_fn(hangs);
    let mut request = get(serve(fits_axum(server)).await);
    request.headers_mut().insert("x-envoy-expected-rq-timeout-ms", "50".parse().unwrap());
    let seen = ask(request).await.unwrap();
    assert_eq!((seen.status, seen.problem()), (504, EXPIRED.into()));
}

#[tokio::test]
async fn inherit_tells_the_work_what_is_left() {
    let server = ServiceBuilder::new().layer(DeadlineLayer::inherit()).service_fn(
        async |_: Request<hyper::body::Incoming>| {
            let left = if Deadline::current().is_some() { "some" } else { "none" };
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(left)))
        },
    );
    let mut request = get(serve(server).await);
    request.headers_mut().insert("x-envoy-expected-rq-timeout-ms", "9999".parse().unwrap());
    assert_eq!(ask(request).await.unwrap().body, "some");
}

#[tokio::test]
async fn idempotency_runs_a_key_once() {
    let server = ServiceBuilder::new()
        .map_request(|request| Request::map(request, Body::new))
        .layer(IdempotencyLayer::new(MemoryStore::new()).global_scope("shop"))
        .service_fn(found);
    let address = serve(fits_axum(server)).await;
    let (first, second) =
        (ask(post(address, "k")).await.unwrap(), ask(post(address, "k")).await.unwrap());
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(
        [first, second].map(|seen| (seen.body, seen.headers.contains_key(REPLAYED))),
        [("42".into(), false), ("42".into(), true)]
    );
}

#[tokio::test]
async fn backoff_leaves_alone_what_asked_for_it() {
    let stock = Stock::plain([Script::Pause(60)]).await;
    let address = stock.address;
    let server = ServiceBuilder::new()
        .layer(ProblemLayer::new())
        .layer(backoff())
        .service_fn(move |_| passed_on(address));
    let server = serve(fits_axum(server)).await;
    assert_eq!(ask(get(server)).await.unwrap().status, 503);
    let seen = ask(get(server)).await.unwrap();
    assert_eq!((seen.status, seen.problem()), (503, DEPENDENCY_PAUSED.into()));
    assert!(seen.headers.contains_key("retry-after"));
    assert_eq!(stock.requests(), 1);
}

#[tokio::test]
async fn chaos_edge_cuts_the_connection_when_it_is_outermost() {
    let server = ServiceBuilder::new()
        .layer(loses_one().edge())
        .layer(ProblemLayer::new())
        .service_fn(found);
    let server = serve(fits_axum(server)).await;
    assert!(ask(get(server)).await.is_err());
    assert_eq!(ask(get(server)).await.unwrap().status, 200);
}

#[tokio::test]
async fn chaos_edge_is_answered_for_under_the_problem_layer() {
    let server = ServiceBuilder::new()
        .layer(ProblemLayer::new())
        .layer(loses_one().edge())
        .service_fn(found);
    let seen = ask(get(serve(server).await)).await.unwrap();
    assert_eq!((seen.status, seen.problem()), (502, DEPENDENCY_FAILED.into()));
}

#[tokio::test]
async fn breaker_stops_running_what_failed() {
    let stock = Stock::plain([Script::Status(503)]).await;
    let address = stock.address;
    let server = ServiceBuilder::new()
        .layer(ProblemLayer::new())
        .layer(breaker())
        .service_fn(move |_: Request<_>| passed_on(address));
    let address = serve(fits_axum(server)).await;
    assert_eq!(ask(get(address)).await.unwrap().status, 503);
    let seen = ask(get(address)).await.unwrap();
    assert_eq!((seen.status, seen.problem()), (503, DEPENDENCY_PAUSED.into()));
    assert_eq!(stock.requests(), 1);
}

#[tokio::test]
async fn admission_takes_on_no_more_than_there_are_places() {
    let doors = doors();
    let places = doors.handle();
    let server = ServiceBuilder::new().layer(doors).service_fn(hangs);
    let address = serve(fits_axum(server)).await;
    let hanging = tokio::spawn(ask(get(address)));
    while places.snapshot().running == 0 {
        tokio::task::yield_now().await;
    }
    let seen = ask(get(address)).await.unwrap();
    assert_eq!(seen.status, 503);
    assert!(seen.headers.contains_key("retry-after"));
    hanging.abort();
}

#[tokio::test]
async fn fallback_answers_instead() {
    let stock = Stock::plain([Script::Status(503)]).await;
    let address = stock.address;
    let server = ServiceBuilder::new()
        .layer(ProblemLayer::new())
        .layer(fallback())
        .service_fn(move |_: Request<_>| passed_on(address));
    let seen = ask(get(serve(fits_axum(server)).await)).await.unwrap();
    assert_eq!((seen.status, &seen.body[..]), (200, &b"few"[..]));
}
