//! What nobody knows is pending, and never "sold out".

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aplomb_order_api::OrderApi;
use axum::Router;
use axum::routing::post;
use http::{HeaderMap, Method, StatusCode};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::support::{Client, Town, config, serve};

#[tokio::test]
async fn an_outage_leaves_the_order_pending_and_the_reconciler_ends_it() {
    let town = Town::open().await;
    town.stock("mug", 1).await;
    town.chaos(json!({"down": true})).await;
    let placed = town.order("click", &[("mug", 1)]).await;
    assert_eq!(placed.status, StatusCode::ACCEPTED);
    assert_eq!(placed.body["status"], "pending_inventory_confirmation");
    let path = placed.headers["location"].to_str().unwrap();
    assert_eq!(town.get(path).await.body["status"], placed.body["status"]);

    town.chaos(json!({})).await;
    town.reconcile().await;
    assert_eq!(town.get(path).await.body["status"], "confirmed");
    assert_eq!(town.audit("mug").await["reservations"], 1);

    // The customer who clicks again is told what he was told, and where to look.
    let again = town.order("click", &[("mug", 1)]).await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
    assert_eq!(again.headers["location"], path);
}

#[tokio::test]
async fn an_order_that_holds_the_last_item_unknowingly_is_confirmed_with_it() {
    let town = Town::open().await;
    town.stock("mug", 1).await;
    town.chaos(json!({"lose_response_rate": 1})).await;
    let placed = town.order("click", &[("mug", 1)]).await;
    assert_eq!(placed.status, StatusCode::ACCEPTED);
    assert_eq!(town.audit("mug").await["available"], 0);

    town.chaos(json!({})).await;
    town.reconcile().await;
    let shown = town.get(&format!("/orders/{}", placed.order_id())).await;
    assert_eq!(shown.body["status"], "confirmed");
    let audit = town.audit("mug").await;
    assert_eq!(audit["reservations"], 1);
    assert_eq!(audit["duplicates"], 0);
}

#[tokio::test]
async fn an_inventory_that_is_too_slow_leaves_the_order_pending_and_reserves_it_once() {
    let town = Town::open().await;
    town.stock("mug", 5).await;
    // Three times as long as an attempt may take, and less than the lease with its renewals.
    town.chaos(json!({"latency_ms": 1_500})).await;
    let placed = town.order("click", &[("mug", 1)]).await;
    let path = placed.headers["location"].to_str().unwrap();
    assert!(matches!(placed.status, StatusCode::ACCEPTED | StatusCode::CREATED));
    town.chaos(json!({})).await;
    town.reconcile().await;
    assert_eq!(town.get(path).await.body["status"], "confirmed");
    let audit = town.audit("mug").await;
    assert_eq!((&audit["reservations"], &audit["available"]), (&json!(1), &json!(4)));
}

#[tokio::test]
async fn what_could_not_be_given_back_is_given_back_later() {
    let town = Town::open().await;
    town.stock("mug", 5).await;
    town.stock("lamp", 0).await;
    // The first line is answered; of the second one, and of all that follows, nothing is heard.
    let placed = {
        let is_over = Cell::new(false);
        let order = async {
            let placed = town.order("click", &[("mug", 2), ("lamp", 1)]).await;
            is_over.set(true);
            placed
        };
        let storm = async {
            while !is_over.get() && town.audit("mug").await["reserved"] == 0 {
                tokio::task::yield_now().await;
            }
            town.chaos(json!({"lose_response_rate": 1})).await;
        };
        tokio::join!(order, storm).0
    };
    // Whether the storm came in time to be seen depends on the machine; how it ends does not.
    assert!(matches!(placed.status, StatusCode::ACCEPTED | StatusCode::CONFLICT));
    town.chaos(json!({})).await;
    town.reconcile().await;
    let shown = town.get(&format!("/orders/{}", placed.order_id())).await;
    assert_eq!(shown.body["status"], "rejected_out_of_stock");
    assert_eq!(town.audit("mug").await["available"], 5);
}

#[tokio::test]
async fn an_answer_that_our_own_key_cannot_have_is_asked_for_once_and_leaves_the_order_pending() {
    for status in [409_u16, 410, 422, 401] {
        let status = StatusCode::from_u16(status).unwrap();
        let asked = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&asked);
        let inventory = Router::new().route(
            "/inventory/reservations",
            post(move || {
                counter.fetch_add(1, Ordering::SeqCst);
                async move { status }
            }),
        );
        let mut tasks = JoinSet::new();
        let data = tempfile::tempdir().unwrap();
        let inventory = serve(inventory, &mut tasks).await;
        let api = OrderApi::open(config(data.path(), &inventory), HttpConnector::new());
        let orders = serve(api.await.unwrap().router(), &mut tasks).await;
        let placed = Client::new().order(&orders, "click", &[("mug", 1)]).await;
        assert_eq!(placed.status, StatusCode::ACCEPTED, "{status}");
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{status}");
    }
}

#[tokio::test]
async fn inventory_is_told_no_more_time_than_the_customer_has() {
    let (saw, mut seen) = mpsc::unbounded_channel();
    let inventory = Router::new().route(
        "/inventory/reservations",
        post(move |headers: HeaderMap| {
            let told = headers["x-envoy-expected-rq-timeout-ms"].to_str().unwrap();
            saw.send(told.parse::<u64>().unwrap()).unwrap();
            async { StatusCode::SERVICE_UNAVAILABLE }
        }),
    );
    let mut tasks = JoinSet::new();
    let data = tempfile::tempdir().unwrap();
    let inventory = serve(inventory, &mut tasks).await;
    let api = OrderApi::open(config(data.path(), &inventory), HttpConnector::new());
    let orders = serve(api.await.unwrap().router(), &mut tasks).await;

    let http = Client::new();
    let lines = json!([{"sku": "mug", "quantity": 1}]);
    let body = json!({"customer": "ann", "lines": lines});
    let headers = [
        ("idempotency-key", "click"),
        // Less than one attempt may take.
        ("x-envoy-expected-rq-timeout-ms", "450"),
    ];
    let url = format!("{orders}/orders");
    http.send(Method::POST, &url, &headers, body).await;
    let told = seen.recv().await.unwrap();
    assert!(told < 450, "{told}");
}
