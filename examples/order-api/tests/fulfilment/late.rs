//! Workers that die, and workers that wake late.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aplomb_order_api::Worker;
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::post;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use tokio::sync::{Notify, OnceCell};
use tokio::task::JoinSet;

use crate::support::{Client, Ground, Town, on_both, serve, until};

on_both!(
    a_worker_that_wakes_late_changes_nothing,
    a_worker_that_dies_in_between_ships_nothing_twice
);

/// While the first worker waits for its answer, its lease ends, and another one ships the order.
async fn a_worker_that_wakes_late_changes_nothing(ground: Ground) {
    let town = Town::open(ground).await;
    let order = town.confirmed("k").await;
    let other: Arc<OnceCell<Worker>> = Arc::default();
    let overtaken = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    let slow = {
        let (other, overtaken) = (Arc::clone(&other), Arc::clone(&overtaken));
        post(move || async move {
            let other = other.get().unwrap();
            until(|| async {
                let shipped = other.run_once().await.unwrap().shipped as u64;
                overtaken.fetch_add(shipped, Ordering::Relaxed) + shipped > 0
            })
            .await;
            StatusCode::CREATED
        })
    };
    let slow = serve(Router::new().route("/shipments", slow), &mut tasks).await;
    other.set(town.worker(|it| it.name = "prompt".into()).await).unwrap();
    let late = town.worker(|it| {
        it.lease = Some(Duration::from_millis(1));
        it.fulfilment.warehouse = slow.parse().unwrap();
    });

    let round = late.await.run_once().await.unwrap();
    assert_eq!((round.taken, round.shipped, round.lost), (1, 0, 1));
    assert_eq!(overtaken.load(Ordering::Relaxed), 1);
    assert_eq!(town.fulfilment_of(&order).await, "shipped");
    assert_eq!(town.shipments().await, (1, 1));
    town.sound().await;
}

/// Its shipment was asked for and made, and the answer never reached it.
async fn a_worker_that_dies_in_between_ships_nothing_twice(ground: Ground) {
    let town = Town::open(ground).await;
    let order = town.confirmed("k").await;
    let made = Arc::new(Notify::new());
    let mut tasks = JoinSet::new();
    let forward = {
        let (made, warehouse) = (Arc::clone(&made), format!("{}/shipments", town.warehouse));
        post(move |headers: HeaderMap, body: String| async move {
            let key = headers["idempotency-key"].to_str().unwrap();
            let body: Value = serde_json::from_str(&body).unwrap();
            let key = [("idempotency-key", key)];
            let shipped = Client::new().send(Method::POST, &warehouse, &key, body).await;
            assert_eq!(shipped.status, StatusCode::CREATED);
            made.notify_one();
            std::future::pending::<()>().await;
            ().into_response()
        })
    };
    let silent = serve(Router::new().route("/shipments", forward), &mut tasks).await;
    let dying = town.worker(|it| {
        it.lease = Some(Duration::from_millis(50));
        it.fulfilment.warehouse = silent.parse().unwrap();
    });
    let dying = dying.await;
    tokio::select! {
        _ = dying.run_once() => unreachable!("its answer never comes"),
        () = made.notified() => {}
    }
    assert_eq!(town.fulfilment_of(&order).await, "queued");

    let next = town.api.worker("next");
    until(|| async { next.run_once().await.unwrap().shipped == 1 }).await;
    assert_eq!(town.fulfilment_of(&order).await, "shipped");
    assert_eq!(town.shipments().await, (1, 1));
    town.sound().await;
}
