//! The audit: figures counted from the rows, and what was done, in order.

use crate::support::{Ask, BACKOFFICE, Service, problem};
use serde_json::{Value, json};

#[tokio::test]
async fn the_figures_are_counted_from_the_rows() {
    let service = Service::stocked("mug", 10).await;
    service.send(Ask::reserve("k1", "1", "mug", 2)).await;
    let made = service.send(Ask::reserve("k2", "2", "mug", 3)).await;
    let id = made.json()["reservation_id"].as_str().unwrap().to_owned();
    service.send(Ask::delete(&format!("/inventory/reservations/{id}"))).await;
    assert_eq!(
        service.audit("mug").await,
        json!({
            "initial": 10, "available": 8, "reserved": 2,
            "reservations": 2, "distinct_keys": 2, "duplicates": 0,
        })
    );
}

#[tokio::test]
async fn the_figures_of_nothing_are_refused() {
    let service = Service::start().await;
    let answer = service.send(Ask::get("/inventory/audit")).await;
    assert_eq!(answer.problem(), problem(400, "bad-field"));
    let answer = service.send(Ask::get("/inventory/audit?sku=mug")).await;
    assert_eq!(answer.problem(), problem(404, "unknown-sku"));
    let answer = service.send(Ask::get("/inventory/audit?sku=mug").anonymous()).await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn an_event_says_who_did_what_under_which_key_and_claim() {
    let service = Service::stocked("mug", 5).await;
    let ask = Ask::reserve("k1", "1", "mug", 2);
    let made = service.send(ask.clone()).await.json();
    service.send(ask).await;
    let events = events(&service, Ask::get("/inventory/audit/events?key=k1")).await;
    let [reserved, replayed] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(reserved["caller"], "order-api");
    assert_eq!(reserved["key"], "k1");
    assert_eq!(reserved["effect"], "reserved");
    assert_eq!(reserved["reservation_id"], made["reservation_id"]);
    assert!(reserved["fence"].as_u64().unwrap() >= 1);
    assert!(reserved["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(replayed["effect"], "replayed");
    assert_eq!(replayed["fence"], reserved["fence"]);
    assert_eq!(replayed["reservation_id"], made["reservation_id"]);
}

#[tokio::test]
async fn callers_see_what_they_did_and_the_back_office_sees_all() {
    let service = Service::stocked("mug", 5).await;
    service.send(Ask::reserve("k1", "1", "mug", 2)).await;
    let own = events(&service, Ask::get("/inventory/audit/events")).await;
    assert_eq!(own.len(), 1);
    let all = events(&service, Ask::get("/inventory/audit/events").by(BACKOFFICE)).await;
    let effects: Vec<_> = all.iter().map(|event| &event["effect"]).collect();
    assert_eq!(effects, ["stock_set", "reserved"]);
}

async fn events(service: &Service, ask: Ask) -> Vec<Value> {
    let answer = service.send(ask).await;
    assert_eq!(answer.status, 200);
    answer.json()["events"].as_array().expect("a list").clone()
}
