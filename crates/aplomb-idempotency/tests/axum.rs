//! On an axum router.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::convert::Infallible;
use std::sync::Arc;

use aplomb_core::{Principal, Problem};
use aplomb_idempotency::store::{Commit, recorded};
use aplomb_idempotency::{
    Claim, IdempotencyEvent, IdempotencyLayer, MemoryStore, Recorded, Refusal, Settled, Store,
};
use axum::body::Body;
use axum::extract::{FromRequestParts, Path};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};

use common::{Counter, Heard};

#[tokio::test]
async fn a_layer_that_is_applied_again_is_the_same_layer() {
    let runs = Counter::default();
    let layer = IdempotencyLayer::new(MemoryStore::new());
    // Two routers with clones of one layer, and a router that is not finalised: axum applies its
    // layers once more with every request.
    let (first, second) = (router(&runs, layer.clone()), router(&runs, layer));
    assert_eq!(send(first.clone(), "/orders/1").await, (StatusCode::OK, false));
    assert_eq!(send(first, "/orders/1").await, (StatusCode::OK, true));
    assert_eq!(send(second, "/orders/1").await, (StatusCode::OK, true));
    assert_eq!(runs.get(), 1);
}

#[tokio::test]
async fn keys_belong_to_the_route_and_payloads_to_the_path() {
    let runs = Counter::default();
    let app = router(&runs, IdempotencyLayer::new(MemoryStore::new()));
    assert_eq!(send(app.clone(), "/orders/1").await, (StatusCode::OK, false));
    // The same key on another path of the same route is the same key for another payload.
    assert_eq!(send(app, "/orders/2").await, (StatusCode::UNPROCESSABLE_ENTITY, false));
}

#[tokio::test]
async fn what_a_nested_router_is_not_told_of_the_path_tells_payloads_apart_too() {
    let runs = Counter::default();
    let counts = async move |_: Claim| runs.add().to_string();
    let tenants = Router::new()
        .route("/orders", post(counts))
        .route_layer(IdempotencyLayer::new(MemoryStore::new()))
        .layer(Extension(Principal::new("shop")));
    let app = Router::new().nest("/{tenant}", tenants);
    assert_eq!(send(app.clone(), "/acme/orders").await, (StatusCode::OK, false));
    assert_eq!(send(app, "/globex/orders").await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_service_that_is_nested_twice_has_two_routes() {
    let runs = Counter::default();
    let counts = service_fn(move |_: Request<Body>| {
        let run = runs.add();
        async move { Ok::<_, Infallible>(Response::new(Body::from(run.to_string()))) }
    });
    let service = IdempotencyLayer::new(MemoryStore::new()).layer(counts);
    let app = Router::new()
        .nest_service("/payments", service.clone())
        .nest_service("/refunds", service)
        .layer(Extension(Principal::new("shop")));
    assert_eq!(send(app.clone(), "/payments/1").await, (StatusCode::OK, false));
    assert_eq!(send(app.clone(), "/refunds/1").await, (StatusCode::OK, false));
    assert_eq!(send(app, "/payments/1").await, (StatusCode::OK, true));
}

#[tokio::test]
async fn a_handler_that_asks_for_a_claim_where_there_is_none_says_what_to_do() {
    let app: Router = Router::new().route("/orders", post(|_: Claim| async {}));
    let request = Request::post("/orders").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("IdempotencyLayer"));
}

#[tokio::test]
async fn a_transactional_route_records_or_refuses() {
    let store = Arc::new(MemoryStore::new());
    let reserve = {
        let store = Arc::clone(&store);
        async move |claim: Claim, Path(id): Path<String>| -> Result<Recorded, Refusal> {
            if id == "none" {
                return Err(Problem::new("/none", "none", StatusCode::CONFLICT).into());
            }
            let response = Response::new(Bytes::from(id));
            let (answer, keep) = (claim.stored(&response), claim.terms().keep);
            assert_eq!(store.complete(claim.held(), &answer, keep).await?, Settled::Done);
            Ok(recorded(&claim, response, Commit::Done))
        }
    };
    let layer = IdempotencyLayer::new(store).transactional();
    let app: Router = Router::new()
        .route("/orders/{id}", layer.post(reserve))
        .layer(Extension(Principal::new("shop")));
    assert_eq!(send(app.clone(), "/orders/1").await, (StatusCode::OK, false));
    assert_eq!(send(app.clone(), "/orders/1").await, (StatusCode::OK, true));
    let mut none = Request::post("/orders/none").body(Body::empty()).unwrap();
    none.headers_mut().insert("idempotency-key", "n".parse().unwrap());
    assert_eq!(app.oneshot(none).await.unwrap().status(), StatusCode::CONFLICT);
}

/// An extractor that answers in the handler's place, with a success.
struct Sly;

impl<S: Sync> FromRequestParts<S> for Sly {
    type Rejection = StatusCode;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        Err(StatusCode::CREATED)
    }
}

#[tokio::test]
async fn a_success_that_was_not_recorded_is_an_error_and_unknown() {
    async fn reserve(_: Claim, _: Sly, _: Body) -> Result<Recorded, Refusal> {
        unreachable!("the extractor answers")
    }
    let heard = Heard::default();
    let layer = IdempotencyLayer::new(MemoryStore::new()).transactional();
    let app: Router = Router::new()
        .route("/orders", layer.observe(heard.observer()).post(reserve))
        .layer(Extension(Principal::new("shop")));
    assert_eq!(send(app.clone(), "/orders").await.0, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(heard.all().contains(&IdempotencyEvent::Unrecorded));
    assert_eq!(send(app, "/orders").await.0, StatusCode::CONFLICT, "the outcome is unknown");
    assert_eq!(heard.all().last(), Some(&IdempotencyEvent::Unknown));
}

fn router(runs: &Counter, layer: IdempotencyLayer<MemoryStore>) -> Router {
    let runs = runs.clone();
    let handler = move |claim: Claim, Path(id): Path<String>| {
        runs.add();
        async move { format!("{} {id}", claim.key()) }
    };
    Router::new()
        .route("/orders/{id}", post(handler))
        .route_layer(layer)
        .route("/healthz", get(|| async {}))
        .layer(Extension(Principal::new("shop")))
}

async fn send(app: Router, path: &str) -> (StatusCode, bool) {
    let request = Request::post(path).header("idempotency-key", "k").body(Body::empty()).unwrap();
    let response: Response<_> = app.oneshot(request).await.unwrap();
    (response.status(), response.headers().contains_key("idempotent-replayed"))
}
