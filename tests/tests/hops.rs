//! Three services in a row over real HTTP, each with three attempts, and the last one down.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aplomb_backoff::Backoff;
use aplomb_core::{Ratio, time::Duration, transport};
use aplomb_retry::{Budget, ExhaustionLayer, RetryLayer, Terms};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tower::{Layer, Service, ServiceExt};

#[tokio::test]
async fn in_a_total_outage_the_bottom_hears_of_a_call_hardly_more_than_once() {
    let sends = sends_per_call(400, || Budget::percent(20)).await;
    assert!(sends <= 1.25, "{sends} sends per call");
}

#[tokio::test]
async fn without_any_budget_ownership_alone_makes_three_of_twenty_seven() {
    let endless = || Budget::new(Terms::earning(Ratio::ONE).cap(1_000));
    let sends = sends_per_call(20, endless).await;
    assert!((sends - 3.0).abs() < f64::EPSILON, "{sends} sends per call");
}

/// How many requests the bottom sees for each call at the top, when it answers nothing but 503.
async fn sends_per_call(calls: u32, budget: impl Fn() -> Budget) -> f64 {
    let seen = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&seen);
    let bottom = serve(Router::new().route(
        "/",
        get(move || {
            count.fetch_add(1, Ordering::Relaxed);
            async { StatusCode::SERVICE_UNAVAILABLE }
        }),
    ));
    let middle = serve(hop(bottom.await, budget()));
    let top = serve(hop(middle.await, budget())).await;
    let mut client = retry(budget()).layer(plain());
    for _ in 0..calls {
        let request = plain().get(&top).build().unwrap();
        let response = client.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    f64::from(seen.load(Ordering::Relaxed)) / f64::from(calls)
}

/// A service that asks the next one and passes its status on.
fn hop(next: String, budget: Budget) -> Router {
    let client = retry(budget).layer(plain());
    let ask = move || {
        let (client, request) = (client.clone(), plain().get(&next).build().unwrap());
        async move {
            let answer = client.oneshot(request).await;
            answer.map_or(StatusCode::BAD_GATEWAY, |answer| answer.status())
        }
    };
    Router::new().route("/", get(ask)).route_layer(ExhaustionLayer::new())
}

fn retry(budget: Budget) -> RetryLayer {
    let soon = Backoff::full(Duration::from_millis(1), Duration::from_millis(1));
    RetryLayer::new(budget).max_attempts(3).backoff(soon)
}

fn plain() -> reqwest::Client {
    transport::reqwest().build().unwrap()
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/")
}
