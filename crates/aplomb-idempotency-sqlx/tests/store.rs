//! The store by itself: the suite that all stores pass, its tables and its connections.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;
#[path = "../../aplomb-idempotency/tests/suite/mod.rs"]
mod suite;

use std::cell::RefCell;
use std::time::Duration;

use aplomb_idempotency::{Begun, Held, Settled, Store};
use aplomb_idempotency_sqlx::{SqliteStore, sqlite};
use futures_util::future::join_all;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};

use common::Shop;
use suite::{answer, begin, fingerprint, started};

#[tokio::test]
async fn sqlite_passes_the_suite() {
    let shops = RefCell::new(Vec::new());
    suite::run(|| async {
        let shop = Shop::open().await;
        let store = shop.store.clone();
        shops.borrow_mut().push(shop);
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_callers_in_many_processes_one_gets_the_claim() {
    let shop = Shop::open().await;
    let mut calls = Vec::new();
    for _ in 0..4 {
        // Pools of their own meet only in the file, as processes do.
        let store = SqliteStore::new(shop.again().await.writer);
        for _ in 0..8 {
            let store = store.clone();
            calls.push(tokio::spawn(async move { store.begin(&begin("k")).await.unwrap() }));
        }
    }
    let answers: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    let claims = answers.iter().filter(|answer| matches!(answer, Begun::Claimed(_))).count();
    let refused = answers.iter().filter(|answer| **answer == Begun::InFlight).count();
    assert_eq!((claims, refused), (1, 31));
}

#[tokio::test]
async fn renewals_do_not_wait_for_a_free_connection() {
    let shop = Shop::open().await;
    let mut held = Vec::new();
    for n in 0..50 {
        let begin = begin(&format!("k{n}"));
        let fence = started(&shop.store, &begin).await.fence;
        held.push(Held { id: begin.identity.id(), fence });
    }
    // Handlers have every connection that there is.
    let writer = shop.pools.writer.acquire().await.unwrap();
    let renewals = held.iter().map(|&held| shop.renew(held, Duration::from_secs(60)));
    for renewed in join_all(renewals).await {
        assert_eq!(renewed.unwrap(), Settled::Done);
    }
    drop(writer);
}

#[tokio::test]
async fn a_renewal_waits_for_a_handlers_transaction_and_then_succeeds() {
    let shop = Shop::open().await;
    let begin = begin("k");
    let fence = started(&shop.store, &begin).await.fence;
    let held = Held { id: begin.identity.id(), fence };
    let tx = common::reserve(&shop.pools.writer, "k").await.unwrap();
    let mut renewal = std::pin::pin!(shop.renew(held, Duration::from_secs(60)));
    let waits = tokio::time::timeout(Duration::from_millis(50), &mut renewal).await;
    assert!(waits.is_err(), "the write lock is the handler's");
    tx.commit().await.unwrap();
    assert_eq!(renewal.await.unwrap(), Settled::Done);
}

#[tokio::test]
async fn replays_and_refusals_wait_for_no_writer() {
    let shop = Shop::open().await;
    let (done, running) = (begin("done"), begin("running"));
    let fence = started(&shop.store, &done).await.fence;
    let held = Held { id: done.identity.id(), fence };
    let completed = shop.complete(held, &answer("made"), Duration::from_secs(60)).await.unwrap();
    assert_eq!(completed, Settled::Done);
    started(&shop.store, &running).await;

    let _tx = common::reserve(&shop.pools.writer, "k").await.unwrap();
    assert_eq!(shop.begin(&begin("done")).await.unwrap(), Begun::Replay(answer("made")));
    assert_eq!(shop.begin(&begin("running")).await.unwrap(), Begun::InFlight);
    let mut other = begin("done");
    other.fingerprint = fingerprint("other");
    assert_eq!(shop.begin(&other).await.unwrap(), Begun::Mismatch);
}

#[tokio::test]
async fn records_outlive_their_connections() {
    let shop = Shop::open().await;
    let call = begin("k");
    let fence = started(&shop.store, &call).await.fence;
    let held = Held { id: call.identity.id(), fence };
    let completed = shop.complete(held, &answer("made"), Duration::from_secs(60)).await.unwrap();
    assert_eq!(completed, Settled::Done);
    shop.pools.writer.close().await;
    let store = SqliteStore::new(shop.again().await.writer);
    assert_eq!(store.begin(&begin("k")).await.unwrap(), Begun::Replay(answer("made")));
}

#[tokio::test]
async fn what_expired_makes_way_for_new_keys() {
    let shop = Shop::open().await;
    for n in 0..10 {
        let call = begin(&format!("k{n}"));
        let fence = started(&shop.store, &call).await.fence;
        let held = Held { id: call.identity.id(), fence };
        let completed = shop.complete(held, &answer("old"), Duration::ZERO).await.unwrap();
        assert_eq!(completed, Settled::Done);
    }
    let records = sqlx::query_scalar("SELECT count(*) FROM aplomb_idempotency_records");
    let records: i64 = records.fetch_one(&shop.pools.reader).await.unwrap();
    assert!(records <= 2, "{records}");
}

#[tokio::test]
async fn a_closed_database_is_an_error_and_nothing_is_begun() {
    let shop = Shop::open().await;
    shop.pools.writer.close().await;
    let error = shop.begin(&begin("k")).await.unwrap_err();
    assert!(!error.is_uncertain());
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_an_error_and_never_a_claim() {
    let shop = Shop::open().await;
    started(&shop.store, &begin("k")).await;
    let spoil = "UPDATE aplomb_idempotency_records SET fingerprint = x'01'";
    sqlx::query(spoil).execute(&shop.pools.writer).await.unwrap();
    assert!(shop.begin(&begin("k")).await.is_err());
}

#[tokio::test]
async fn the_tables_are_made_once_by_the_store_or_by_hand() {
    let shop = Shop::open().await;
    started(&shop.store, &begin("k")).await;
    shop.migrate().await.unwrap();
    sqlx::raw_sql(sqlite::SCHEMA).execute(&shop.pools.writer).await.unwrap();
    shop.migrate().await.unwrap();
    assert_eq!(shop.begin(&begin("k")).await.unwrap(), Begun::InFlight);
}

#[tokio::test]
async fn tables_of_a_later_version_are_left_alone() {
    let shop = Shop::open().await;
    let later = "INSERT INTO aplomb_idempotency_schema VALUES (99, 0)";
    sqlx::query(later).execute(&shop.pools.writer).await.unwrap();
    let error = shop.migrate().await.unwrap_err();
    assert!(error.to_string().contains("later version"), "{error}");
}

#[tokio::test]
async fn a_writer_that_could_lose_commits_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let careless = sqlite::options(directory.path().join("shop.db"));
    let careless = careless.synchronous(SqliteSynchronous::Normal);
    for options in [careless, SqliteConnectOptions::new().in_memory(true)] {
        let store = SqliteStore::new(SqlitePool::connect_with(options).await.unwrap());
        let error = store.migrate().await.unwrap_err();
        assert!(error.to_string().contains("sqlite::connect"), "{error}");
    }
}
