//! The record and the effect in one transaction: both, or neither.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aplomb_core::Principal;
use aplomb_idempotency::{
    Begin, Begun, Claim, CompleteError, Held, IdempotencyLayer, Lapsed, Loss, Recorded,
    RecordingHandler, Refusal, State, Store, StoreError, Terms, problems,
};
use aplomb_idempotency_sqlx::sqlite::failed;
use aplomb_idempotency_sqlx::{complete_and_commit, complete_in};
use aplomb_testkit::store::{KEEP, begin, started};
use axum::body::Body;
use axum::{Extension, Router};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use sqlx::Connection;
use tower::ServiceExt;

use common::proxy::{Cut, Proxy};
use common::{PostgresShop, Shop, SqliteShop, on_both};

on_both! {
    fifty_calls_with_one_key_have_one_effect,
    fifty_keys_have_fifty_effects,
    killed_before_the_commit_there_is_neither_effect_nor_record,
    killed_after_the_commit_there_are_both,
    a_zombies_transaction_is_refused_and_rolls_back,
    a_handler_overtaken_by_another_answers_with_the_others_answer,
    a_success_whose_transaction_was_dropped_does_not_get_out,
    a_success_in_a_savepoint_of_a_transaction_that_was_dropped_does_not_get_out,
    a_success_that_its_handler_committed_gets_out,
    a_panic_rolls_back_and_the_key_runs_again,
    handlers_that_use_up_the_pool_keep_their_leases,
}

async fn fifty_calls_with_one_key_have_one_effect<S: Shop>() {
    let shop = S::open().await;
    let app = app(&shop, commits::<S>);
    let calls = (0..50).map(|_| tokio::spawn(send(app.clone(), "k".into())));
    for answer in join_all(calls).await {
        let status = answer.unwrap().status();
        assert!(matches!(status, StatusCode::CREATED | StatusCode::CONFLICT), "{status}");
    }
    let retry = send(app, "k".into()).await;
    assert_eq!((retry.status(), &retry.body()[..]), (StatusCode::CREATED, &b"reserved k"[..]));
    assert_eq!((shop.reservations().await, shop.available().await), (1, 999));
}

async fn fifty_keys_have_fifty_effects<S: Shop>() {
    let shop = S::open().await;
    let app = app(&shop, commits::<S>);
    let calls = (0..50).map(|n| tokio::spawn(send(app.clone(), format!("k{n}"))));
    for answer in join_all(calls).await {
        assert_eq!(answer.unwrap().status(), StatusCode::CREATED);
    }
    assert_eq!((shop.reservations().await, shop.available().await), (50, 950));
}

async fn killed_before_the_commit_there_is_neither_effect_nor_record<S: Shop>() {
    let shop = S::open().await;
    let (claim, _loss) = claim(shop.store(), &lapsing("k")).await;
    let mut tx = shop.reserve("k").await.unwrap();
    let recorded = complete_in(&claim, &mut *tx, response()).await.unwrap();
    drop((recorded, tx));
    let record = shop.store().get(claim.id()).await.unwrap().unwrap();
    assert!(matches!(record.state, State::Started(_)));
    assert_eq!((shop.reservations().await, shop.available().await), (0, 1000));

    let again = started(shop.store(), &lapsing("k")).await;
    assert_eq!(again.attempt, 2, "no record means no effect: it runs again");
}

async fn killed_after_the_commit_there_are_both<S: Shop>() {
    let shop = S::open().await;
    let (claim, _loss) = claim(shop.store(), &lapsing("k")).await;
    let tx = shop.reserve("k").await.unwrap();
    drop(complete_and_commit(&claim, tx, response()).await.unwrap());
    let Begun::Replay(answer) = shop.store().begin(&lapsing("k")).await.unwrap() else {
        panic!("the record was committed")
    };
    assert_eq!(answer.body().unwrap(), "reserved");
    assert_eq!((shop.reservations().await, shop.available().await), (1, 999));
    let State::Completed { expires, retired_until, .. } = state(&shop, claim.held()).await else {
        panic!("it is completed")
    };
    assert_eq!(retired_until, expires.plus(KEEP.key), "it is kept as the layer says");
}

