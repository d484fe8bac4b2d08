//! Reservations: one per key and per order line, whoever asks how often.

use crate::support::{Answer, Ask, BACKOFFICE, Service, problem};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_reservation_takes_stock_and_says_where_it_is() {
    let service = Service::stocked("mug", 5).await;
    let made = service.send(Ask::reserve("k1", "123", "mug", 2)).await;
    assert_eq!(made.status, 201);
    let body = made.json();
    let id = body["reservation_id"].as_str().unwrap();
    assert_eq!(made.headers["location"], format!("/inventory/reservations/{id}"));
    assert_eq!(body["order_id"], "123");
    assert_eq!(body["line"], 1);
    assert_eq!(body["sku"], "mug");
    assert_eq!(body["quantity"], 2);
    assert_eq!(body["status"], "reserved");
    assert!(body["created_at"].as_str().unwrap().ends_with('Z'));

    let found = service.send(Ask::get(&format!("/inventory/reservations/{id}"))).await;
    assert_eq!(found.status, 200);
    assert_eq!(found.json(), body);
    assert_eq!(service.audit("mug").await["available"], 3);
}

#[tokio::test]
async fn the_same_key_is_answered_with_the_same_reservation() {
    let service = Service::stocked("mug", 5).await;
    let ask = Ask::reserve("\"k1\"", "123", "mug", 2);
    let made = service.send(ask.clone()).await;
    let again = service.send(ask).await;
    assert!(!made.is_replay());
    assert!(again.is_replay());
    assert_eq!(again.status, 201);
    assert_eq!(again.body, made.body);
    assert_eq!(again.headers["location"], made.headers["location"]);
    assert_eq!(service.audit("mug").await["reservations"], 1);
    assert_eq!(service.effects("k1").await, ["reserved", "replayed"]);
}

#[tokio::test]
async fn a_key_used_for_something_else_is_refused() {
    let service = Service::stocked("mug", 5).await;
    service.send(Ask::reserve("k1", "123", "mug", 2)).await;
    let other = service.send(Ask::reserve("k1", "123", "mug", 3)).await;
    assert_eq!(other.problem(), problem(422, "key-reused"));
    assert_eq!(service.audit("mug").await["reserved"], 2);
}

#[tokio::test]
async fn without_a_key_nothing_is_reserved() {
    let service = Service::stocked("mug", 5).await;
    let body = r#"{"order_id":"1","line":1,"sku":"mug","quantity":1}"#;
    let ask = Ask::post("/inventory/reservations", body);
    assert_eq!(service.send(ask.clone()).await.problem(), problem(400, "key-missing"));
    let bad = ask.header("idempotency-key", "\"open");
    assert_eq!(service.send(bad).await.problem(), problem(400, "key-malformed"));
    assert_eq!(service.audit("mug").await["reservations"], 0);
}

