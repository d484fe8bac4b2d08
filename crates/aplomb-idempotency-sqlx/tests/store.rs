//! The stores by themselves: the suite that all stores pass, and what is theirs alone.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aplomb_idempotency::operator::{Listing, Note, Purge, Which};
use aplomb_idempotency::record::LAPSED_KEPT;
use aplomb_idempotency::{
    Begin, Begun, Held, Keep, Lapsed, Settled, State, Store, StoreError, Timestamp,
};
use aplomb_testkit::store::{
    self, KEEP, LONG, NONE, answer, begin, claim, complete, fingerprint, state,
};
use futures_util::future::join_all;
use sqlx::Connection;

use common::{PostgresShop, Shop, SqliteShop, on_both};

on_both! {
    it_passes_the_suite,
    of_callers_in_many_processes_one_gets_the_claim,
    renewals_do_not_wait_for_a_free_connection,
    a_claim_that_nobody_came_back_for_ends_as_its_route_declared,
    sweeps_at_once_take_each_record_once,
    fences_grow_though_records_come_and_go,
    records_outlive_their_connections,
    a_record_that_cannot_be_read_is_named_and_keeps_no_other_from_being_swept,
    the_longest_times_are_kept,
    a_store_that_is_closed_has_done_nothing,
    a_call_that_was_dropped_is_given_the_same_claim_when_it_is_repeated,
}

async fn it_passes_the_suite<S: Shop>() {
    let shops = Mutex::new(Vec::new());
    store::check(|| async {
        let shop = S::open().await;
        let store = shop.store().clone();
        shops.lock().unwrap().push(shop);
        store
    })
    .await;
}