async fn a_zombies_transaction_is_refused_and_rolls_back<S: Shop>() {
    let shop = S::open().await;
    let (zombie, _loss) = claim(shop.store(), &lapsing("k")).await;
    let (second, _loss) = claim(shop.store(), &lapsing("k")).await;
    assert!(second.fence() > zombie.fence());

    let tx = shop.reserve("k").await.unwrap();
    let late = complete_and_commit(&zombie, tx, response()).await;
    assert!(matches!(late, Err(CompleteError::Lost)));
    assert_eq!(shop.reservations().await, 0);

    let tx = shop.reserve("k").await.unwrap();
    drop(complete_and_commit(&second, tx, response()).await.unwrap());
    assert_eq!((shop.reservations().await, shop.available().await), (1, 999));
}

async fn a_handler_overtaken_by_another_answers_with_the_others_answer<S: Shop>() {
    let shop = S::open().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let dawdles = move |claim: Claim, Extension(shop): Extension<S>| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            // While this handler dawdles, another process finds its lease ended, does the work
            // and records it.
            shop.age(claim.held(), Duration::from_secs(1_000)).await;
            let mut call = begin(claim.key());
            call.identity = claim.identity().clone();
            let record = shop.store().get(claim.id()).await.unwrap().unwrap();
            call.fingerprint = record.fingerprint;
            call.lapsed = Lapsed::RunAgain;
            let (second, _loss) = self::claim(shop.store(), &call).await;
            let tx = shop.reserve("other").await.map_err(failed)?;
            drop(complete_and_commit(&second, tx, response()).await?);
            commits(claim, Extension(shop)).await
        }
    };
    let answer = send(app(&shop, dawdles), "k".into()).await;
    assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::CREATED, &b"reserved"[..]));
    assert_eq!(answer.headers()["idempotent-replayed"], "true");
    assert_eq!((shop.reservations().await, runs.load(Ordering::SeqCst)), (1, 1));
}

async fn a_success_whose_transaction_was_dropped_does_not_get_out<S: Shop>() {
    let shop = S::open().await;
    let forgets = |claim: Claim, Extension(shop): Extension<S>| async move {
        let mut tx = shop.reserve(claim.key()).await.map_err(failed)?;
        Ok::<_, Refusal>(complete_in(&claim, &mut *tx, response()).await?)
    };
    let answer = send(app(&shop, forgets), "k".into()).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(String::from_utf8_lossy(answer.body()).contains(problems::NOT_RECORDED));
    assert_eq!(shop.reservations().await, 0);
}

async fn a_success_in_a_savepoint_of_a_transaction_that_was_dropped_does_not_get_out<S: Shop>() {
    let shop = S::open().await;
    let forgets = |claim: Claim, Extension(shop): Extension<S>| async move {
        let mut outer = shop.reserve(claim.key()).await.map_err(failed)?;
        let mut savepoint = outer.begin().await.map_err(failed)?;
        let recorded = complete_in(&claim, &mut *savepoint, response()).await?;
        savepoint.commit().await.map_err(failed)?;
        Ok::<_, Refusal>(recorded)
    };
    let answer = send(app(&shop, forgets), "k".into()).await;
    assert_eq!(shop.reservations().await, 0);
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(String::from_utf8_lossy(answer.body()).contains(problems::NOT_RECORDED));
}

async fn a_success_that_its_handler_committed_gets_out<S: Shop>() {
    let shop = S::open().await;
    let commits = |claim: Claim, Extension(shop): Extension<S>| async move {
        let mut tx = shop.reserve(claim.key()).await.map_err(failed)?;
        let recorded = complete_in(&claim, &mut *tx, response()).await?;
        tx.commit().await.map_err(failed)?;
        Ok::<_, Refusal>(recorded)
    };
    let app = app(&shop, commits);
    for _ in 0..2 {
        assert_eq!(send(app.clone(), "k".into()).await.status(), StatusCode::CREATED);
    }
    assert_eq!(shop.reservations().await, 1);
}

