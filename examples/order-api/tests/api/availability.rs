use http::StatusCode;
use serde_json::json;

use crate::support::Town;

#[tokio::test]
async fn what_inventory_says_is_passed_on() {
    let town = Town::open().await;
    town.stock("green%20mug", 3).await;
    let known = town.get("/products/green%20mug/availability").await;
    assert_eq!(known.status, StatusCode::OK);
    assert_eq!(known.body["sku"], "green mug");
    assert_eq!(known.body["available"], 3);
    let unknown = town.get("/products/unicorn/availability").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn one_lost_answer_is_not_noticed_and_an_outage_is_said() {
    let town = Town::open().await;
    town.stock("mug", 3).await;
    town.chaos(json!({"lose_next": 1})).await;
    let rescued = town.get("/products/mug/availability").await;
    assert_eq!(rescued.status, StatusCode::OK);
    town.chaos(json!({"down": true})).await;
    let failed = town.get("/products/mug/availability").await;
    assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(failed.headers.contains_key("retry-after"));
    assert_eq!(failed.body["type"], "/problems/inventory-unavailable");
}
