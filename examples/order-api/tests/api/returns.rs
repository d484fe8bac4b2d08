use std::sync::Arc;
use std::time::Duration;

use aplomb_core::time;
use aplomb_inventory_service::Place;
use aplomb_testkit::servers::Postgres;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Town};

#[tokio::test]
async fn stock_comes_back_once_however_often_it_is_asked_for() {
    comes_back_once(&Town::open().await).await;
}

#[tokio::test]
async fn stock_comes_back_once_on_postgres_too() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.url().to_owned();
    comes_back_once(&Town::with(|config| config.place = Place::Postgres(url)).await).await;
}

async fn comes_back_once(town: &Town) {
    town.stock("mug", 5).await;
    let placed = town.order("click", &[("mug", 2), ("mug", 1)]).await;
    let order = placed.order_id();
    let first = give_back(town, "back", &json!({"order_id": order, "line": 1})).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!(first.body["status"], "returned");
    assert_eq!(first.body["quantity"], 2);
    assert_eq!(town.audit("mug").await["available"], 4);

    let again = give_back(town, "back", &json!({"order_id": order, "line": 1})).await;
    assert_eq!(again.status, StatusCode::CREATED);
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.body, first.body);
    let other_key = give_back(town, "other", &json!({"order_id": order, "line": 1})).await;
    assert_eq!(other_key.status, StatusCode::CONFLICT);
    assert_eq!(other_key.body["type"], "/problems/already-returned");
    let other_line = give_back(town, "back", &json!({"order_id": order, "line": 2})).await;
    assert_eq!(other_line.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(town.audit("mug").await["available"], 4);
}

#[tokio::test]
async fn what_cannot_be_returned_is_refused() {
    let town = Town::open().await;
    town.stock("mug", 0).await;
    let rejected = town.order("click", &[("mug", 1)]).await.order_id();
    for (number, (body, status)) in [
        (json!({"order_id": "42", "line": 1}), StatusCode::NOT_FOUND),
        (json!({"order_id": rejected, "line": 2}), StatusCode::NOT_FOUND),
        (json!({"order_id": rejected, "line": 1}), StatusCode::CONFLICT),
        (json!({"order_id": rejected, "line": 0}), StatusCode::BAD_REQUEST),
        (json!({"order_id": rejected}), StatusCode::BAD_REQUEST),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = give_back(&town, &format!("back-{number}"), &body).await;
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.body["type"].is_string(), "{body}");
    }
    let url = format!("{}/returns", town.orders);
    let ask = json!({"order_id": rejected, "line": 1});
    let no_key = town.http.send(Method::POST, &url, &[], ask).await;
    assert_eq!(no_key.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_return_that_inventory_does_not_answer_is_finished_under_the_same_key() {
    let town = Town::open().await;
    let order = in_doubt(&town).await;
    town.chaos(json!({})).await;
    let returned = give_back(&town, "back", &json!({"order_id": order, "line": 1})).await;
    assert_eq!(returned.status, StatusCode::CREATED);
    assert_eq!(town.audit("mug").await["available"], 1);
}

#[tokio::test]
async fn a_return_that_nobody_asks_for_again_is_finished_by_the_reconciler() {
    let (start, ahead) = (time::wall(), Arc::new(std::sync::Mutex::new(Duration::ZERO)));
    let shift = Arc::clone(&ahead);
    let town = Town::with(|config| {
        config.clock = Arc::new(move || start + *shift.lock().unwrap());
    })
    .await;
    let order = in_doubt(&town).await;
    town.chaos(json!({})).await;
    *ahead.lock().unwrap() = Duration::from_secs(60);
    let pass = town.api.reconciler().run_once().await.unwrap();
    assert_eq!((pass.taken, pass.ended), (1, 1));
    assert_eq!(town.audit("mug").await["available"], 1);
    let told = give_back(&town, "back", &json!({"order_id": order, "line": 1})).await;
    assert_eq!(told.status, StatusCode::CREATED);
    assert_eq!(town.audit("mug").await["available"], 1);
}

/// A confirmed order of the only mug, whose return nobody has answered.
async fn in_doubt(town: &Town) -> String {
    town.stock("mug", 1).await;
    let order = town.order("click", &[("mug", 1)]).await.order_id();
    // Inventory has it back, and nobody hears of that.
    town.chaos(json!({"lose_response_rate": 1})).await;
    let doubt = give_back(town, "back", &json!({"order_id": order, "line": 1})).await;
    assert_eq!(doubt.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(doubt.body["type"], "/problems/return-pending");
    assert!(doubt.headers.contains_key("retry-after"));
    order
}

async fn give_back(town: &Town, key: &str, body: &Value) -> Answer {
    let url = format!("{}/returns", town.orders);
    town.http.send(Method::POST, &url, &[("idempotency-key", key)], body.clone()).await
}
