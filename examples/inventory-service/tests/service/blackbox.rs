//! What any server with idempotency keys must do, over this one's URL, on each of its stores.

use aplomb_inventory_service::{Config, Inventory, Keys, Place};
use aplomb_testkit::blackbox::BlackBox;
use aplomb_testkit::servers::{Postgres, Redis};

use crate::support::{Ask, BACKOFFICE, Directory, Service, exchange};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_can_be_said_against_records_on_sqlite() {
    let directory = Directory::new();
    let config = directory.config();
    judge(directory, config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_can_be_said_against_records_on_postgres() {
    let (directory, postgres) = (Directory::new(), Postgres::start().unwrap());
    let mut config = directory.config();
    config.place = Place::Postgres(postgres.url().to_owned());
    judge(directory, config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_can_be_said_against_records_on_redis() {
    let (directory, redis) = (Directory::new(), Redis::start().unwrap());
    let mut config = directory.config();
    config.keys = Keys::Redis(redis.url().to_owned());
    judge(directory, config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_can_be_said_against_records_in_memory() {
    let directory = Directory::new();
    let mut config = directory.config();
    config.keys = Keys::Memory;
    judge(directory, config).await;
}

/// Judges a service that was set up so, counting its rows.
async fn judge(directory: Directory, config: Config) {
    let inventory = Inventory::open(config).await.unwrap();
    let server = Service { inventory, directory }.listen().await;
    let put = Ask::put("/products/mug", r#"{"stock":1000}"#).by(BACKOFFICE);
    assert_eq!(server.send(put).await.unwrap().status, 200);

    let address = server.address;
    BlackBox::new(&format!("http://{address}/inventory/reservations"))
        .header("authorization", "Bearer demo-order-api")
        .body(|unit| format!(r#"{{"order_id":"box-{unit}","line":1,"sku":"mug","quantity":1}}"#))
        .effects(move || async move {
            let audit = Ask::get("/inventory/audit?sku=mug").by(BACKOFFICE);
            let audit = exchange(address, audit).await.unwrap().json();
            audit["reservations"].as_u64().unwrap()
        })
        .check()
        .await;
    drop(server.stop);
    server.serving.await.unwrap();
}
