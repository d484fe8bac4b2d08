//! The layer over this store, on an axum router.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aplomb_core::Principal;
use aplomb_idempotency::IdempotencyLayer;
use aplomb_testkit::servers::Redis;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::post;
use axum::{Extension, Router};
use futures_util::future::join_all;
use http_body_util::BodyExt;
use tower::ServiceExt;

use common::{store, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn fifty_callers_of_one_key_on_two_servers_make_one_run() {
    let redis = Redis::start().unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let finish = Arc::new(tokio::sync::Semaphore::new(0));
    let servers = [server(&redis, &runs, &finish), server(&redis, &runs, &finish)];
    let calls = (0..50).map(|caller: usize| {
        let server = servers[caller % 2].clone();
        tokio::spawn(async move { call(server).await })
    });
    let calls = join_all(calls);
    let finished = async {
        // The handler waits until it was called, and its rivals until it is done or they are told.
        wait_until(async || runs.load(Ordering::SeqCst) == 1).await;
        finish.add_permits(50);
    };
    let (answers, ()) = tokio::join!(calls, finished);
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    for (status, body) in &answers {
        match *status {
            StatusCode::CREATED => assert_eq!(body, "order 1"),
            StatusCode::CONFLICT => assert!(body.contains("/problems/"), "{body}"),
            other => panic!("{other}: {body}"),
        }
    }
    assert!(answers.iter().any(|(status, _)| *status == StatusCode::CREATED));
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    for server in servers {
        assert_eq!(call(server).await, (StatusCode::CREATED, "order 1".to_owned()));
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_is_down_runs_no_handler() {
    let redis = Redis::start_with(&[]).unwrap();
    let (runs, finish) = (Arc::default(), Arc::new(tokio::sync::Semaphore::new(50)));
    let server = server(&redis, &runs, &finish);
    redis.kill().unwrap();
    let (status, _) = call(server.clone()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    redis.revive().unwrap();
    assert_eq!(call(server).await.0, StatusCode::CREATED);
}

fn server(redis: &Redis, runs: &Arc<AtomicUsize>, finish: &Arc<tokio::sync::Semaphore>) -> Router {
    let (runs, finish) = (Arc::clone(runs), Arc::clone(finish));
    let order = move || async move {
        let number = runs.fetch_add(1, Ordering::SeqCst) + 1;
        finish.acquire().await.unwrap().forget();
        (StatusCode::CREATED, format!("order {number}"))
    };
    Router::new()
        .route("/orders", post(order))
        .route_layer(IdempotencyLayer::new(store(redis)))
        .layer(Extension(Principal::new("shop")))
}

async fn call(server: Router) -> (StatusCode, String) {
    let request = Request::post("/orders").header("idempotency-key", "\"k\"");
    let request = request.body(Body::from("one mug")).unwrap();
    let response = server.oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}
