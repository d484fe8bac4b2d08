//! The record and the effect in one transaction: both, or neither.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;
#[path = "../../aplomb-idempotency/tests/suite/mod.rs"]
mod suite;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aplomb_core::Principal;
use aplomb_idempotency::{
    Begin, Begun, Claim, CompleteError, IdempotencyLayer, Lapsed, Recorded, Refusal, State, Store,
    Terms, problems,
};
use aplomb_idempotency_sqlx::{complete_and_commit, complete_in, sqlite};
use axum::body::Body;
use axum::routing::post;
use axum::{Extension, Router};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use sqlx::SqlitePool;
use tower::ServiceExt;

use common::{Shop, reserve};
use suite::{begin, started};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_calls_with_one_key_have_one_effect() {
    let shop = Shop::open().await;
    let app = app(&shop, commits);
    let calls = (0..50).map(|_| tokio::spawn(send(app.clone(), "k")));
    for answer in join_all(calls).await {
        let status = answer.unwrap().status();
        assert!(matches!(status, StatusCode::CREATED | StatusCode::CONFLICT), "{status}");
    }
    let retry = send(app, "k").await;
    assert_eq!((retry.status(), &retry.body()[..]), (StatusCode::CREATED, &b"reserved k"[..]));
    assert_eq!((shop.reservations().await, shop.available().await), (1, 999));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_keys_have_fifty_effects() {
    let shop = Shop::open().await;
    let app = app(&shop, commits);
    let calls = (0..50).map(|n| tokio::spawn(send_owned(app.clone(), format!("k{n}"))));
    for answer in join_all(calls).await {
        assert_eq!(answer.unwrap().status(), StatusCode::CREATED);
    }
    assert_eq!((shop.reservations().await, shop.available().await), (50, 950));
}

#[tokio::test]
async fn after_a_full_disk_the_writer_writes_again() {
    let shop = Shop::open().await;
    let mut tx = reserve(&shop.pools.writer, "k").await.unwrap();
    // SQLite ends the transaction itself when there is no page to be had.
    sqlx::query("PRAGMA max_page_count = 1").execute(&mut *tx).await.unwrap();
    let full = sqlx::query("INSERT INTO reservations (key) VALUES (zeroblob(1000000) || '')");
    let full = full.execute(&mut *tx).await.unwrap_err();
    assert!(full.to_string().contains("full"), "{full}");
    drop(tx);
    assert_eq!((shop.reservations().await, shop.available().await), (0, 1000));

    let app = app(&shop, commits);
    assert_eq!(send(app, "k").await.status(), StatusCode::CREATED);
    assert_eq!((shop.reservations().await, shop.available().await), (1, 999));
}

#[tokio::test]
async fn killed_before_the_commit_there_is_neither_effect_nor_record() {
    let shop = Shop::open().await;
    let (claim, _loss) = claim(&shop.store, &lapsing("k")).await;
    let mut tx = reserve(&shop.pools.writer, "k").await.unwrap();
    let recorded = complete_in(&claim, &mut *tx, response()).await.unwrap();
    drop((recorded, tx));
    let record = shop.get(claim.id()).await.unwrap().unwrap();
    assert!(matches!(record.state, State::Started(_)));
    assert_eq!((shop.reservations().await, shop.available().await), (0, 1000));

    let again = started(&shop.store, &lapsing("k")).await;
    assert_eq!(again.attempt, 2, "no record means no effect: it runs again");
}

#[tokio::test]
async fn killed_after_the_commit_there_are_both() {
    let shop = Shop::open().await;
    let (claim, _loss) = claim(&shop.store, &lapsing("k")).await;
    let tx = reserve(&shop.pools.writer, "k").await.unwrap();
    drop(complete_and_commit(&claim, tx, response()).await.unwrap());
    let Begun::Replay(answer) = shop.begin(&lapsing("k")).await.unwrap() else {
        panic!("the record was committed")
    };
    assert_eq!(answer.body().unwrap(), "reserved");
    assert_eq!((shop.reservations().await, shop.available().await), (1, 999));
}

#[tokio::test]
async fn a_zombies_transaction_is_refused_and_rolls_back() {
    let shop = Shop::open().await;
    let (zombie, _loss) = claim(&shop.store, &lapsing("k")).await;
    let (second, _loss) = claim(&shop.store, &lapsing("k")).await;
    assert!(second.fence() > zombie.fence());

    let tx = reserve(&shop.pools.writer, "k").await.unwrap();
    let late = complete_and_commit(&zombie, tx, response()).await;
    assert!(matches!(late, Err(CompleteError::Lost)));
    assert_eq!(shop.reservations().await, 0);

    let tx = reserve(&shop.pools.writer, "k").await.unwrap();
    drop(complete_and_commit(&second, tx, response()).await.unwrap());
    assert_eq!((shop.reservations().await, shop.available().await), (1, 999));
}

#[tokio::test]
async fn a_handler_overtaken_by_another_answers_with_the_others_answer() {
    let shop = Shop::open().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let handler = {
        let (shop, runs) = (shop.pools.writer.clone(), Arc::clone(&runs));
        let store = shop_store(&shop);
        move |claim: Claim| {
            let (writer, store) = (shop.clone(), store.clone());
            runs.fetch_add(1, Ordering::SeqCst);
            async move {
                // While this handler dawdles, another process finds its lease ended, does the
                // work and records it.
                end_lease(&writer, &claim).await;
                let mut call = begin(claim.key());
                call.identity = claim.identity().clone();
                call.fingerprint = store.get(claim.id()).await.unwrap().unwrap().fingerprint;
                call.lapsed = Lapsed::RunAgain;
                let (second, _loss) = self::claim(&store, &call).await;
                let tx = reserve(&writer, "other").await.map_err(sqlite::failed)?;
                drop(complete_and_commit(&second, tx, response()).await?);
                commits(claim, Extension(writer)).await
            }
        }
    };
    let answer = send(app(&shop, handler), "k").await;
    assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::CREATED, &b"reserved"[..]));
    assert_eq!(answer.headers()["idempotent-replayed"], "true");
    assert_eq!((shop.reservations().await, runs.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn a_success_whose_transaction_was_dropped_does_not_get_out() {
    let shop = Shop::open().await;
    let forgets = |claim: Claim, Extension(writer): Extension<SqlitePool>| async move {
        let mut tx = reserve(&writer, claim.key()).await.map_err(sqlite::failed)?;
        Ok::<_, Refusal>(complete_in(&claim, &mut *tx, response()).await?)
    };
    let answer = send(app(&shop, forgets), "k").await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(String::from_utf8_lossy(answer.body()).contains(problems::NOT_RECORDED));
    assert_eq!(shop.reservations().await, 0);
}

#[tokio::test]
async fn a_success_that_its_handler_committed_gets_out() {
    let shop = Shop::open().await;
    let commits = |claim: Claim, Extension(writer): Extension<SqlitePool>| async move {
        let mut tx = reserve(&writer, claim.key()).await.map_err(sqlite::failed)?;
        let recorded = complete_in(&claim, &mut *tx, response()).await?;
        tx.commit().await.map_err(sqlite::failed)?;
        Ok::<_, Refusal>(recorded)
    };
    let app = app(&shop, commits);
    for _ in 0..2 {
        assert_eq!(send(app.clone(), "k").await.status(), StatusCode::CREATED);
    }
    assert_eq!(shop.reservations().await, 1);
}

#[tokio::test]
async fn a_panic_rolls_back_and_the_key_runs_again() {
    let shop = Shop::open().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let panics_once = move |claim: Claim, Extension(writer): Extension<SqlitePool>| {
        let first = runs.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            let tx = reserve(&writer, claim.key()).await.map_err(sqlite::failed)?;
            assert!(!first, "a handler with a bug");
            Ok::<_, Refusal>(complete_and_commit(&claim, tx, response()).await?)
        }
    };
    let app = app(&shop, panics_once);
    assert_eq!(send(app.clone(), "k").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(shop.reservations().await, 0);
    assert_eq!(send(app, "k").await.status(), StatusCode::CREATED);
    assert_eq!((shop.reservations().await, shop.available().await), (1, 999));
}

/// What a handler should look like.
async fn commits(
    claim: Claim,
    Extension(writer): Extension<SqlitePool>,
) -> Result<Recorded, Refusal> {
    let tx = reserve(&writer, claim.key()).await.map_err(sqlite::failed)?;
    let mut response = Response::new(Bytes::from(format!("reserved {}", claim.key())));
    *response.status_mut() = StatusCode::CREATED;
    Ok(complete_and_commit(&claim, tx, response).await?)
}

fn app<H, T>(shop: &Shop, handler: H) -> Router
where
    H: axum::handler::Handler<T, ()>,
    T: 'static,
{
    Router::new()
        .route("/reservations", post(handler))
        .route_layer(IdempotencyLayer::new(shop.store.clone()).transactional())
        .layer(Extension(shop.pools.writer.clone()))
        .layer(Extension(Principal::new("shop")))
}

async fn send(app: Router, key: &str) -> Response<Bytes> {
    let request = Request::post("/reservations").header("idempotency-key", key);
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

async fn send_owned(app: Router, key: String) -> Response<Bytes> {
    send(app, &key).await
}

/// A claim of a transactional route whose lease has ended by the time anyone looks.
fn lapsing(key: &str) -> Begin {
    Begin { lease: Duration::ZERO, lapsed: Lapsed::RunAgain, ..begin(key) }
}

async fn claim<S: Store>(store: &S, begin: &Begin) -> (Claim, aplomb_idempotency::Loss) {
    let terms = Terms { keep: Duration::from_secs(60), body_cap: 1024 };
    Claim::new(begin.identity.clone(), started(store, begin).await, terms)
}

async fn end_lease(writer: &SqlitePool, claim: &Claim) {
    let end = "UPDATE aplomb_idempotency_records SET lease_until = 0 WHERE id = ?";
    let end = sqlx::query(end).bind(claim.id().as_bytes().to_vec());
    end.execute(writer).await.unwrap();
}

fn shop_store(writer: &SqlitePool) -> aplomb_idempotency_sqlx::SqliteStore {
    aplomb_idempotency_sqlx::SqliteStore::new(writer.clone())
}

fn response() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from("reserved"));
    *response.status_mut() = StatusCode::CREATED;
    response
}
