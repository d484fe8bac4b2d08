//! The one order of a server's layers, however often a router applies it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aplomb::AdmissionLayer;
use aplomb::core::{DeadlineExceeded, EXPECTED_TIMEOUT, IDEMPOTENCY_KEY, Principal};
use aplomb::idempotency::{IdempotencyLayer, MemoryStore};
use aplomb::stack::server;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::post;
use axum::{Extension, Router};
use tokio::sync::Notify;
use tower::{Layer, ServiceExt, service_fn};

fn reserve(key: Option<&str>) -> Request {
    let request = Request::post("/reservations");
    let request =
        key.into_iter().fold(request, |request, key| request.header(IDEMPOTENCY_KEY, key));
    request.body(Body::from("a mug")).unwrap()
}

async fn ask(app: &Router, request: Request) -> Response {
    app.clone().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn a_key_runs_once_though_the_router_applies_the_stack_each_time() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let handler = move || async move { counted.fetch_add(1, Ordering::Relaxed).to_string() };
    // On a router that is not final a layer is applied for each request.
    let app: Router = Router::new().route("/reservations", post(handler)).layer(
        server()
            .authenticate(Extension(Principal::new("shop")))
            .admission(AdmissionLayer::new(8))
            .idempotency(IdempotencyLayer::new(MemoryStore::new())),
    );
    let first = ask(&app, reserve(Some("order_1"))).await;
    let again = ask(&app, reserve(Some("order_1"))).await;
    assert_eq!((first.status().as_u16(), again.status().as_u16()), (200, 200));
    assert!(again.headers().contains_key("idempotent-replayed"));
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn all_applications_share_one_limit() {
    let (begun, open) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, waited) = (Arc::clone(&begun), Arc::clone(&open));
    let handler = move || async move {
        told.notify_one();
        waited.notified().await;
        "reserved"
    };
    let admission = AdmissionLayer::new(1).waiters_max(0);
    let stack = server().admission(admission);
    let app: Router = Router::new()
        .route("/reservations", post(handler.clone()))
        .route("/others", post(handler))
        .layer(stack);
    let first = tokio::spawn(app.clone().oneshot(reserve(None)));
    begun.notified().await;
    let other = Request::post("/others").body(Body::empty()).unwrap();
    let turned_away = ask(&app, other).await;
    assert_eq!(turned_away.status(), 503);
    open.notify_one();
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn a_caller_who_is_late_takes_no_place_and_claims_no_key() {
    let app: Router = Router::new().route("/reservations", post(async || "reserved")).layer(
        server()
            .authenticate(Extension(Principal::new("shop")))
            .admission(AdmissionLayer::new(1))
            .idempotency(IdempotencyLayer::new(MemoryStore::new())),
    );
    let mut late = reserve(Some("order_1"));
    late.headers_mut().insert(EXPECTED_TIMEOUT, "0".parse().unwrap());
    assert_eq!(ask(&app, late).await.status(), 504);
    let first = ask(&app, reserve(Some("order_1"))).await;
    assert_eq!(first.status(), 200);
    assert!(!first.headers().contains_key("idempotent-replayed"));
}

#[tokio::test]
async fn whatever_fails_inside_is_answered() {
    let handler =
        service_fn(|_: Request| async { Err::<Response, _>(DeadlineExceeded::default()) });
    let service = server().admission(AdmissionLayer::new(1)).layer(handler);
    let answer: Result<Response, Infallible> = service.oneshot(reserve(None)).await;
    assert_eq!(answer.unwrap().status(), 504);
}
