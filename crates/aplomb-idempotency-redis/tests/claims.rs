//! The suite that all stores pass, and crowds of callers on connections of their own.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use aplomb_idempotency::operator::{Listing, Note, Purge, Resolution, Which};
use aplomb_idempotency::{Begin, Begun, Fence, Held, Lapsed, Scope, Settled, State, Store};
use aplomb_testkit::servers::Redis;
use aplomb_testkit::store::{self, LONG, answer, begin, claim, complete, started, state};
use futures_util::FutureExt;
use futures_util::future::join_all;

use common::{client, store_alone, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn redis_passes_the_suite() {
    let redis = Redis::start().unwrap();
    store::check(|| async { store_alone(&redis) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_passes_the_suite_without_scripts() {
    let redis = Redis::start().unwrap();
    store::check(|| async { store_alone(&redis).without_scripts() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_callers_on_many_stores_one_gets_each_claim() {
    let redis = Redis::start().unwrap();
    // Scripts race with steps.
    let mut stores: Vec<_> = (0..2).map(|_| Arc::new(common::store(&redis))).collect();
    stores.extend((0..2).map(|_| Arc::new(common::store(&redis).without_scripts())));
    for round in 0..20 {
        let key = format!("k{round}");
        let calls = (0..40).map(|caller: usize| {
            let (store, call) = (Arc::clone(&stores[caller % stores.len()]), begin(&key));
            tokio::spawn(async move { store.begin(&call).await.unwrap() })
        });
        let answers: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
        let claims = answers.iter().filter(|answer| matches!(answer, Begun::Claimed(_))).count();
        let refused = answers.iter().filter(|answer| **answer == Begun::InFlight).count();
        assert_eq!((claims, refused), (1, 39), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_who_race_for_a_lapsed_claim_one_gets_it_and_zombies_change_nothing() {
    let redis = Redis::start().unwrap();
    let stores: Vec<_> = (0..3).map(|_| Arc::new(common::store(&redis))).collect();
    let lapsed = |lease| Begin { lapsed: Lapsed::RunAgain, lease, ..begin("k") };
    let mut zombies = vec![claim(&*stores[0], &lapsed(Duration::ZERO)).await];
    for round in 2..12 {
        // Each round's winner has a lease of nothing, so that the next round races for it again;
        // of the losers, those that come after the winner may win too.
        let calls = stores.iter().map(|store| {
            let (store, call) = (Arc::clone(store), lapsed(Duration::ZERO));
            tokio::spawn(async move { store.begin(&call).await.unwrap() })
        });
        let answers: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
        let mut fences: Vec<_> = answers
            .iter()
            .map(|answer| match answer {
                Begun::Claimed(started) => (started.fence, started.attempt),
                other => panic!("it has lapsed, but {other:?}"),
            })
            .collect();
        fences.sort_unstable();
        // Fences and attempts tell the same order.
        assert!(fences.is_sorted_by(|a, b| a.0 < b.0 && a.1 + 1 == b.1), "{fences:?}");
        let first = fences[0];
        assert_eq!(first.1, (round - 2) * 3 + 2);
        assert!(zombies.iter().all(|zombie| zombie.fence < first.0));
        let id = zombies[0].id;
        zombies.extend(fences.into_iter().map(|(fence, _)| Held { id, fence }));
    }
    let live = zombies.pop().unwrap();
    let late = zombies.iter().map(|&zombie| complete(&*stores[1], zombie, "late"));
    assert!(join_all(late).await.into_iter().all(|settled| settled == Settled::Lost));
    assert_eq!(complete(&*stores[2], live, "done").await, Settled::Done);
    assert_eq!(stores[0].begin(&begin("k")).await.unwrap(), Begun::Replay(answer("done")));
}

#[tokio::test]
async fn a_fence_outgrows_those_that_were_lost_with_the_counter() {
    let redis = Redis::start().unwrap();
    let store = common::store(&redis);
    let zombie = claim(&store, &begin("k")).await;
    // What a failover to a replica that was behind does: the record and the counter are gone.
    let mut client = client(&redis).await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut client).await.unwrap();
    let ours = keys.iter().filter(|key| key.starts_with(&format!("{{{}}}", redis.prefix())));
    for key in ours {
        redis::cmd("DEL").arg(key).exec_async(&mut client).await.unwrap();
    }
    let anew = claim(&store, &begin("k")).await;
    assert!(anew.fence > zombie.fence);
    assert_eq!(complete(&store, zombie, "late").await, Settled::Lost);
}

#[tokio::test]
async fn a_step_that_is_dropped_half_way_leaves_no_watch_behind() {
    let redis = Redis::start_with(&[]).unwrap();
    let store = common::store(&redis).without_scripts().connections(NonZeroUsize::MIN);
    let mut beside = client(&redis).await;
    let mut unfinished = 0;
    for round in 0..100_u32 {
        let call = begin(&format!("k{round}"));
        let mut step = Box::pin(store.begin(&call));
        let mut finished = false;
        for _ in 0..round % 20 {
            finished = finished || (&mut step).now_or_never().is_some();
            if finished {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(step);
        unfinished += u32::from(!finished);
        // Whoever still watches the record is marked by the server when it changes.
        let held = Held { id: call.identity.id(), fence: Fence::new(1).unwrap() };
        let touch = redis::cmd("SET").arg(record_key(&redis, held)).arg("touched").to_owned();
        touch.exec_async(&mut beside).await.unwrap();
        wait_until(async || {
            let clients: String =
                redis::cmd("CLIENT").arg("LIST").query_async(&mut beside).await.unwrap();
            let flags = |line: &str| {
                line.split(' ').find_map(|word| word.strip_prefix("flags=").map(str::to_owned))
            };
            clients.lines().filter_map(flags).all(|flags| !flags.contains(['d', 'x']))
        })
        .await;
        // The one connection that may be had is free again, and clean.
        assert!(matches!(
            store.begin(&begin(&format!("next{round}"))).await.unwrap(),
            Begun::Claimed(_)
        ));
    }
    assert!(unfinished > 10, "{unfinished} steps were dropped half-way");
}

#[tokio::test]
async fn listings_are_read_in_pages_of_any_size() {
    let redis = Redis::start().unwrap();
    let store = common::store(&redis);
    let mut ids = Vec::new();
    for number in 0..250 {
        let held = claim(&store, &begin(&format!("k{number}"))).await;
        if number % 2 == 0 {
            assert_eq!(store.mark_unknown(held).await.unwrap(), Settled::Done);
            ids.push(held.id);
        }
    }
    ids.sort_unstable();
    for most in [1, 7, 100, 124, 125, 1_000] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let listing = Listing { which: Which::Stuck, after, most };
            let page = store.list(&listing).await.unwrap();
            found.extend(page.iter().map(|record| record.identity.id()));
            after = found.last().copied();
            if page.len() < most {
                break;
            }
        }
        assert_eq!(found, ids, "in pages of {most}");
    }
    let shop = Which::Of(begin("k").identity.scope);
    let all = Listing { which: shop, after: None, most: 1_000 };
    assert_eq!(store.list(&all).await.unwrap().len(), 250);
}

#[tokio::test]
async fn what_redis_forgot_by_itself_is_taken_out_of_the_indexes() {
    let redis = Redis::start().unwrap();
    let store = common::store(&redis);
    let scope = begin("k").identity.scope;
    for key in ["a", "b"] {
        let held = claim(&store, &begin(key)).await;
        let done = store.complete(held, &answer(key), store::NONE).await.unwrap();
        assert_eq!(done, Settled::Done);
        expire_now(&redis, held).await;
    }
    let kept = claim(&store, &begin("kept")).await;
    assert_eq!(members(&redis, &scope).await, (3, 3));
    // A listing mends the caller's index; a sweep both. Neither counts what was already gone.
    let listing = Listing { which: Which::Of(scope.clone()), after: None, most: 1 };
    let listed = store.list(&listing).await.unwrap();
    assert_eq!(listed[0].identity.id(), kept.id);
    assert_eq!(members(&redis, &scope).await, (3, 1));
    assert_eq!(store.sweep(100).await.unwrap(), 0);
    assert_eq!(members(&redis, &scope).await, (1, 1));
    // A key that comes back is in its indexes again.
    let again = claim(&store, &begin("a")).await;
    assert_eq!(complete(&store, again, "again").await, Settled::Done);
    assert_eq!(members(&redis, &scope).await, (2, 2));
}

#[tokio::test]
async fn redis_is_told_when_to_forget_what_no_sweep_came_for() {
    let redis = Redis::start().unwrap();
    let store = common::store(&redis);
    let held = claim(&store, &begin("k")).await;
    assert_eq!(ttl(&redis, held).await, -1, "never a claim");
    assert_eq!(complete(&store, held, "done").await, Settled::Done);
    let ttl_done = ttl(&redis, held).await;
    // An hour of replay, an hour of refusal, an hour for a sweep to come.
    assert!((10_000_000..=10_800_000).contains(&ttl_done), "{ttl_done}");
    let released = claim(&store, &begin("released")).await;
    assert_eq!(store.abandon(released, LONG).await.unwrap(), Settled::Done);
    assert!(ttl(&redis, released).await > 0);
    let again = Held { fence: started(&store, &begin("released")).await.fence, ..released };
    assert_eq!(ttl(&redis, again).await, -1, "a key that is claimed again is kept again");
    assert_eq!(store.mark_unknown(again).await.unwrap(), Settled::Done);
    assert_eq!(ttl(&redis, again).await, -1, "never an unknown outcome");
}

#[tokio::test]
async fn a_record_of_another_version_is_refused_by_its_name_and_keeps_no_sweep_from_others() {
    let redis = Redis::start().unwrap();
    let store = common::store(&redis);
    let mut held = Vec::new();
    for key in ["foreign", "other"] {
        let claimed = claim(&store, &begin(key)).await;
        let done = store.complete(claimed, &answer("old"), store::NONE).await.unwrap();
        assert_eq!(done, Settled::Done);
        held.push(claimed);
    }
    let key = record_key(&redis, held[0]);
    let mut client = client(&redis).await;
    let write = redis::cmd("SETRANGE").arg(&key).arg(0).arg(b"\x09").exec_async(&mut client).await;
    write.unwrap();
    let refused = store.begin(&begin("foreign")).await.unwrap_err();
    assert!(!refused.is_uncertain() && !refused.is_full());
    let unreadable = aplomb_core::cause::<aplomb_idempotency_redis::Unreadable>(&refused).unwrap();
    assert_eq!(unreadable.key, key);
    assert!(store.get(held[0].id).await.is_err());

    assert_eq!(store.sweep(100).await.unwrap(), 1);
    assert_eq!(store.get(held[1].id).await.unwrap(), None);
    let nothing_else = store.sweep(100).await.unwrap_err();
    assert!(aplomb_core::cause::<aplomb_idempotency_redis::Unreadable>(&nothing_else).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeps_of_several_processes_take_each_record_once() {
    let redis = Redis::start().unwrap();
    let stores: Vec<_> = (0..3).map(|_| common::store(&redis)).collect();
    for number in 0..60 {
        let held = claim(&stores[0], &begin(&format!("k{number}"))).await;
        let done = stores[0].complete(held, &answer("old"), store::NONE).await.unwrap();
        assert_eq!(done, Settled::Done);
    }
    let mut swept = 0;
    // A sweep that finds another at its record leaves it, so one round may not take all.
    for _ in 0..60 {
        let sweeps = join_all(stores.iter().map(|store| store.sweep(100))).await;
        swept += sweeps.into_iter().map(Result::unwrap).sum::<usize>();
        if swept >= 60 {
            break;
        }
    }
    assert_eq!(swept, 60);
    let scope = begin("k").identity.scope;
    assert_eq!(members(&redis, &scope).await, (0, 0));
}

#[tokio::test]
async fn the_audit_is_written_with_the_change_it_explains_and_read_in_pages() {
    let redis = Redis::start().unwrap();
    let store = common::store(&redis);
    let mut last = None;
    for number in 0..150 {
        let held = claim(&store, &begin(&format!("k{number}"))).await;
        assert_eq!(complete(&store, held, "personal").await, Settled::Done);
        last = Some(held);
    }
    let shop = Purge::Of(begin("k").identity.scope);
    let note = Note::new("ada", "asked to be forgotten");
    assert_eq!(store.purge(&shop, &note, 149).await.unwrap(), 149);
    assert_eq!(store.purge(&shop, &note, 149).await.unwrap(), 1);
    assert_eq!(store.audit(None, 1_000).await.unwrap().len(), 150);
    assert_eq!(store.audit(None, 120).await.unwrap().len(), 120);
    assert_eq!(store.audit(last.map(|held| held.id), 10).await.unwrap().len(), 1);
    // A step that changes nothing writes nothing.
    let not_applied = Resolution::NotApplied { keep: LONG };
    let lost = store.resolve(last.unwrap(), &not_applied, &note).await.unwrap();
    assert_eq!(lost, Settled::Lost);
    assert_eq!(store.audit(None, 1_000).await.unwrap().len(), 150);
}

#[tokio::test]
async fn stores_with_different_prefixes_know_nothing_of_each_other() {
    let redis = Redis::start().unwrap();
    let (one, other) = (store_alone(&redis), store_alone(&redis));
    let held = claim(&one, &begin("k")).await;
    let others = claim(&other, &begin("k")).await;
    assert_eq!(complete(&one, held, "one").await, Settled::Done);
    assert!(matches!(state(&other, others).await, Some(State::Started(_))));
}

/// How many records the indexes name: what is due, and the caller's.
async fn members(redis: &Redis, scope: &Scope) -> (usize, usize) {
    let mut client = client(redis).await;
    let tag = format!("{{{}}}", redis.prefix());
    let of = format!("{tag}:of:{}:{}", scope.kind(), scope.name());
    let mut count = redis::pipe();
    count.cmd("ZCARD").arg(format!("{tag}:due")).cmd("ZCARD").arg(of);
    count.query_async(&mut client).await.unwrap()
}

async fn expire_now(redis: &Redis, held: Held) {
    let mut client = client(redis).await;
    let expire = redis::cmd("PEXPIREAT").arg(record_key(redis, held)).arg(1).to_owned();
    let expired: i64 = expire.query_async(&mut client).await.unwrap();
    assert_eq!(expired, 1);
}

async fn ttl(redis: &Redis, held: Held) -> i64 {
    let mut client = client(redis).await;
    redis::cmd("PTTL").arg(record_key(redis, held)).query_async(&mut client).await.unwrap()
}

fn record_key(redis: &Redis, held: Held) -> String {
    format!("{{{}}}:record:{}", redis.prefix(), held.id)
}