async fn of_callers_in_many_processes_one_gets_the_claim<S: Shop>() {
    let shop = S::open().await;
    let mut calls = Vec::new();
    for _ in 0..4 {
        // Pools of their own meet only in the database, as processes do.
        let store = shop.other_store().await;
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

async fn renewals_do_not_wait_for_a_free_connection<S: Shop>() {
    let shop = S::open().await;
    let mut held = Vec::new();
    for n in 0..50 {
        held.push(claim(shop.store(), &begin(&format!("k{n}"))).await);
    }
    // Handlers have every connection that there is.
    let connections = shop.take_all().await;
    let renewals = held.iter().map(|&held| shop.store().renew(held, LONG));
    for renewed in join_all(renewals).await {
        assert_eq!(renewed.unwrap(), Settled::Done);
    }
    drop(connections);
}

async fn a_claim_that_nobody_came_back_for_ends_as_its_route_declared<S: Shop>() {
    let shop = S::open().await;
    let all = [Lapsed::Unknown, Lapsed::RunAgain, Lapsed::Recover, Lapsed::AtLeastOnce];
    let mut claims = BTreeMap::new();
    for lapsed in all {
        let call = Begin { lapsed, lease: Duration::ZERO, ..begin(lapsed.as_str()) };
        claims.insert(lapsed.as_str(), claim(shop.store(), &call).await);
    }
    let running = claim(shop.store(), &begin("running")).await;

    for &held in claims.values() {
        shop.age(held, LAPSED_KEPT.saturating_sub(MINUTE)).await;
    }
    assert_eq!(shop.store().sweep(100).await.unwrap(), 0, "somebody may still come back");
    let unknown = claims["unknown"];
    assert_eq!(shop.store().renew(unknown, Duration::ZERO).await.unwrap(), Settled::Done);
    for &held in claims.values() {
        shop.age(held, 2 * MINUTE).await;
    }
    assert_eq!(shop.store().sweep(100).await.unwrap(), 2, "a renewal counts from anew");
    shop.age(unknown, LAPSED_KEPT).await;
    assert_eq!(shop.store().sweep(100).await.unwrap(), 1);

    assert_eq!(state(shop.store(), claims["run_again"]).await, None);
    assert_eq!(state(shop.store(), claims["at_least_once"]).await, None);
    let recover = state(shop.store(), claims["recover"]).await;
    assert!(matches!(recover, Some(State::Started(_))), "it waits for its caller");
    let doubt = state(shop.store(), unknown).await;
    assert!(matches!(doubt, Some(State::Unknown { attempt: 1, .. })), "{doubt:?}");
    assert!(matches!(state(shop.store(), running).await, Some(State::Started(_))));
    let zombie = complete(shop.store(), claims["run_again"], "zombie").await;
    assert_eq!(zombie, Settled::Lost);
}

async fn sweeps_at_once_take_each_record_once<S: Shop>() {
    let shop = S::open().await;
    let mut done = Vec::new();
    for n in 0..60 {
        let held = claim(shop.store(), &begin(&format!("k{n}"))).await;
        assert_eq!(complete(shop.store(), held, "old").await, Settled::Done);
        done.push(held);
    }
    for held in done {
        shop.age(held, LONG * 3).await;
    }
    let mut sweeps = Vec::new();
    for _ in 0..4 {
        let store = shop.other_store().await;
        sweeps.push(tokio::spawn(async move {
            let mut swept = 0;
            loop {
                match store.sweep(7).await.unwrap() {
                    0 => return swept,
                    some => swept += some,
                }
            }
        }));
    }
    let swept = join_all(sweeps).await.into_iter().map(Result::unwrap).sum::<usize>();
    assert_eq!((swept, shop.records().await), (60, 0));
}

/// Records are forgotten and made anew all the time; whoever claims a key has a greater number
/// than whoever did before.
async fn fences_grow_though_records_come_and_go<S: Shop>() {
    let shop = S::open().await;
    let last: Arc<[AtomicU64; 3]> = Arc::default();
    let mut callers = Vec::new();
    for caller in 0..8 {
        let (store, last) = (shop.other_store().await, Arc::clone(&last));
        callers.push(tokio::spawn(async move {
            for n in caller..caller + 40 {
                let call = begin(&format!("k{}", n % 3));
                let Begun::Claimed(started) = store.begin(&call).await.unwrap() else { continue };
                // The key is ours until it is completed, so this is the order of the claims.
                let before = last[n % 3].swap(started.fence.get(), Ordering::SeqCst);
                assert!(before < started.fence.get(), "{before} before {:?}", started.fence);
                let held = Held { id: call.identity.id(), fence: started.fence };
                let done = store.complete(held, &answer("x"), NONE).await.unwrap();
                assert_eq!(done, Settled::Done);
                store.sweep(3).await.unwrap();
            }
        }));
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(last.iter().all(|last| last.load(Ordering::SeqCst) > 0));
}

async fn records_outlive_their_connections<S: Shop>() {
    let shop = S::open().await;
    let held = claim(shop.store(), &begin("k")).await;
    assert_eq!(complete(shop.store(), held, "made").await, Settled::Done);
    let other = shop.other_store().await;
    shop.close().await;
    assert_eq!(other.begin(&begin("k")).await.unwrap(), Begun::Replay(answer("made")));
}

async fn a_record_that_cannot_be_read_is_named_and_keeps_no_other_from_being_swept<S: Shop>() {
    let shop = S::open().await;
    let spoilt = claim(shop.store(), &begin("spoilt")).await;
    assert_eq!(complete(shop.store(), spoilt, "old").await, Settled::Done);
    let other = claim(shop.store(), &begin("other")).await;
    assert_eq!(complete(shop.store(), other, "old").await, Settled::Done);
    let (id, zero) = (S::id(spoilt.id), S::bytes(&[0]));
    let spoil = format!(
        "UPDATE aplomb_idempotency_records SET fence = -1, headers = {zero} WHERE id = {id}"
    );
    shop.run(spoil).await.unwrap();

    let name = spoilt.id.to_string();
    let begun = shop.store().begin(&begin("spoilt")).await.unwrap_err();
    let got = shop.store().get(spoilt.id).await.unwrap_err();
    let scope = begin("spoilt").identity.scope;
    let listing = Listing { which: Which::Of(scope), after: None, most: 10 };
    let listed = shop.store().list(&listing).await.unwrap_err();
    let note = Note::new("ada", "asked to be forgotten");
    let purged = shop.store().purge(&Purge::Key(spoilt.id), &note, 1).await.unwrap_err();
    for error in [begun, got, listed, purged] {
        assert!(chain(&error).contains("cannot be read"), "{}", chain(&error));
        assert!(chain(&error).contains(&name), "{}", chain(&error));
        assert!(!error.is_uncertain());
    }

    for held in [spoilt, other] {
        shop.age(held, LONG * 3).await;
    }
    claim(shop.store(), &begin("new")).await;
    shop.store().sweep(10).await.unwrap();
    assert_eq!(state(shop.store(), other).await, None);
    assert_eq!(shop.records().await, 2, "the spoilt one is left for somebody to mend");
}

async fn the_longest_times_are_kept<S: Shop>() {
    let shop = S::open().await;
    let call = Begin { lease: Duration::MAX, ..begin("k") };
    let held = claim(shop.store(), &call).await;
    assert_eq!(shop.store().begin(&begin("k")).await.unwrap(), Begun::InFlight);
    assert_eq!(shop.store().renew(held, Duration::MAX).await.unwrap(), Settled::Done);
    let keep = Keep { answer: Duration::MAX, key: Duration::MAX };
    let done = shop.store().complete(held, &answer("kept"), keep).await.unwrap();
    assert_eq!(done, Settled::Done);
    assert_eq!(shop.store().sweep(10).await.unwrap(), 0);
    assert_eq!(shop.store().begin(&begin("k")).await.unwrap(), Begun::Replay(answer("kept")));
}

async fn a_store_that_is_closed_has_done_nothing<S: Shop>() {
    let shop = S::open().await;
    let held = claim(shop.store(), &begin("k")).await;
    shop.close().await;
    let begun = shop.store().begin(&begin("other")).await.unwrap_err();
    let completed = shop.store().complete(held, &answer("x"), KEEP).await.unwrap_err();
    let swept = shop.store().sweep(1).await.unwrap_err();
    for error in [begun, completed, swept] {
        assert!(!error.is_uncertain() && !error.is_full(), "{}", chain(&error));
    }
}

/// What a caller asks again with the same ticket, because it was cut off, is answered with the
/// same claim, however the first call ended.
async fn a_call_that_was_dropped_is_given_the_same_claim_when_it_is_repeated<S: Shop>() {
    let shop = S::open().await;
    for n in 0..20 {
        let call = begin(&format!("k{n}"));
        let (store, dropped) = (shop.store().clone(), call.clone());
        let first = tokio::spawn(async move { store.begin(&dropped).await });
        tokio::time::sleep(Duration::from_micros(n * 200)).await;
        first.abort();
        let first = first.await.ok().map(Result::unwrap);
        let second = shop.store().begin(&call).await.unwrap();
        assert!(matches!(second, Begun::Claimed(started) if started.attempt == 1), "{second:?}");
        assert!(first.is_none_or(|first| first == second));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_a_step_that_fails_takes_no_other_of_its_commit_with_it() {
    let shop = SqliteShop::open().await;
    let spoilt = claim(&shop.store, &begin("spoilt")).await;
    shop.run("UPDATE aplomb_idempotency_records SET fence = -1".into()).await.unwrap();
    let tx = shop.reserve("k").await.unwrap();
    // The first of them waits for the writer, and the others for one commit.
    let mut begins = Vec::new();
    for n in 0..20 {
        let (store, call) = (shop.store.clone(), begin(&format!("k{n}")));
        begins.push(tokio::spawn(async move { store.begin(&call).await }));
    }
    let store = shop.store.clone();
    let completion = tokio::spawn(async move { store.complete(spoilt, &answer("x"), KEEP).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    tx.commit().await.unwrap();

    let error = completion.await.unwrap().unwrap_err();
    assert!(chain(&error).contains(&spoilt.id.to_string()), "{}", chain(&error));
    let mut fences = std::collections::BTreeSet::new();
    for begun in join_all(begins).await {
        let Begun::Claimed(started) = begun.unwrap().unwrap() else { panic!("each key is new") };
        fences.insert(started.fence);
    }
    assert_eq!(fences.len(), 20);
    assert_eq!(shop.records().await, 21);
}

#[tokio::test]
async fn sqlite_steps_that_wait_for_a_writer_that_closes_are_all_told() {
    let shop = SqliteShop::open().await;
    let tx = shop.reserve("k").await.unwrap();
    let calls: Vec<_> = (0..5).map(|n| begin(&format!("k{n}"))).collect();
    let begins = join_all(calls.iter().map(|call| shop.store.begin(call)));
    let close = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        tokio::join!(shop.pools.writer.close(), async { drop(tx) });
    };
    let (begins, ()) = tokio::join!(begins, close);
    for begun in begins {
        let error = begun.unwrap_err();
        assert!(!error.is_uncertain(), "{}", chain(&error));
        assert!(chain(&error).contains("closed"), "{}", chain(&error));
    }
}

#[tokio::test]
async fn sqlite_a_renewal_waits_for_a_handlers_transaction_and_then_succeeds() {
    let shop = SqliteShop::open().await;
    let held = claim(&shop.store, &begin("k")).await;
    let tx = shop.reserve("k").await.unwrap();
    let mut renewal = std::pin::pin!(shop.store.renew(held, LONG));
    let waits = tokio::time::timeout(Duration::from_millis(50), &mut renewal).await;
    assert!(waits.is_err(), "the write lock is the handler's");
    tx.commit().await.unwrap();
    assert_eq!(renewal.await.unwrap(), Settled::Done);
}

#[tokio::test]
async fn sqlite_replays_and_refusals_wait_for_no_writer() {
    let shop = SqliteShop::open().await;
    let held = claim(&shop.store, &begin("done")).await;
    assert_eq!(complete(&shop.store, held, "made").await, Settled::Done);
    claim(&shop.store, &begin("running")).await;

    let _tx = shop.reserve("k").await.unwrap();
    assert_eq!(shop.store.begin(&begin("done")).await.unwrap(), Begun::Replay(answer("made")));
    assert_eq!(shop.store.begin(&begin("running")).await.unwrap(), Begun::InFlight);
    let other = Begin { fingerprint: fingerprint("other"), ..begin("done") };
    assert_eq!(shop.store.begin(&other).await.unwrap(), Begun::Mismatch);
}

#[tokio::test]
async fn sqlite_what_expired_makes_way_for_new_keys() {
    let shop = SqliteShop::open().await;
    for n in 0..10 {
        let held = claim(&shop.store, &begin(&format!("k{n}"))).await;
        let done = shop.store.complete(held, &answer("old"), NONE).await.unwrap();
        assert_eq!(done, Settled::Done);
    }
    assert!(shop.records().await <= 2);
}

#[tokio::test]
async fn sqlite_closes_in_time_though_a_renewal_is_stuck() {
    let shop = SqliteShop::open().await;
    let held = claim(&shop.store, &begin("k")).await;
    let tx = shop.reserve("k").await.unwrap();
    let store = shop.store.clone();
    let renewal = tokio::spawn(async move { store.renew(held, LONG).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    shop.store.close().await;
    assert!(!renewal.is_finished(), "the write lock is still somebody else's");
    drop(tx);
    assert_eq!(renewal.await.unwrap().unwrap(), Settled::Done);
}

#[tokio::test]
async fn postgres_reads_its_clock_after_it_has_waited_for_the_record() {
    let shop = PostgresShop::open().await;
    let held = claim(&shop.store, &begin("k")).await;
    let lapsing = Begin { lease: Duration::ZERO, lapsed: Lapsed::RunAgain, ..begin("lapsed") };
    let lapsed = claim(&shop.store, &lapsing).await;
    let mut tx = shop.pool.begin().await.unwrap();
    let lock = "SELECT id FROM aplomb_idempotency_records FOR UPDATE";
    sqlx::query(lock).execute(&mut *tx).await.unwrap();
    let (renews, begins) = (shop.store.clone(), shop.store.clone());
    let renewal = tokio::spawn(async move { renews.renew(held, LONG).await });
    let again = Begin { lapsed: Lapsed::RunAgain, ..begin("lapsed") };
    let second = tokio::spawn(async move { begins.begin(&again).await });
    // Both wait now, and time passes.
    while shop.number(WAITING.into()).await < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let clock = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT";
    let released: i64 = sqlx::query_scalar(clock).fetch_one(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(renewal.await.unwrap().unwrap(), Settled::Done);
    let until = Timestamp::from_millis(released).plus(LONG);
    let Some(State::Started(started)) = state(&shop.store, held).await else { panic!("it runs") };
    assert!(started.lease_until >= until);
    let Begun::Claimed(second) = second.await.unwrap().unwrap() else { panic!("it lapsed") };
    assert!(second.lease_until >= until && second.fence > lapsed.fence);
    assert!(second.after_lapse);
}

#[tokio::test]
async fn postgres_draws_a_fence_while_it_holds_the_key() {
    let shop = PostgresShop::open().await;
    let call = begin("k");
    let number = i64::from_be_bytes(*call.identity.id().as_bytes().first_chunk().unwrap());
    let mut tx = shop.pool.begin().await.unwrap();
    let hold = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(number);
    hold.execute(&mut *tx).await.unwrap();
    let store = shop.store.clone();
    let second = tokio::spawn(async move { store.begin(&call).await });
    while shop.number(WAITING.into()).await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Whoever holds the key now draws a fence, uses it, and everything of it is forgotten again.
    let first = shop.number("SELECT nextval('aplomb_idempotency_fence')".into()).await;
    tx.commit().await.unwrap();
    let Begun::Claimed(second) = second.await.unwrap().unwrap() else { panic!("it is new") };
    assert!(second.fence.get() > u64::try_from(first).unwrap());
}

#[tokio::test]
async fn postgres_waits_for_a_lock_within_bounds_and_has_then_done_nothing() {
    let shop = PostgresShop::open().await;
    let held = claim(&shop.store, &begin("k")).await;
    let tx = lock(&shop, held).await;
    let error = shop.store.renew(held, LONG).await.unwrap_err();
    assert!(!error.is_uncertain(), "{}", chain(&error));
    assert!(chain(&error).contains("lock timeout"), "{}", chain(&error));
    drop(tx);
    assert_eq!(shop.store.renew(held, LONG).await.unwrap(), Settled::Done);
}

#[tokio::test]
async fn postgres_sweeps_past_records_that_somebody_holds() {
    let shop = PostgresShop::open().await;
    let (held, other) =
        (claim(&shop.store, &begin("k")).await, claim(&shop.store, &begin("other")).await);
    for held in [held, other] {
        let done = shop.store.complete(held, &answer("x"), NONE).await.unwrap();
        assert_eq!(done, Settled::Done);
    }
    let tx = lock(&shop, held).await;
    assert_eq!(shop.store.sweep(10).await.unwrap(), 1);
    drop(tx);
    assert_eq!(shop.store.sweep(10).await.unwrap(), 1);
}

#[tokio::test]
async fn postgres_terminated_at_a_completion_leaves_a_doubt_that_a_repetition_ends() {
    let shop = PostgresShop::open().await;
    let held = claim(&shop.store, &begin("k")).await;
    let tx = lock(&shop, held).await;
    let store = shop.store.clone();
    let completion = tokio::spawn(async move { store.complete(held, &answer("x"), KEEP).await });
    let terminate = "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE wait_event_type = 'Lock' AND datname = current_database()) AS terminated";
    while shop.number(terminate.into()).await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let error = completion.await.unwrap().unwrap_err();
    assert!(error.is_uncertain(), "{}", chain(&error));
    drop(tx);
    assert_eq!(complete(&shop.store, held, "x").await, Settled::Done);
    assert_eq!(complete(&shop.store, held, "x").await, Settled::Done);
    assert_eq!(shop.store.begin(&begin("k")).await.unwrap(), Begun::Replay(answer("x")));
}

#[tokio::test]
async fn postgres_that_forgot_its_connections_is_connected_to_again() {
    let shop = PostgresShop::open().await;
    let held = claim(&shop.store, &begin("k")).await;
    let terminate = "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = 'aplomb-idempotency' AND datname = current_database()) AS gone";
    assert!(shop.number(terminate.into()).await > 0);
    // Longer than an idle connection is trusted for.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(complete(&shop.store, held, "x").await, Settled::Done);
}

#[tokio::test]
async fn postgres_that_is_not_there_has_done_nothing() {
    let port = aplomb_testkit::servers::free_port().unwrap();
    let options = format!("postgres://nobody@127.0.0.1:{port}/nothing").parse();
    let pool = sqlx::PgPool::connect_lazy_with(options.unwrap());
    let store = aplomb_idempotency_sqlx::PostgresStore::new(pool);
    let error = store.begin(&begin("k")).await.unwrap_err();
    assert!(!error.is_uncertain() && !error.is_full(), "{}", chain(&error));
}

#[tokio::test]
async fn postgres_closes_in_time_though_a_step_is_stuck() {
    let shop = PostgresShop::open().await;
    let held = claim(&shop.store, &begin("k")).await;
    let tx = lock(&shop, held).await;
    let store = shop.store.clone();
    let stuck = tokio::spawn(async move { store.mark_unknown(held).await });
    while shop.number(WAITING.into()).await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    shop.store.close().await;
    assert!(!stuck.is_finished(), "its lock is still somebody else's");
    drop(tx);
    assert_eq!(stuck.await.unwrap().unwrap(), Settled::Done);
}

#[tokio::test]
async fn a_crash_of_postgres_takes_nothing_that_was_said_to_be_done() {
    let server = aplomb_testkit::servers::Postgres::private().unwrap();
    let pool = aplomb_idempotency_sqlx::postgres::connect(server.url()).await.unwrap();
    let store = aplomb_idempotency_sqlx::PostgresStore::new(pool.clone());
    store.migrate().await.unwrap();
    let (done, running) =
        (claim(&store, &begin("done")).await, claim(&store, &begin("running")).await);
    assert_eq!(complete(&store, done, "made").await, Settled::Done);

    // A backend that dies takes the whole server down, which then recovers from its log.
    let mut doomed = sqlx::PgConnection::connect(server.url()).await.unwrap();
    let crash = sqlx::raw_sql("COPY (SELECT 1) TO PROGRAM 'kill -9 $PPID'");
    crash.execute(&mut doomed).await.unwrap_err();
    while !server.log().contains("redo done") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(patiently(&store, &begin("done")).await, Begun::Replay(answer("made")));
    assert_eq!(patiently(&store, &begin("running")).await, Begun::InFlight);
    let Begun::Claimed(next) = patiently(&store, &begin("next")).await else { panic!("it is new") };
    assert!(next.fence > running.fence);
}

/// Asks until the server answers.
async fn patiently<S: Store>(store: &S, call: &Begin) -> Begun {
    loop {
        match store.begin(call).await {
            Ok(begun) => return begun,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// A transaction that holds a record.
async fn lock(shop: &PostgresShop, held: Held) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut tx = shop.pool.begin().await.unwrap();
    let lock = "SELECT id FROM aplomb_idempotency_records WHERE id = $1 FOR UPDATE";
    sqlx::query(lock).bind(&held.id.as_bytes()[..]).execute(&mut *tx).await.unwrap();
    tx
}

/// An error and what caused it, as a log has it.
fn chain(error: &StoreError) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        chain = format!("{chain}: {error}");
        source = error.source();
    }
    chain
}

const MINUTE: Duration = Duration::from_secs(60);
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity \
     WHERE wait_event_type = 'Lock' AND datname = current_database()";
