//! Letters in a database keep the contract of a sink.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;
#[path = "../../aplomb-dead-letter/tests/suite/mod.rs"]
mod suite;

use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{BoxError, OperationClass, cause};
use aplomb_dead_letter::{
    DeadLetterLayer, Fate, Listing, NotStored, Note, RedriveError, RedriveRequest, Redriven,
    Redriver, Refused, Sink, SinkError, State,
};
use aplomb_dead_letter_sqlx::{Backend, SqlSink, bury_in};
use aplomb_retry::Budget;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};

use common::{Shop, on_both, on_postgres, on_sqlite};
use suite::{letter, note, stored};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_keeps_the_contract() {
    // Each check has a file of its own, which goes with it.
    let shops = std::sync::Mutex::new(Vec::new());
    let make = || async {
        let shop = on_sqlite().await;
        let sink = shop.sink.clone();
        shops.lock().unwrap().push(shop);
        sink
    };
    Box::pin(suite::check(make)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres_keeps_the_contract() {
    let shops = std::sync::Mutex::new(Vec::new());
    let make = || async {
        let shop = on_postgres().await;
        let sink = shop.sink.clone();
        shops.lock().unwrap().push(shop);
        sink
    };
    Box::pin(suite::check(make)).await;
}

on_both!(
    a_letter_is_stored_with_the_callers_own_rows_or_not_at_all,
    many_who_store_one_letter_at_once_store_it_once,
    a_letter_is_redriven_from_a_database,
    of_two_processes_that_press_at_once_one_sends,
    when_the_database_is_gone_the_caller_sees_it,
);

async fn a_letter_is_stored_with_the_callers_own_rows_or_not_at_all<D: Backend>(shop: Shop<D>)
where
    for<'c> &'c mut D::Connection: sqlx::Executor<'c, Database = D>,
{
    for commits in [false, true] {
        let mut tx = shop.pool.begin().await.unwrap();
        let own = "INSERT INTO aplomb_dead_letter_schema (version, applied_at) VALUES (99, 0)";
        sqlx::raw_sql(own).execute(&mut *tx).await.unwrap();
        bury_in(&mut *tx, &letter("a")).await.unwrap();
        if commits {
            tx.commit().await.unwrap();
        } else {
            drop(tx);
        }
        assert_eq!(shop.sink.get(letter("a").id).await.unwrap().is_some(), commits);
    }
}

async fn many_who_store_one_letter_at_once_store_it_once<D: Backend>(shop: Shop<D>) {
    let stores = (0..16).map(|_| {
        let sink = shop.sink.clone();
        tokio::spawn(async move { sink.store(&letter("a")).await.unwrap() })
    });
    let stored = futures_util::future::join_all(stores).await;
    let new = stored
        .into_iter()
        .filter(|stored| matches!(stored.as_ref().unwrap(), aplomb_dead_letter::Stored::New));
    assert_eq!(new.count(), 1);
}

async fn a_letter_is_redriven_from_a_database<D: Backend>(shop: Shop<D>) {
    let sink = Arc::new(shop.sink.clone());
    let id = stored(&sink, "order_1").await;
    let client = service_fn(|request: RedriveRequest| async move {
        assert_eq!(request.headers()["idempotency-key"], "order_1");
        Ok::<_, BoxError>(Response::new(()))
    });
    let redriver =
        Redriver::new(Arc::clone(&sink), client, Budget::percent(20)).spread(Duration::ZERO);
    let redriven = redriver.redrive(id, &note()).await.unwrap();
    assert!(matches!(redriven, Redriven::Delivered { .. }));
    let again = redriver.redrive(id, &note()).await.unwrap_err();
    assert!(matches!(again, RedriveError::Refused(Refused::Delivered { .. })), "{again}");
    assert!(redriver.list(&Listing::dead(10)).await.unwrap().is_empty());
    assert_eq!(redriver.audit(Some(id), 10).await.unwrap().len(), 2);
}

async fn of_two_processes_that_press_at_once_one_sends<D: Backend>(shop: Shop<D>) {
    let sink = Arc::new(shop.sink.clone());
    let id = stored(&sink, "k").await;
    let sends = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let presses = (0..8).map(|number| {
        let (sink, counted) = (Arc::new(SqlSink::new(shop.pool.clone())), Arc::clone(&sends));
        let client = service_fn(move |_: RedriveRequest| {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            std::future::ready(Ok::<_, BoxError>(Response::new(())))
        });
        let redriver = Redriver::new(sink, client, Budget::percent(20));
        let redriver = redriver.spread(Duration::from_millis(20));
        tokio::spawn(async move {
            redriver.redrive(id, &Note::new(&format!("operator {number}"), "now")).await.is_ok()
        })
    });
    let sent = futures_util::future::join_all(presses).await;
    assert_eq!(sent.into_iter().filter(|sent| *sent.as_ref().unwrap()).count(), 1);
    assert_eq!(sends.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert!(matches!(sink.get(id).await.unwrap().unwrap().state, State::Delivered { .. }));
}

async fn when_the_database_is_gone_the_caller_sees_it<D: Backend>(shop: Shop<D>) {
    let client = DeadLetterLayer::new(shop.sink.clone()).layer(service_fn(
        |_: Request<Full<Bytes>>| async {
            Ok::<_, BoxError>(Response::builder().status(422).body(()).unwrap())
        },
    ));
    shop.pool.close().await;
    let mut request = common::request("k").map(Full::from);
    request.extensions_mut().insert(OperationClass::Deferred);
    let answer = client.oneshot(request).await;
    assert!(matches!(Fate::of(&answer), Some(Fate::NotStored(_))));
    let error = answer.unwrap_err();
    assert!(cause::<NotStored>(&*error).is_some());
    assert!(!cause::<SinkError>(&*error).unwrap().is_uncertain());
}
