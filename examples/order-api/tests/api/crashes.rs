//! A process that dies in the middle of an order.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aplomb_core::time;
use aplomb_order_api::OrderApi;
use axum::Router;
use axum::routing::post;
use http::{HeaderMap, Method, StatusCode};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::support::{Client, Town, config, serve};

#[tokio::test]
async fn the_customer_who_asks_again_after_a_crash_gets_the_same_order() {
    let town = Town::open().await;
    let data = tempfile::tempdir().unwrap();
    town.stock("mug", 1).await;
    crash_while_reserving(&town, data.path(), time::wall()).await;

    let mut tasks = JoinSet::new();
    let open = OrderApi::open(config(data.path(), &town.inventory), HttpConnector::new());
    let orders = serve(open.await.unwrap().router(), &mut tasks).await;
    let placed = loop {
        let answer = town.http.order(&orders, "click", &[("mug", 1)]).await;
        // The dead process's claim holds until its lease is over.
        if answer.headers.contains_key("retry-after") {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        break answer;
    };
    assert_eq!(placed.status, StatusCode::CREATED);
    let audit = town.audit("mug").await;
    assert_eq!(audit["reservations"], 1);
    assert_eq!(audit["distinct_keys"], 1);
}

#[tokio::test]
async fn the_reconciler_of_the_next_process_ends_what_a_crash_left() {
    let town = Town::open().await;
    let data = tempfile::tempdir().unwrap();
    town.stock("mug", 1).await;
    let then = time::wall();
    crash_while_reserving(&town, data.path(), then).await;

    let api = open_at(then, data.path(), &town.inventory).await;
    assert_eq!(api.tally().await.unwrap().open, 1);
    let early = api.reconciler().run_once().await.unwrap();
    assert_eq!(early.taken, 0, "whoever places an order has it to itself for a while");

    let later = then + Duration::from_secs(60);
    let api = open_at(later, data.path(), &town.inventory).await;
    let pass = api.reconciler().run_once().await.unwrap();
    assert_eq!((pass.taken, pass.ended), (1, 1));
    assert_eq!(api.tally().await.unwrap().confirmed, 1);
    assert_eq!(town.audit("mug").await["reservations"], 1);
}

/// An Order API whose clock stands still.
async fn open_at(now: SystemTime, data: &Path, inventory: &str) -> OrderApi {
    let mut config = config(data, inventory);
    config.clock = Arc::new(move || now);
    OrderApi::open(config, HttpConnector::new()).await.unwrap()
}

/// Runs an Order API in a runtime of its own, and ends that when Inventory has reserved and has
/// not answered yet.
async fn crash_while_reserving(town: &Town, data: &Path, now: SystemTime) {
    let (reserved, mut told) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    let silent = serve(silent_about(&town.inventory, reserved), &mut tasks).await;
    let data = PathBuf::from(data);
    let process = Runtime::new().unwrap();
    process.spawn(async move {
        let api = open_at(now, &data, &silent).await;
        let mut tasks = JoinSet::new();
        let orders = serve(api.router(), &mut tasks).await;
        Client::new().order(&orders, "click", &[("mug", 1)]).await;
    });
    told.recv().await.unwrap();
    tokio::task::spawn_blocking(move || drop(process)).await.unwrap();
    assert_eq!(town.audit("mug").await["reserved"], 1);
}

/// Passes reservations on to Inventory, says when one was made, and never answers.
fn silent_about(inventory: &str, made: mpsc::UnboundedSender<()>) -> Router {
    let url = format!("{inventory}/inventory/reservations");
    let reserve = move |headers: HeaderMap, body: String| async move {
        let of = |name: &str| headers[name].to_str().unwrap().to_owned();
        // All that makes two requests one to Inventory.
        let names = ["idempotency-key", "authorization", "content-type"];
        let values = names.map(of);
        let headers: Vec<_> = names.into_iter().zip(values.iter().map(|v| &**v)).collect();
        let http = Client::new();
        let answer = http.send_bytes(Method::POST, &url, &headers, body).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        // Later attempts find nobody who listens any more.
        let _ = made.send(());
        std::future::pending::<()>().await;
    };
    Router::new().route("/inventory/reservations", post(reserve))
}