async fn a_panic_rolls_back_and_the_key_runs_again<S: Shop>() {
    let shop = S::open().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let panics_once = move |claim: Claim, Extension(shop): Extension<S>| {
        let first = runs.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            let tx = shop.reserve(claim.key()).await.map_err(failed)?;
            assert!(!first, "a handler with a bug");
            Ok::<_, Refusal>(complete_and_commit(&claim, tx, response()).await?)
        }
    };
    let app = app(&shop, panics_once);
    let first = send(app.clone(), "k".into()).await;
    assert_eq!(first.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(shop.reservations().await, 0);
    assert_eq!(send(app, "k".into()).await.status(), StatusCode::CREATED);
    assert_eq!((shop.reservations().await, shop.available().await), (1, 999));
}

/// Fifty handlers want a connection, and there are ten on Postgres and one on SQLite. Meanwhile
/// every one of them needs its lease renewed, and its key must stay its own.
async fn handlers_that_use_up_the_pool_keep_their_leases<S: Shop>() {
    let shop = S::open().await;
    let claims = (0..50).map(|n| begin(&format!("k{n}"))).collect::<Vec<_>>();
    let claims = join_all(claims.iter().map(|call| claim(shop.store(), call))).await;
    let work = claims.iter().map(|(claim, _loss)| {
        let shop = shop.clone();
        async move {
            let tx = shop.reserve(claim.key()).await.unwrap();
            drop(complete_and_commit(claim, tx, response()).await.unwrap());
        }
    });
    let renewals = claims.iter().map(|(claim, _loss)| {
        let (shop, held) = (shop.clone(), claim.held());
        async move { shop.store().renew(held, Duration::from_secs(60)).await.map(|_| ()) }
    });
    let (_, renewed) = tokio::join!(join_all(work), join_all(renewals));
    for renewed in renewed {
        renewed.unwrap();
    }
    assert_eq!((shop.reservations().await, shop.available().await), (50, 950));
}

#[tokio::test]
async fn after_a_full_disk_the_writer_of_sqlite_writes_again() {
    let shop = SqliteShop::open().await;
    let mut tx = shop.reserve("k").await.unwrap();
    // SQLite ends the transaction itself when there is no page to be had.
    sqlx::query("PRAGMA max_page_count = 1").execute(&mut *tx).await.unwrap();
    let full = sqlx::query("INSERT INTO reservations (key) VALUES (zeroblob(1000000) || '')");
    let full = full.execute(&mut *tx).await.unwrap_err();
    assert!(full.to_string().contains("full"), "{full}");
    drop(tx);
    assert_eq!((shop.reservations().await, shop.available().await), (0, 1000));

    let app = app(&shop, commits::<SqliteShop>);
    assert_eq!(send(app, "k".into()).await.status(), StatusCode::CREATED);
    assert_eq!((shop.reservations().await, shop.available().await), (1, 999));
}

