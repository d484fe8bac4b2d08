//! Over real sockets: what a lost response, a hang-up and a shutdown leave behind.

use crate::support::{Ask, Server, Service};
use serde_json::json;

#[tokio::test]
async fn a_lost_response_is_replayed_to_the_retry() {
    let server = Service::stocked("mug", 1).await.listen().await;
    let ask = Ask::reserve("order_123_line_1_reservation", "123", "mug", 1);
    turn(&server, r#"{"lose_next": 1}"#).await;

    let lost = server.send(ask.clone()).await.unwrap_err();
    assert!(lost.is_incomplete_message(), "{lost}");
    let retried = server.send(ask.clone()).await.unwrap();
    assert_eq!(retried.status, 201);
    assert!(retried.is_replay());
    let again = server.send(ask).await.unwrap();
    assert_eq!(again.body, retried.body);
    assert_eq!(
        server.service.audit("mug").await,
        json!({
            "initial": 1, "available": 0, "reserved": 1,
            "reservations": 1, "distinct_keys": 1, "duplicates": 0,
        })
    );
}

#[tokio::test]
async fn a_dropped_connection_leaves_nothing_behind() {
    let server = Service::stocked("mug", 1).await.listen().await;
    let ask = Ask::reserve("k", "1", "mug", 1);
    turn(&server, r#"{"drop_connection_rate": 1}"#).await;
    server.send(ask.clone()).await.unwrap_err();
    turn(&server, "{}").await;
    let made = server.send(ask).await.unwrap();
    assert_eq!(made.status, 201);
    assert!(!made.is_replay());
}

#[tokio::test]
async fn an_answer_that_broke_off_is_replayed_whole() {
    let server = Service::stocked("mug", 1).await.listen().await;
    let ask = Ask::reserve("k", "1", "mug", 1);
    turn(&server, r#"{"cut_body_rate": 1}"#).await;
    // Its head was there: what is missing is a part of the body.
    server.send(ask.clone()).await.unwrap_err();
    turn(&server, "{}").await;
    let retried = server.send(ask).await.unwrap();
    assert!(retried.status == 201 && retried.is_replay());
    assert_eq!(retried.json()["order_id"], "1");
    assert_eq!(server.service.audit("mug").await["reservations"], 1);
}

#[tokio::test]
async fn a_caller_that_hangs_up_finds_its_reservation_when_it_comes_back() {
    let server = Service::stocked("mug", 1).await.listen().await;
    let ask = Ask::reserve("k", "1", "mug", 1);
    turn(&server, r#"{"latency_ms": 300}"#).await;
    let hanging = tokio::spawn(crate::support::exchange(server.address, ask.clone()));
    running(&server, 1).await;
    hanging.abort();
    assert!(hanging.await.unwrap_err().is_cancelled());

    running(&server, 0).await;
    let found = server.send(ask).await.unwrap();
    assert_eq!(found.status, 201);
    assert!(found.is_replay(), "the work was done for nobody, and kept");
    assert_eq!(server.service.audit("mug").await["reservations"], 1);
}

#[tokio::test]
async fn a_shutdown_lets_the_request_in_flight_finish() {
    let server = Service::stocked("mug", 1).await.listen().await;
    let ask = Ask::reserve("k", "1", "mug", 1);
    turn(&server, r#"{"latency_ms": 300}"#).await;
    let waiting = tokio::spawn(crate::support::exchange(server.address, ask.clone()));
    running(&server, 1).await;

    server.stop.send(()).unwrap();
    server.serving.await.unwrap();
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(answer.status, 201);
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_shutdown_waits_for_work_whose_caller_has_gone() {
    let server = Service::stocked("mug", 1).await.listen().await;
    let ask = Ask::reserve("k", "1", "mug", 1);
    turn(&server, r#"{"latency_ms": 300}"#).await;
    let hanging = tokio::spawn(crate::support::exchange(server.address, ask.clone()));
    running(&server, 1).await;
    hanging.abort();
    server.stop.send(()).unwrap();
    server.serving.await.unwrap();

    let Service { directory, .. } = server.service;
    let inventory = aplomb_inventory_service::Inventory::open(directory.config()).await.unwrap();
    let service = Service { inventory, directory };
    assert!(service.send(ask).await.is_replay());
}

pub(crate) async fn turn(server: &Server, knobs: &str) {
    let turned = server.send(Ask::chaos(knobs)).await.expect("it answers");
    assert_eq!(turned.status, 200);
}

/// Returns once so many handlers run.
pub(crate) async fn running(server: &Server, handlers: usize) {
    while server.service.inventory.running() != handlers {
        tokio::task::yield_now().await;
    }
}
