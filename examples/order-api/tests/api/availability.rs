use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Answer, Town};

#[tokio::test]
async fn what_inventory_says_is_passed_on() {
    let town = Town::open().await;
    town.stock("green%20mug", 3).await;
    let known = town.get("/products/green%20mug/availability").await;
    assert_eq!(known.status, StatusCode::OK);
    assert_eq!(known.body["sku"], "green mug");
    assert_eq!(known.body["available"], 3);
    assert!(!known.headers.contains_key("age"));
    let unknown = town.get("/products/unicorn/availability").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.headers["content-type"], "application/problem+json");
    let garbled = town.get("/products/%ff/availability").await;
    assert_eq!(garbled.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn one_lost_answer_is_not_noticed() {
    let town = Town::fresh_for("1us").await;
    town.stock("mug", 3).await;
    town.chaos(json!({"lose_next": 1})).await;
    assert_eq!(number(&town, "mug").await.body["available"], 3);
}

#[tokio::test]
async fn in_an_outage_the_last_number_is_told_with_its_age_while_it_is_fresh() {
    let town = Town::fresh_for("1h").await;
    town.stock("green%20mug", 3).await;
    let asked = number(&town, "green%20mug").await;
    town.chaos(json!({"down": true})).await;
    // However its name is written, it is one product.
    let told = number(&town, "gr%65en%20mug").await;
    assert_eq!(told.body, asked.body);
    let age: u64 = told.headers["age"].to_str().unwrap().parse().unwrap();
    assert!(age < 3_600);
    let status = told.headers["cache-status"].to_str().unwrap();
    assert!(status.starts_with("\"order-api\"; fwd="), "{status}");
    let metrics = town.metrics().await;
    let used = metrics.lines().find(|line| {
        line.starts_with("fallback_used_total")
            && line.contains("availability")
            && line.ends_with(" 1")
    });
    assert!(used.is_some(), "{metrics}");
}

#[tokio::test]
async fn a_number_that_is_no_longer_fresh_is_not_told() {
    let town = Town::fresh_for("1us").await;
    town.stock("mug", 3).await;
    assert_eq!(number(&town, "mug").await.body["available"], 3);
    town.chaos(json!({"down": true})).await;
    is_limited(&number(&town, "mug").await);
}

#[tokio::test]
async fn nobody_is_shown_as_in_stock_what_was_just_bought() {
    let town = Town::fresh_for("1h").await;
    town.stock("mug", 1).await;
    assert_eq!(number(&town, "mug").await.body["available"], 1);
    assert_eq!(town.order("click", &[("mug", 1)]).await.status, StatusCode::CREATED);
    town.chaos(json!({"down": true})).await;
    is_limited(&number(&town, "mug").await);
}

#[tokio::test]
async fn nobody_is_shown_as_in_stock_what_was_just_said_to_be_sold_out() {
    let town = Town::fresh_for("1h").await;
    town.stock("mug", 1).await;
    town.stock("lamp", 1).await;
    town.stock("vase", 1).await;
    for sku in ["mug", "lamp", "vase"] {
        assert_eq!(number(&town, sku).await.body["available"], 1);
    }
    let placed = town.order("click", &[("mug", 1), ("lamp", 2)]).await;
    assert_eq!(placed.status, StatusCode::CONFLICT);
    town.chaos(json!({"down": true})).await;
    is_limited(&number(&town, "lamp").await);
    // What was given back was reserved in between.
    is_limited(&number(&town, "mug").await);
    assert_eq!(number(&town, "vase").await.body["available"], 1);
}

#[tokio::test]
async fn what_may_have_been_bought_is_not_shown_as_in_stock_either() {
    let town = Town::fresh_for("1h").await;
    town.stock("mug", 1).await;
    assert_eq!(number(&town, "mug").await.body["available"], 1);
    town.chaos(json!({"lose_response_rate": 1})).await;
    assert_eq!(town.order("click", &[("mug", 1)]).await.status, StatusCode::ACCEPTED);
    is_limited(&number(&town, "mug").await);
}

fn is_limited(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["available"], Value::Null);
    assert_eq!(answer.body["shown_as"], "limited availability");
    assert_eq!(answer.body["degraded"], true);
    assert_eq!(answer.headers["cache-control"], "no-store");
}

async fn number(town: &Town, sku: &str) -> Answer {
    let answer = town.get(&format!("/products/{sku}/availability")).await;
    assert_eq!(answer.status, StatusCode::OK);
    answer
}
