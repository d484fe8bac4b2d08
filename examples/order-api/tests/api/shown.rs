//! What the Order API tells of itself.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::Town;

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
async fn policies_are_shown_as_they_are_in_force() {
    let town = Town::open().await;
    let page = town.get("/policies").await;
    assert_eq!(page.status, StatusCode::OK);
    let policies = page.body["policies"].as_array().unwrap();
    let of = |operation: &str| {
        policies.iter().find(|policy| policy["operation"] == operation).unwrap().clone()
    };
    let reserve = of("reserve");
    assert_eq!(reserve["attempts"], 3);
    assert_eq!(reserve["attempt_timeout_ms"], 500);
    assert_eq!(reserve["total_ms"], 3_000);
    assert_eq!(reserve["backoff"]["base_ms"], 50);
    assert_eq!(reserve["circuit"]["or_failed_in_a_row"], 10);
    assert_eq!(of("availability")["key"], Value::Null);
    assert_eq!(of("confirm")["attempts"], 1);
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