#[tokio::test]
async fn above_read_committed_a_handler_overtaken_by_its_own_renewal_is_told_to_roll_back() {
    let shop = PostgresShop::open().await;
    let (claim, _loss) = claim(shop.store(), &begin("k")).await;
    let mut tx = shop.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    sqlx::query("UPDATE stock SET available = available - 1").execute(&mut *tx).await.unwrap();
    let renewed = shop.store.renew(claim.held(), Duration::from_secs(60)).await.unwrap();
    assert_eq!(renewed, aplomb_idempotency::Settled::Done);
    let late = complete_and_commit(&claim, tx, response()).await;
    assert!(matches!(late, Err(CompleteError::Lost)), "{late:?}");
    assert_eq!(shop.available().await, 1000);
    assert!(matches!(state(&shop, claim.held()).await, State::Started(_)));
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_in_doubt_until_the_record_is_read() {
    for (cut, effects) in [(Cut::Before, 0), (Cut::After, 1)] {
        let shop = PostgresShop::open().await;
        let proxy = Proxy::of(shop.url(), cut).await;
        let pool = sqlx::PgPool::connect(&proxy.url(shop.url())).await.unwrap();
        let (claim, _loss) = claim(shop.store(), &lapsing("k")).await;
        let mut tx = pool.begin().await.unwrap();
        let reserve = "INSERT INTO reservations (key) VALUES ('k')";
        sqlx::query(reserve).execute(&mut *tx).await.unwrap();
        proxy.arm();
        let lost = complete_and_commit(&claim, tx, response()).await;
        let Err(CompleteError::Store(error)) = lost else { panic!("the answer was lost") };
        assert!(error.is_uncertain(), "{error}");

        let begun = shop.store().begin(&lapsing("k")).await.unwrap();
        assert_eq!(matches!(begun, Begun::Replay(_)), cut == Cut::After, "{begun:?}");
        assert_eq!(shop.reservations().await, effects);
    }
}

#[tokio::test]
async fn the_layer_answers_with_what_became_of_a_commit_whose_answer_is_lost() {
    let shop = PostgresShop::open().await;
    let proxy = Proxy::of(shop.url(), Cut::After).await;
    let pool = sqlx::PgPool::connect(&proxy.url(shop.url())).await.unwrap();
    let commits = move |claim: Claim| {
        let (pool, proxy) = (pool.clone(), proxy.clone());
        async move {
            let mut tx = pool.begin().await.map_err(failed)?;
            let reserve = "INSERT INTO reservations (key) VALUES ('k')";
            sqlx::query(reserve).execute(&mut *tx).await.map_err(failed)?;
            proxy.arm();
            Ok::<_, Refusal>(complete_and_commit(&claim, tx, response()).await?)
        }
    };
    let app = app(&shop, commits);
    for _ in 0..2 {
        let answer = send(app.clone(), "k".into()).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        assert_eq!(&answer.body()[..], b"reserved");
    }
    assert_eq!(shop.reservations().await, 1);
}

#[tokio::test]
async fn a_commit_that_the_database_refuses_is_no_doubt() {
    let shop = PostgresShop::open().await;
    let once = "ALTER TABLE reservations ADD UNIQUE (key) DEFERRABLE INITIALLY DEFERRED; \
         INSERT INTO reservations (key) VALUES ('k')";
    shop.run(once.into()).await.unwrap();
    let (claim, _loss) = claim(shop.store(), &lapsing("k")).await;
    let tx = shop.reserve("k").await.unwrap();
    let refused = complete_and_commit(&claim, tx, response()).await;
    let Err(CompleteError::Store(error)) = refused else { panic!("the key is taken") };
    assert!(!error.is_uncertain(), "{error}");
    assert!(matches!(state(&shop, claim.held()).await, State::Started(_)));
}

#[tokio::test]
async fn a_backend_that_is_terminated_before_its_commit_leaves_nothing() {
    let shop = PostgresShop::open().await;
    let (claim, _loss) = claim(shop.store(), &lapsing("k")).await;
    let mut tx = shop.reserve("k").await.unwrap();
    let backend: i32 =
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *tx).await.unwrap();
    shop.run(format!("SELECT pg_terminate_backend({backend})")).await.unwrap();
    let lost = complete_and_commit(&claim, tx, response()).await;
    assert!(matches!(lost, Err(CompleteError::Store(_))));
    let again = started(shop.store(), &lapsing("k")).await;
    assert_eq!((again.attempt, shop.reservations().await), (2, 0));
}

/// As the documentation of `Recording` has it.
mod with_tokio_postgres {
    use aplomb_idempotency::{Keep, StoredAnswer};
    use aplomb_idempotency_sqlx::{Completion, Recording, postgres};
    use tokio_postgres::NoTls;
    use tokio_postgres::types::ToSql;

