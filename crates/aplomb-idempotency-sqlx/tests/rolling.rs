//! Processes of the first schema's program and new ones on one database, at the same time.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;
mod former;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aplomb_idempotency::operator::{Listing, Which};
use aplomb_idempotency::{Begin, Begun, Held, Lapsed, Settled, Store};
use aplomb_testkit::store::{LONG, answer, begin, claim, complete, fingerprint, started};
use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};

use common::{Shop, on_both};
use former::{Former, Rolling, Said};

on_both! {
    what_either_answered_the_other_replays,
    a_claim_of_either_is_in_flight_for_the_other,
    a_zombie_of_either_is_fenced_out_by_the_other,
    another_payload_is_a_mismatch_for_either,
    no_key_runs_twice_while_new_processes_take_over,
    columns_of_a_later_version_break_no_statement_that_is_prepared,
}

/// A route whose claims run again when they lapse, as those of the first version.
fn call(key: &str) -> Begin {
    Begin { lapsed: Lapsed::RunAgain, ..begin(key) }
}

async fn both<S: Rolling>() -> (S, S::Former) {
    let shop = S::as_it_was().await;
    let former = shop.former().await;
    // It had run before the tables were brought up to date, and has statements prepared.
    let Said::Claimed(before) = former.begin(&call("before")).await.unwrap() else {
        panic!("the key is free")
    };
    assert!(former.reserve("before", before, "made before").await.unwrap());
    shop.migrate().await.unwrap();
    (shop, former)
}

async fn what_either_answered_the_other_replays<S: Rolling>() {
    let (shop, former) = both::<S>().await;
    assert_eq!(
        shop.store().begin(&call("before")).await.unwrap(),
        Begun::Replay(answer("made before"))
    );

    let held = claimed(&former, "old").await;
    assert!(former.reserve("old", held, "made by the old").await.unwrap());
    let replay = shop.store().begin(&call("old")).await.unwrap();
    assert_eq!(replay, Begun::Replay(answer("made by the old")));

    let held = claim(shop.store(), &call("new")).await;
    assert_eq!(complete(shop.store(), held, "made by the new").await, Settled::Done);
    let replay = former.begin(&call("new")).await.unwrap();
    assert_eq!(replay, Said::Replay("made by the new".into()));
}

async fn a_claim_of_either_is_in_flight_for_the_other<S: Rolling>() {
    let (shop, former) = both::<S>().await;
    let held = claimed(&former, "old").await;
    assert_eq!(shop.store().begin(&call("old")).await.unwrap(), Begun::InFlight);
    assert!(former.renew(held).await.unwrap());
    let held = claim(shop.store(), &call("new")).await;
    assert_eq!(former.begin(&call("new")).await.unwrap(), Said::InFlight);
    assert_eq!(shop.store().renew(held, LONG).await.unwrap(), Settled::Done);
}

async fn a_zombie_of_either_is_fenced_out_by_the_other<S: Rolling>() {
    let (shop, former) = both::<S>().await;
    let store = shop.store();
    let reserved = shop.reservations().await;

    let zombie = claimed(&former, "old").await;
    shop.age(zombie, 2 * LONG).await;
    let again = Begin { lapsed: Lapsed::AtLeastOnce, ..begin("old") };
    let second = started(store, &again).await;
    assert!(second.fence > zombie.fence, "they draw from one counter");
    assert!(!former.renew(zombie).await.unwrap());
    assert!(!former.reserve("old", zombie, "late").await.unwrap());
    let held = Held { fence: second.fence, ..zombie };
    assert_eq!(complete(store, held, "in time").await, Settled::Done);
    assert_eq!(former.begin(&call("old")).await.unwrap(), Said::Replay("in time".into()));

    let zombie = claim(store, &call("new")).await;
    shop.age(zombie, 2 * LONG).await;
    let held = claimed(&former, "new").await;
    assert!(held.fence > zombie.fence);
    assert_eq!(store.renew(zombie, LONG).await.unwrap(), Settled::Lost);
    assert_eq!(complete(store, zombie, "late").await, Settled::Lost);
    assert_eq!(store.abandon(zombie, LONG).await.unwrap(), Settled::Lost);
    assert_eq!(store.mark_unknown(zombie).await.unwrap(), Settled::Lost);
    assert!(former.reserve("new", held, "in time").await.unwrap());
    let replay = store.begin(&call("new")).await.unwrap();
    assert_eq!(replay, Begun::Replay(answer("in time")));
    assert_eq!(shop.reservations().await, reserved + 1, "the zombie's transaction left nothing");
}

async fn another_payload_is_a_mismatch_for_either<S: Rolling>() {
    let (shop, former) = both::<S>().await;
    let other = |key| Begin { fingerprint: fingerprint("other work"), ..call(key) };
    claimed(&former, "old").await;
    assert_eq!(shop.store().begin(&other("old")).await.unwrap(), Begun::Mismatch);
    claim(shop.store(), &call("new")).await;
    assert_eq!(former.begin(&other("new")).await.unwrap(), Said::Mismatch);
}

