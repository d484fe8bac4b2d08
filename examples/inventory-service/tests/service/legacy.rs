//! The naive lane: what happens to those who have no keys.

use std::future::poll_fn;
use std::task::Poll;

use crate::support::{Ask, BACKOFFICE, Service, problem};
use aplomb_inventory_service::{Config, Place};
use aplomb_testkit::servers::Postgres;
use serde_json::json;

#[tokio::test]
async fn every_call_reserves_again() {
    reserves_again(Service::with(|config| config.legacy = true).await).await;
}

#[tokio::test]
async fn every_call_reserves_again_on_postgres() {
    let postgres = Postgres::start().unwrap();
    let on_postgres = |config: &mut Config| {
        (config.legacy, config.place) = (true, Place::Postgres(postgres.url().to_owned()));
    };
    reserves_again(Service::with(on_postgres).await).await;
}

async fn reserves_again(service: Service) {
    stock(&service, 4).await;
    for _ in 0..3 {
        let made = service.send(naive("7", 1)).await;
        assert_eq!(made.status, 201);
        assert_eq!(
            (&made.json()["order_id"], &made.json()["status"]),
            (&"7".into(), &"reserved".into())
        );
    }
    service.send(Ask::reserve("k", "8", "mug", 1)).await;
    assert_eq!(service.send(naive("9", 1)).await.problem(), problem(409, "out-of-stock"));
    let figures = json!({
        "initial": 4, "available": 0, "reserved": 4,
        "reservations": 4, "distinct_keys": 1, "duplicates": 2,
    });
    assert_eq!(service.audit("mug").await, figures);

    stock(&service, 5).await;
    assert_eq!(service.audit("mug").await["initial"], 9, "what is held stays held");
}

#[tokio::test]
async fn a_service_has_no_legacy_unless_it_is_asked_for() {
    let service = Service::stocked("mug", 1).await;
    assert_eq!(service.send(naive("7", 1)).await.problem(), problem(404, "unknown-path"));
}

#[tokio::test]
async fn legacy_callers_have_names_too() {
    let service = Service::with(|config| config.legacy = true).await;
    assert_eq!(service.send(naive("7", 1).anonymous()).await.status, 401);
    assert_eq!(service.send(naive("7", 1)).await.problem(), problem(404, "unknown-sku"));
    let wrong = Ask::post("/legacy/reservations", r#"{"order_id":"7"}"#);
    assert_eq!(service.send(wrong).await.problem(), problem(400, "bad-field"));
}

#[tokio::test]
async fn a_lost_response_is_a_second_reservation_to_whoever_has_no_key() {
    let service = Service::with(|config| config.legacy = true).await;
    stock(&service, 5).await;
    let server = service.listen().await;
    assert_eq!(server.send(Ask::chaos(r#"{"lose_next": 1}"#)).await.unwrap().status, 200);
    assert!(server.send(naive("7", 1)).await.unwrap_err().is_incomplete_message());
    assert_eq!(server.send(naive("7", 1)).await.unwrap().status, 201);
    assert_eq!(server.service.audit("mug").await["duplicates"], 1);
}

#[tokio::test]
async fn the_work_of_a_caller_that_has_gone_is_done_for_nobody_and_again() {
    let service = Service::with(|config| config.legacy = true).await;
    stock(&service, 5).await;
    service.send(Ask::chaos(r#"{"latency_ms": 50}"#)).await;
    let mut hung_up = Box::pin(service.send(naive("7", 1)));
    assert!(poll_fn(|context| Poll::Ready(hung_up.as_mut().poll(context).is_pending())).await);
    drop(hung_up);
    while service.audit("mug").await["reservations"] != 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(service.send(naive("7", 1)).await.status, 201);
    assert_eq!(service.audit("mug").await["duplicates"], 1);
}

#[tokio::test]
async fn an_injected_error_reserves_nothing() {
    let service = Service::with(|config| config.legacy = true).await;
    stock(&service, 5).await;
    service.send(Ask::chaos(r#"{"error_rate": 1}"#)).await;
    assert_eq!(service.send(naive("7", 1)).await.problem(), problem(503, "injected-error"));
    assert_eq!(service.audit("mug").await["reservations"], 0);
}

async fn stock(service: &Service, stock: u32) {
    service.send(Ask::chaos("{}")).await;
    let put = Ask::put("/products/mug", format!(r#"{{"stock":{stock}}}"#));
    assert_eq!(service.send(put.by(BACKOFFICE)).await.status, 200);
}

fn naive(order: &str, quantity: u32) -> Ask {
    let body = format!(r#"{{"order_id":"{order}","line":1,"sku":"mug","quantity":{quantity}}}"#);
    Ask::post("/legacy/reservations", body)
}
