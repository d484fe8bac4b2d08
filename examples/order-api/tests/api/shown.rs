//! What the Order API tells of itself.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use aplomb_telemetry::Heard;
use axum::Router;
use axum::routing::get;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Town, serve};

#[tokio::test]
async fn a_timeline_tells_of_every_attempt_wait_and_replay() {
    let town = Town::open().await;
    town.stock("mug", 1).await;
    town.chaos(json!({"lose_next": 1})).await;
    let placed = town.order("click", &[("mug", 1)]).await;
    let path = format!("/orders/{}/timeline", placed.order_id());
    let timeline = town.get(&path).await;
    assert_eq!(timeline.status, StatusCode::OK);
    assert_eq!(timeline.body["status"], "confirmed");
    let entries = timeline.body["entries"].as_array().unwrap();
    let events: Vec<_> = entries.iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["unanswered", "waited", "answered"]);
    assert_eq!(entries[2]["replayed"], true);
    let wait = entries[1]["wait_ms"].as_u64().unwrap();
    let told = format!("attempt 1 response lost → waited {wait} ms → attempt 2 replayed 201");
    assert_eq!(timeline.body["sentence"], told);
    let unknown = town.get("/orders/42/timeline").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_timeline_tells_that_the_customer_was_answered_pending() {
    let town = Town::open().await;
    town.stock("mug", 1).await;
    town.chaos(json!({"down": true})).await;
    let placed = town.order("click", &[("mug", 1)]).await;
    assert_eq!(placed.status, StatusCode::ACCEPTED);
    let timeline = town.get(&format!("/orders/{}/timeline", placed.order_id())).await;
    let last = timeline.body["entries"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["event"], "fallback");
    assert!(timeline.body["sentence"].as_str().unwrap().ends_with(" → answered pending"));
}

#[tokio::test]
async fn a_request_has_a_name_which_its_answer_repeats() {
    let town = Town::open().await;
    let named = town.get("/healthz").await;
    assert_eq!(named.headers["x-request-id"].len(), 32);
    let url = format!("{}/orders/42", town.orders);
    let own = town.http.send(Method::GET, &url, &[("x-request-id", "mine")], Value::Null).await;
    assert_eq!(own.headers["x-request-id"], "mine");
}

#[tokio::test]
async fn the_name_of_a_request_goes_along_to_inventory() {
    let (names, mut tasks) = (Arc::new(Mutex::new(Vec::new())), JoinSet::new());
    let heard = Arc::clone(&names);
    let note = move |headers: HeaderMap| async move {
        heard.lock().unwrap().push(headers["x-request-id"].clone());
        StatusCode::SERVICE_UNAVAILABLE
    };
    let inventory = serve(Router::new().fallback(note), &mut tasks).await;
    let town = Town::with(|config| config.inventory = inventory.parse().unwrap()).await;
    let name = [("x-request-id", "mine"), ("idempotency-key", "click")];
    let body = json!({"customer": "ann", "lines": [{"sku": "mug", "quantity": 1}]});
    let url = format!("{}/orders", town.orders);
    let placed = town.http.send(Method::POST, &url, &name, body).await;
    assert_eq!(placed.status, StatusCode::ACCEPTED);
    let names = names.lock().unwrap();
    assert!(names.len() > 1 && names.iter().all(|name| name == "mine"), "{names:?}");
}

#[tokio::test]
async fn routes_beside_are_named_and_an_event_stream_is_never_compressed() {
    let long = "mug ".repeat(1_000);
    let page = long.clone();
    let beside = Router::new()
        .route("/", get(async || page))
        .route("/events", get(async || ([("content-type", "text/event-stream")], long)));
    let town = Town::with(|config| config.beside = beside).await;
    for (path, is_smaller) in [("/", true), ("/events", false)] {
        let url = format!("{}{path}", town.orders);
        let gzip = [("accept-encoding", "gzip")];
        let answer = town.http.send(Method::GET, &url, &gzip, Value::Null).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers.contains_key("content-encoding"), is_smaller, "{path}");
        assert!(answer.headers.contains_key("x-request-id"));
    }
    assert_eq!(town.get("/nowhere").await.body["type"], "/problems/unknown-path");
}

#[tokio::test]
async fn metrics_say_how_full_the_doors_and_the_bulkhead_are() {
    let town = Town::open().await;
    let metrics = town.metrics().await;
    for (dependency, operation, limit) in
        [("", "read", 256), ("", "look", 128), ("", "place", 256), ("inventory", "", 64)]
    {
        let labels = format!("dependency=\"{dependency}\",operation=\"{operation}\"");
        for line in [
            format!("admission_limit{{{labels}}} {limit}"),
            format!("admission_running{{{labels}}} 0"),
        ] {
            assert!(metrics.contains(&line), "{line} in {metrics}");
        }
    }
}

#[tokio::test]
async fn a_call_is_counted_once_however_it_ends() {
    let town = Town::open().await;
    town.stock("mug", 1).await;
    town.get("/products/mug/availability").await;
    town.chaos(json!({"down": true})).await;
    town.get("/products/lamp/availability").await;
    let metrics = town.metrics().await;
    for (outcome, count) in [("first_try", 1), ("degraded", 1), ("failed", 0)] {
        let line = format!(
            "dependency_calls_total{{dependency=\"inventory\",operation=\"availability\",outcome=\"{outcome}\"}} {count}"
        );
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn whoever_reads_the_feed_hears_of_every_layer() {
    let town = Town::open().await;
    let mut reader = town.api.feed().read();
    town.stock("mug", 1).await;
    town.chaos(json!({"lose_next": 1})).await;
    town.order("click", &[("mug", 1)]).await;
    let mut layers = BTreeSet::new();
    while !(layers.contains("retry") && layers.contains("call")) {
        match reader.next().await {
            Some(Heard::Happening(happening)) => layers.insert(happening.note.layer),
            other => panic!("the feed ended: {other:?}"),
        };
    }
}