async fn columns_of_a_later_version_break_no_statement_that_is_prepared<S: Rolling>() {
    let (shop, _) = both::<S>().await;
    let store = shop.store();
    let done = claim(store, &call("done")).await;
    assert_eq!(complete(store, done, "made").await, Settled::Done);
    let doubt = claim(store, &begin("doubt")).await;
    assert_eq!(store.mark_unknown(doubt).await.unwrap(), Settled::Done);
    let before = everything_read(store, done).await;
    for table in ["records", "audit"] {
        let add = format!("ALTER TABLE aplomb_idempotency_{table} ADD COLUMN later INTEGER");
        shop.run(add).await.unwrap();
    }
    // As often as there are connections that may have one prepared.
    for _ in 0..8 {
        assert_eq!(everything_read(store, done).await, before);
    }
}

/// By every statement that reads records or the audit.
async fn everything_read<T: Store>(store: &T, done: Held) -> String {
    let record = store.get(done.id).await.unwrap().unwrap();
    let of = Which::Of(record.identity.scope.clone());
    let [stuck, of] = [Which::Stuck, of].map(|which| Listing { which, after: None, most: 9 });
    let listed = (store.list(&stuck).await.unwrap(), store.list(&of).await.unwrap());
    let audit = (store.audit(None, 9).await.unwrap(), store.audit(Some(done.id), 9).await.unwrap());
    let replay = store.begin(&call("done")).await.unwrap();
    let swept = store.sweep(9).await.unwrap();
    format!("{record:?} {listed:?} {audit:?} {replay:?} {swept}")
}

/// Old processes serve; new ones start one after the other, bring the tables up to date, serve the
/// same keys. Everybody is asked for every key.
async fn no_key_runs_twice_while_new_processes_take_over<S: Rolling>() {
    let shop = S::as_it_was().await;
    let mut callers = Vec::new();
    for process in 0..PROCESSES {
        let former = shop.former().await;
        callers.push(tokio::spawn(async move {
            let ask = |key| by_the_old(former.clone(), process, key);
            everything(process, ask).await
        }));
    }
    for process in 0..PROCESSES {
        let new = shop.process().await;
        callers.push(tokio::spawn(async move {
            new.migrate().await.unwrap();
            let ask = |key| by_the_new(new.clone(), process, key);
            everything(process, ask).await
        }));
    }
    let mut answers: BTreeMap<String, BTreeSet<Bytes>> = BTreeMap::new();
    let callers = tokio::time::timeout(TOO_LONG, try_join_all(callers)).await.expect("it ends");
    for caller in callers.unwrap() {
        for (key, body) in caller {
            answers.entry(key).or_default().insert(body);
        }
    }
    assert_eq!(answers.len(), KEYS);
    let told_apart = answers.values().filter(|bodies| bodies.len() > 1);
    assert_eq!(told_apart.count(), 0, "{answers:?}");
    let keys = i64::try_from(KEYS).unwrap();
    assert_eq!((shop.reservations().await, shop.records().await), (keys, keys));
    shop.migrate().await.unwrap();
}

/// Asks for every key, beginning somewhere else than others do, some at a time.
async fn everything<F>(process: usize, ask: impl Fn(String) -> F) -> Vec<(String, Bytes)>
where
    F: Future<Output = (String, Bytes)>,
{
    let keys: Vec<_> = (0..KEYS).map(|n| format!("k{}", (n + process * 7) % KEYS)).collect();
    let mut told = Vec::new();
    for some in keys.chunks(AT_A_TIME) {
        told.extend(join_all(some.iter().cloned().map(&ask)).await);
    }
    told
}

async fn by_the_old<P: Former>(former: P, process: usize, key: String) -> (String, Bytes) {
    loop {
        match former.begin(&call(&key)).await.unwrap() {
            Said::Claimed(held) => {
                let body = format!("{key}, old {process}");
                assert!(former.reserve(&key, held, &body).await.unwrap(), "nobody else has it");
                return (key, body.into());
            }
            Said::Replay(body) => return (key, body),
            Said::InFlight => tokio::time::sleep(SOON).await,
            other => panic!("{key}: {other:?}"),
        }
    }
}

async fn by_the_new<S: Shop>(shop: S, process: usize, key: String) -> (String, Bytes) {
    let id = call(&key).identity.id();
    loop {
        match shop.store().begin(&call(&key)).await.unwrap() {
            Begun::Claimed(started) => {
                let body = format!("{key}, new {process}");
                shop.run(format!("INSERT INTO reservations (key) VALUES ('{key}')")).await.unwrap();
                let held = Held { id, fence: started.fence };
                assert_eq!(complete(shop.store(), held, &body).await, Settled::Done);
                return (key, body.into());
            }
            Begun::Replay(replay) => return (key, replay.body().unwrap().clone()),
            Begun::InFlight => tokio::time::sleep(SOON).await,
            other => panic!("{key}: {other:?}"),
        }
    }
}

async fn claimed<P: Former>(former: &P, key: &str) -> Held {
    match former.begin(&call(key)).await.unwrap() {
        Said::Claimed(held) => held,
        other => panic!("the key is free, but {other:?}"),
    }
}

/// Of either version.
const PROCESSES: usize = 3;
const KEYS: usize = 60;
const AT_A_TIME: usize = 4;
const SOON: Duration = Duration::from_millis(2);
/// Ends a test that waits for a key which nobody has any more.
const TOO_LONG: Duration = Duration::from_secs(120);
