//! What a caller can do to the layer by what it sends, and what stops it.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{Principal, time};
use aplomb_idempotency::{IdempotencyLayer, MemoryStore, Scope, UPLOAD_MAX, problems};
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_refused_and_takes_no_key() {
    let store = Arc::new(MemoryStore::new());
    let begun = time::now();
    let drips = stream::iter([Ok::<_, Infallible>(Bytes::from("m"))]).chain(stream::pending());
    let answer = send(&store, "k", "shop", Body::from_stream(drips)).await;
    assert_eq!(answer, (StatusCode::REQUEST_TIMEOUT, problems::BODY_TOO_SLOW.to_owned()));
    assert_eq!(time::now() - begun, UPLOAD_MAX);
    assert!(store.is_empty(), "nothing was begun");
    assert_eq!(send(&store, "k", "shop", Body::from("mug")).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_has_no_longer_than_one_that_stops() {
    let drips = stream::iter(0..).then(|_| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, Infallible>(Bytes::from("m"))
    });
    let begun = time::now();
    let answer = send(&Arc::default(), "k", "shop", Body::from_stream(drips)).await;
    assert_eq!(answer.0, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(time::now() - begun, UPLOAD_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_keys_ends_at_the_stores_bound_and_leaves_known_keys_alone() {
    let store = Arc::new(MemoryStore::bounded(RECORDS, 1 << 20));
    assert_eq!(send(&store, "mine", "shop", Body::from("mug")).await.0, StatusCode::OK);
    let mut refused = 0;
    for number in 0..2 * RECORDS {
        let flood = send(&store, &format!("flood-{number}"), "stranger", Body::from("mug")).await;
        refused += usize::from(flood.0 == StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(store.len(), RECORDS);
    assert_eq!(refused, RECORDS + 1);
    assert_eq!(send(&store, "mine", "shop", Body::from("mug")).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_who_guesses_a_key_gets_nothing_of_its_owners() {
    let store = Arc::default();
    assert_eq!(send(&store, "order_1", "shop", Body::from("mug")).await.0, StatusCode::OK);
    // Another payload under the owner's key would be a 422: this is a key of the stranger's own.
    let guess = send(&store, "order_1", "stranger", Body::from("two mugs")).await;
    assert_eq!(guess, (StatusCode::OK, "done for stranger".to_owned()));
    assert_eq!(store.len(), 2);
}

/// The status, and the problem's type or the answer itself.
async fn send(
    store: &Arc<MemoryStore>,
    key: &str,
    caller: &str,
    body: Body,
) -> (StatusCode, String) {
    let handler = service_fn(|request: Request<Body>| async move {
        let claim = request.extensions().get::<aplomb_idempotency::Claim>().unwrap().clone();
        assert!(matches!(&claim.identity().scope, Scope::Principal(_)));
        let said = format!("done for {}", claim.caller());
        Ok::<_, Infallible>(Response::new(Body::from(said)))
    });
    let service = IdempotencyLayer::new(Arc::clone(store)).layer(handler);
    let request = Request::post("/orders").header("idempotency-key", key);
    let request = request.extension(Principal::new(caller)).body(body).unwrap();
    let response = service.oneshot(request).await.unwrap();
    let status = response.status();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let problem = serde_json::from_str::<serde_json::Value>(&text).ok();
    let kind = problem.and_then(|problem| Some(problem.get("type")?.as_str()?.to_owned()));
    (status, kind.unwrap_or(text))
}

const RECORDS: usize = 20;