#[tokio::test]
async fn what_is_sold_out_stays_sold_out_for_its_key() {
    let service = Service::stocked("mug", 1).await;
    let ask = Ask::reserve("k1", "1", "mug", 2);
    let refused = service.send(ask.clone()).await;
    assert_eq!(refused.problem(), problem(409, "out-of-stock"));
    assert!(!refused.headers.contains_key("retry-after"));
    assert_eq!(refused.json()["available"], 1);

    let put = Ask::put("/products/mug", r#"{"stock": 5}"#).by(BACKOFFICE);
    service.send(put).await;
    let again = service.send(ask).await;
    assert_eq!(again.problem(), problem(409, "out-of-stock"));
    assert!(again.is_replay());
    assert_eq!(service.effects("k1").await, ["out_of_stock", "replayed"]);
}

#[tokio::test]
async fn an_unknown_product_cannot_be_reserved() {
    let service = Service::start().await;
    let answer = service.send(Ask::reserve("k", "1", "mug", 1)).await;
    assert_eq!(answer.problem(), problem(404, "unknown-sku"));
}

#[tokio::test]
async fn a_bad_body_is_refused_with_the_field_that_is_wrong() {
    let service = Service::stocked("mug", 5).await;
    for (index, (body, field)) in [
        (r#"{"line":1,"sku":"mug","quantity":1}"#, "order_id"),
        (r#"{"order_id":"","line":1,"sku":"mug","quantity":1}"#, "order_id"),
        (r#"{"order_id":"1","sku":"mug","quantity":1}"#, "line"),
        (r#"{"order_id":"1","line":1,"sku":"","quantity":1}"#, "sku"),
        (r#"{"order_id":"1","line":1,"sku":"mug"}"#, "quantity"),
        (r#"{"order_id":"1","line":1,"sku":"mug","quantity":0}"#, "quantity"),
        (r#"{"order_id":"1","line":1,"sku":"mug","quantity":-1}"#, "quantity"),
    ]
    .into_iter()
    .enumerate()
    {
        let ask = Ask::post("/inventory/reservations", body)
            .header("idempotency-key", &format!("k{index}"));
        let answer = service.send(ask).await;
        assert_eq!(answer.problem(), problem(400, "bad-field"), "{body}");
        assert_eq!(answer.json()["field"], field, "{body}");
    }
    let ask = Ask::post("/inventory/reservations", "not json").header("idempotency-key", "k");
    assert_eq!(service.send(ask).await.problem(), problem(400, "bad-request"));
    let long = format!(r#"{{"order_id":"{}"}}"#, "x".repeat(64 * 1024));
    let ask = Ask::post("/inventory/reservations", long).header("idempotency-key", "long");
    assert_eq!(service.send(ask).await.problem(), problem(413, "body-too-large"));
    assert_eq!(service.audit("mug").await["reservations"], 0);
}

#[tokio::test]
async fn released_stock_comes_back_once() {
    let service = Service::stocked("mug", 5).await;
    let ask = Ask::reserve("k1", "1", "mug", 2);
    let made = service.send(ask.clone()).await;
    let path = format!("/inventory/reservations/{}", id(&made));
    for _ in 0..3 {
        assert_eq!(service.send(Ask::delete(&path)).await.status, 204);
    }
    assert_eq!(service.send(Ask::get(&path)).await.json()["status"], "released");
    let audit = service.audit("mug").await;
    assert_eq!(audit["available"], 5);
    assert_eq!(audit["reserved"], 0);
    assert_eq!(audit["reservations"], 1, "rows are kept");
    assert_eq!(audit["initial"], 5);

    let again = service.send(ask).await;
    assert!(again.is_replay());
    assert_eq!(again.body, made.body, "the key still answers the original");
    assert_eq!(service.effects("k1").await, ["reserved", "released", "replayed"]);
}

#[tokio::test]
async fn another_callers_reservation_is_not_found() {
    let service = Service::stocked("mug", 5).await;
    let made = service.send(Ask::reserve("k1", "1", "mug", 2)).await;
    let path = format!("/inventory/reservations/{}", id(&made));
    for ask in [Ask::get(&path), Ask::delete(&path)] {
        let answer = service.send(ask.by(BACKOFFICE)).await;
        assert_eq!(answer.problem(), problem(404, "unknown-reservation"));
    }
    let nowhere = "/inventory/reservations/none";
    for ask in [Ask::get(nowhere), Ask::delete(nowhere)] {
        let answer = service.send(ask).await;
        assert_eq!(answer.problem(), problem(404, "unknown-reservation"));
    }
    assert_eq!(service.audit("mug").await["reserved"], 2);
}

#[tokio::test]
async fn an_order_line_is_reserved_once_under_whatever_key() {
    let service = Service::stocked("mug", 5).await;
    let made = service.send(Ask::reserve("k1", "1", "mug", 2)).await;
    let ask = Ask::reserve("k2", "1", "mug", 2);
    let second = service.send(ask.clone()).await;
    assert_eq!(second.problem(), problem(409, "already-reserved"));
    assert_eq!(second.json()["reservation_id"], id(&made));
    let again = service.send(ask.clone()).await;
    assert_eq!(again.body, second.body, "the answer is deterministic");

    let other = service.send(ask.by(BACKOFFICE)).await;
    assert_eq!(other.problem(), problem(409, "already-reserved"));
    assert!(other.json().get("reservation_id").is_none());
    let audit = service.audit("mug").await;
    assert_eq!(audit["reserved"], 2);
    assert_eq!(audit["duplicates"], 0);
}

#[tokio::test]
async fn the_same_key_of_another_caller_is_another_key() {
    let service = Service::stocked("mug", 5).await;
    let one = service.send(Ask::reserve("k", "1", "mug", 1)).await;
    let other = service.send(Ask::reserve("k", "2", "mug", 1).by(BACKOFFICE)).await;
    assert_eq!(other.status, 201);
    assert_ne!(id(&one), id(&other));
    assert_eq!(service.audit("mug").await["distinct_keys"], 2);
}

#[tokio::test]
async fn a_key_that_was_forgotten_finds_its_reservation_again() {
    let directory = crate::support::Directory::new();
    let mut config = directory.config();
    config.keep = std::time::Duration::ZERO;
    let inventory = aplomb_inventory_service::Inventory::open(config).await.unwrap();
    let service = Service { inventory, directory };
    let put = Ask::put("/products/mug", r#"{"stock": 5}"#).by(BACKOFFICE);
    service.send(put).await;
    let ask = Ask::reserve("k1", "1", "mug", 2);
    let made = service.send(ask.clone()).await;
    let again = service.send(ask).await;
    assert!(!again.is_replay(), "the record expired at once");
    assert_eq!(again.status, 201);
    assert_eq!(again.body, made.body);
    let audit = service.audit("mug").await;
    assert_eq!(audit["reservations"], 1);
    assert_eq!(audit["available"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_who_want_the_last_item_get_it_once() {
    let service = Service::stocked("mug", 1).await;
    let answers =
        all(&service, |n| Ask::reserve(&format!("k{n}"), &format!("order-{n}"), "mug", 1)).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let sold_out = problem(409, "out-of-stock");
    assert_eq!(made, 1);
    assert!(answers.iter().all(|answer| answer.status == 201 || answer.problem() == sold_out));
    let audit = service.audit("mug").await;
    assert_eq!(audit["available"], 0);
    assert_eq!(audit["reserved"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_tries_with_one_key_make_one_reservation() {
    let service = Service::stocked("mug", 50).await;
    let answers = all(&service, |_| Ask::reserve("k", "1", "mug", 1)).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert!(made.iter().all(|answer| answer.body == made[0].body));
    assert_eq!(made.iter().filter(|answer| !answer.is_replay()).count(), 1);
    let in_flight = answers.iter().filter(|answer| answer.status != 201);
    for answer in in_flight {
        assert_eq!(answer.problem(), problem(409, "in-flight"));
        assert!(answer.headers.contains_key("retry-after"));
    }
    let audit = service.audit("mug").await;
    assert_eq!(audit["reservations"], 1);
    assert_eq!(audit["available"], 49);
}

async fn all(service: &Service, ask: impl Fn(u32) -> Ask) -> Vec<Answer> {
    let mut calls = JoinSet::new();
    for n in 0..50 {
        let (ask, inventory) = (ask(n), service.inventory.clone());
        calls.spawn(async move {
            let answered = crate::support::call(&inventory, [127, 0, 0, 1], ask).await;
            answered.expect("nothing is cut")
        });
    }
    calls.join_all().await
}

fn id(answer: &Answer) -> String {
    answer.json()["reservation_id"].as_str().expect("a reservation has an id").to_owned()
}