    use super::*;

    struct Tx<'a>(tokio_postgres::Transaction<'a>);

    impl Recording for Tx<'_> {
        async fn record(
            &mut self,
            held: Held,
            answer: &StoredAnswer,
            keep: Keep,
        ) -> Result<bool, StoreError> {
            let Completion { id, fence, status, headers, body, answer, key } =
                Completion::new(&held, answer, keep);
            let parameters: [&(dyn ToSql + Sync); 7] =
                [&id, &fence, &status, &headers, &body, &answer, &key];
            let changed = self.0.execute(postgres::COMPLETE, &parameters).await;
            Ok(changed.map_err(StoreError::unavailable)? == 1)
        }
    }

    #[tokio::test]
    async fn another_driver_writes_the_record_in_its_own_transaction() {
        let shop = PostgresShop::open().await;
        let (mut client, connection) = tokio_postgres::connect(shop.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let (zombie, _loss) = claim(shop.store(), &lapsing("k")).await;
        let (second, _loss) = claim(shop.store(), &lapsing("k")).await;

        let mut tx = Tx(reserve(&mut client).await);
        let late = complete_in(&zombie, &mut tx, response()).await;
        assert!(matches!(late, Err(CompleteError::Lost)));
        drop(tx);

        let mut tx = Tx(reserve(&mut client).await);
        drop(complete_in(&second, &mut tx, response()).await.unwrap());
        tx.0.commit().await.unwrap();
        let Begun::Replay(answer) = shop.store().begin(&lapsing("k")).await.unwrap() else {
            panic!("the record was committed")
        };
        assert_eq!(answer, second.stored(&response()));
        assert_eq!(shop.reservations().await, 1);
        let State::Completed { expires, retired_until, .. } = state(&shop, second.held()).await
        else {
            panic!("it is completed")
        };
        assert_eq!(retired_until, expires.plus(KEEP.key));
    }

    async fn reserve(client: &mut tokio_postgres::Client) -> tokio_postgres::Transaction<'_> {
        let tx = client.transaction().await.unwrap();
        tx.execute("INSERT INTO reservations (key) VALUES ('k')", &[]).await.unwrap();
        tx
    }
}

/// What a handler should look like.
async fn commits<S: Shop>(
    claim: Claim,
    Extension(shop): Extension<S>,
) -> Result<Recorded, Refusal> {
    let tx = shop.reserve(claim.key()).await.map_err(failed)?;
    let mut response = Response::new(Bytes::from(format!("reserved {}", claim.key())));
    *response.status_mut() = StatusCode::CREATED;
    Ok(complete_and_commit(&claim, tx, response).await?)
}

fn app<S: Shop, H, T>(shop: &S, handler: H) -> Router
where
    H: RecordingHandler<T, ()>,
    T: 'static,
{
    let keys = IdempotencyLayer::new(shop.store().clone()).transactional();
    Router::new()
        .route("/reservations", keys.post(handler))
        .layer(Extension(shop.clone()))
        .layer(Extension(Principal::new("shop")))
}

async fn send(app: Router, key: String) -> Response<Bytes> {
    let request = Request::post("/reservations").header("idempotency-key", key);
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

/// A claim of a transactional route whose lease has ended by the time anyone looks.
fn lapsing(key: &str) -> Begin {
    Begin { lease: Duration::ZERO, lapsed: Lapsed::RunAgain, ..begin(key) }
}

async fn claim<S: Store>(store: &S, begin: &Begin) -> (Claim, Loss) {
    let terms = Terms { keep: KEEP, body_cap: 1024 };
    Claim::new(begin.identity.clone(), started(store, begin).await, terms)
}

async fn state<S: Shop>(shop: &S, held: Held) -> State {
    shop.store().get(held.id).await.unwrap().unwrap().state
}

fn response() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from("reserved"));
    *response.status_mut() = StatusCode::CREATED;
    response
}
