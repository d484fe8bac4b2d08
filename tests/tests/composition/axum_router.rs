//! On an axum `Router`, under the problem layer.

use std::net::SocketAddr;

use aplomb::core::{Deadline, Principal};
use aplomb::idempotency::{MemoryStore, problems::REPLAYED};
use aplomb::{
    DEPENDENCY_FAILED, DEPENDENCY_PAUSED, DeadlineLayer, IdempotencyLayer, ProblemLayer,
    deadline::EXPIRED,
};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{any, get as on_get};
use axum::{Extension, Router};
use bytes::Bytes;
use tower::ServiceBuilder;

use crate::layers::{backoff, breaker, doors, fallback, loses_one, retry};
use crate::wire::{Script, Stock, ask, get, ms, post, serve, serve_router};

async fn found() -> &'static str {
    "42"
}

async fn hangs() -> &'static str {
    std::future::pending().await
}

/// Passes a request on to another server.
async fn passed_on(State(address): State<SocketAddr>) -> impl IntoResponse {
    let seen = ask(get(address)).await.unwrap();
    (StatusCode::from_u16(seen.status).unwrap(), seen.headers, seen.body)
}

/// Passes a request on to another server, with its body.
async fn posted_on(State(address): State<SocketAddr>, body: Bytes) -> impl IntoResponse {
    let mut request = post(address, "k");
    *request.body_mut() = body.into();
    let seen = ask(request).await.unwrap();
    (StatusCode::from_u16(seen.status).unwrap(), seen.body)
}

#[tokio::test]
async fn problems_answer_for_a_layer_that_fails() {
    let router = Router::new()
        .route("/stock", on_get(found))
        .layer(ServiceBuilder::new().layer(ProblemLayer::new()).layer(loses_one().edge()));
    let seen = ask(get(serve_router(router).await)).await.unwrap();
    assert_eq!((seen.status, seen.problem()), (502, DEPENDENCY_FAILED.into()));
}

#[tokio::test]
async fn retry_runs_a_handler_again_with_the_same_bytes() {
    let stock = Stock::plain([Script::Status(503)]).await;
    let router = Router::new()
        .route("/stock", any(posted_on))
        .layer(ServiceBuilder::new().layer(ProblemLayer::new()).layer(retry().honours_keys()))
        .with_state(stock.address);
    let seen = ask(post(serve_router(router).await, "k")).await.unwrap();
    assert_eq!((seen.status, &seen.body[..]), (200, &b"42"[..]));
    let seen = stock.seen();
    assert_eq!(seen.iter().map(|(_, _, body)| &body[..]).collect::<Vec<_>>(), [b"a mug"; 2]);
}

#[tokio::test]
async fn deadline_total_ends_the_work() {
    let router = Router::new().route("/stock", on_get(hangs)).layer(
        ServiceBuilder::new().layer(ProblemLayer::new()).layer(DeadlineLayer::total(ms(50))),
    );
    let seen = ask(get(serve_router(router).await)).await.unwrap();
    assert_eq!((seen.status, seen.problem()), (504, EXPIRED.into()));
}

#[tokio::test]
async fn deadline_attempt_ends_the_work() {
    let router = Router::new().route("/stock", on_get(hangs)).layer(
        ServiceBuilder::new().layer(ProblemLayer::new()).layer(DeadlineLayer::attempt(ms(50))),
    );
    let seen = ask(get(serve_router(router).await)).await.unwrap();
    assert_eq!((seen.status, seen.problem()), (504, EXPIRED.into()));
}

#[tokio::test]
async fn inherit_ends_the_work_when_its_caller_stops_waiting() {
    let router = Router::new().route("/stock", on_get(hangs)).layer(DeadlineLayer::inherit());
    let mut request = get(serve_router(router).await);
    request.headers_mut().insert("x-envoy-expected-rq-timeout-ms", "50".parse().unwrap());
    let seen = ask(request).await.unwrap();
    assert_eq!((seen.status, seen.problem()), (504, EXPIRED.into()));
}

#[tokio::test]
async fn inherit_tells_the_work_what_is_left() {
    let told = async || if Deadline::current().is_some() { "some" } else { "none" };
    let router = Router::new().route("/stock", on_get(told)).layer(DeadlineLayer::inherit());
    let mut request = get(serve_router(router).await);
    request.headers_mut().insert("x-envoy-expected-rq-timeout-ms", "9999".parse().unwrap());
    assert_eq!(ask(request).await.unwrap().body, "some");
}

#[tokio::test]
async fn idempotency_runs_a_key_once() {
    let router = Router::new()
        .route("/stock", any(found))
        .route_layer(IdempotencyLayer::new(MemoryStore::new()))
        .layer(Extension(Principal::new("shop")));
    let address = serve_router(router).await;
    let first = ask(post(address, "k")).await.unwrap();
    let second = ask(post(address, "k")).await.unwrap();
    assert_eq!(
        [first, second].map(|seen| (seen.status, seen.headers.contains_key(REPLAYED))),
        [(200, false), (200, true)]
    );
}

#[tokio::test]
async fn backoff_leaves_alone_what_asked_for_it() {
    let stock = Stock::plain([Script::Pause(60)]).await;
    let router = Router::new()
        .route("/stock", on_get(passed_on))
        .layer(ServiceBuilder::new().layer(ProblemLayer::new()).layer(backoff()))
        .with_state(stock.address);
    let address = serve_router(router).await;
    assert_eq!(ask(get(address)).await.unwrap().status, 503);
    let seen = ask(get(address)).await.unwrap();
    assert_eq!((seen.status, seen.problem()), (503, DEPENDENCY_PAUSED.into()));
    assert!(seen.headers.contains_key("retry-after"));
    assert_eq!(stock.requests(), 1);
}

#[tokio::test]
async fn chaos_edge_cuts_the_connection_around_the_router() {
    let router = Router::new().route("/stock", on_get(found));
    // axum's own server takes only what cannot fail, and an edge fails on purpose.
    let server = ServiceBuilder::new().layer(loses_one().edge()).service(router);
    let address = serve(server).await;
    assert!(ask(get(address)).await.is_err());
    assert_eq!(ask(get(address)).await.unwrap().status, 200);
}

#[tokio::test]
async fn breaker_stops_running_what_failed() {
    let stock = Stock::plain([Script::Status(503)]).await;
    let router = Router::new()
        .route("/stock", on_get(passed_on))
        .layer(ServiceBuilder::new().layer(ProblemLayer::new()).layer(breaker()))
        .with_state(stock.address);
    let address = serve_router(router).await;
    assert_eq!(ask(get(address)).await.unwrap().status, 503);
    let seen = ask(get(address)).await.unwrap();
    assert_eq!((seen.status, seen.problem()), (503, DEPENDENCY_PAUSED.into()));
    assert_eq!(stock.requests(), 1);
}

#[tokio::test]
async fn admission_takes_on_no_more_than_there_are_places() {
    let doors = doors();
    let places = doors.handle();
    let router = Router::new().route("/stock", on_get(hangs)).layer(doors);
    let address = serve_router(router).await;
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
    let router = Router::new()
        .route("/stock", on_get(passed_on))
        .layer(ServiceBuilder::new().layer(ProblemLayer::new()).layer(fallback()))
        .with_state(stock.address);
    let seen = ask(get(serve_router(router).await)).await.unwrap();
    assert_eq!((seen.status, &seen.body[..]), (200, &b"few"[..]));
}
