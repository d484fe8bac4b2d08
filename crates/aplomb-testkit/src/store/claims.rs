//! Who is given a key, and what its holder may change.

use std::collections::BTreeSet;
use std::time::Duration;

use aplomb_idempotency::{Begin, Begun, Held, Lapsed, Settled, State, Store, StoredAnswer};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::say::{KEEP, LONG, answer, begin, claim, complete, fingerprint, started, state};

pub(super) async fn of_fifty_callers_one_gets_the_claim<S: Store>(store: &S) {
    let calls: Vec<_> = (0..50).map(|_| begin("k")).collect();
    let answers = join_all(calls.iter().map(|call| store.begin(call))).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let claims = answers.iter().filter(|answer| matches!(answer, Begun::Claimed(_)));
    assert_eq!(claims.count(), 1);
    let refused = answers.iter().filter(|answer| **answer == Begun::InFlight);
    assert_eq!(refused.count(), 49);
}

pub(super) async fn another_payload_is_a_mismatch_in_flight_and_after<S: Store>(store: &S) {
    let held = claim(store, &begin("k")).await;
    let other = Begin { fingerprint: fingerprint("other"), ..begin("k") };
    assert_eq!(store.begin(&other).await.unwrap(), Begun::Mismatch);
    assert_eq!(complete(store, held, "done").await, Settled::Done);
    assert_eq!(store.begin(&other).await.unwrap(), Begun::Mismatch);
}

pub(super) async fn a_completed_record_never_changes<S: Store>(store: &S) {
    let held = claim(store, &begin("k")).await;
    assert_eq!(complete(store, held, "first").await, Settled::Done);
    assert_eq!(complete(store, held, "second").await, Settled::Done, "a repeated step is done");
    assert_eq!(store.renew(held, LONG).await.unwrap(), Settled::Lost);
    assert_eq!(store.abandon(held, LONG).await.unwrap(), Settled::Lost);
    assert_eq!(store.mark_unknown(held).await.unwrap(), Settled::Lost);
    assert_eq!(store.begin(&begin("k")).await.unwrap(), Begun::Replay(answer("first")));
}

pub(super) async fn a_lapsed_claim_runs_again_and_its_zombie_changes_nothing<S: Store>(store: &S) {
    let call = Begin { lapsed: Lapsed::RunAgain, lease: Duration::ZERO, ..begin("k") };
    let zombie = claim(store, &call).await;
    let again = Begin { lapsed: Lapsed::RunAgain, ..begin("k") };
    let Begun::Claimed(second) = store.begin(&again).await.unwrap() else {
        panic!("a transactional route runs again")
    };
    assert_eq!(second.attempt, 2);
    assert!(second.fence > zombie.fence);

    assert_eq!(complete(store, zombie, "late").await, Settled::Lost);
    assert_eq!(store.renew(zombie, LONG).await.unwrap(), Settled::Lost);
    assert_eq!(store.abandon(zombie, LONG).await.unwrap(), Settled::Lost);
    assert_eq!(store.mark_unknown(zombie).await.unwrap(), Settled::Lost);
    assert_eq!(state(store, zombie).await, Some(State::Started(second)));

    let held = Held { fence: second.fence, ..zombie };
    assert_eq!(complete(store, held, "second").await, Settled::Done);
    assert_eq!(store.begin(&again).await.unwrap(), Begun::Replay(answer("second")));
}

pub(super) async fn a_lapsed_claim_is_unknown_unless_the_route_says_otherwise<S: Store>(store: &S) {
    let held = claim(store, &Begin { lease: Duration::ZERO, ..begin("k") }).await;
    assert_eq!(store.begin(&begin("k")).await.unwrap(), Begun::Unknown);
    assert_eq!(complete(store, held, "late").await, Settled::Lost);
    let transactional = Begin { lapsed: Lapsed::RunAgain, ..begin("k") };
    assert_eq!(store.begin(&transactional).await.unwrap(), Begun::Unknown, "it stays so");

    let marked = claim(store, &begin("other")).await;
    assert_eq!(store.mark_unknown(marked).await.unwrap(), Settled::Done);
    assert_eq!(store.mark_unknown(marked).await.unwrap(), Settled::Done, "a repeated step");
    assert_eq!(store.begin(&begin("other")).await.unwrap(), Begun::Unknown);
}

pub(super) async fn a_lapsed_claim_outside_a_transaction_stays_in_doubt_on_a_transactional_route<
    S: Store,
>(
    store: &S,
) {
    for (key, lapsed) in [("unknown", Lapsed::Unknown), ("recover", Lapsed::Recover)] {
        claim(store, &Begin { lapsed, lease: Duration::ZERO, ..begin(key) }).await;
        let transactional = Begin { lapsed: Lapsed::RunAgain, ..begin(key) };
        assert_eq!(store.begin(&transactional).await.unwrap(), Begun::Unknown, "{key}");
    }
}

pub(super) async fn a_lease_that_ended_is_no_loss_while_nobody_claims<S: Store>(store: &S) {
    let held = claim(store, &Begin { lease: Duration::ZERO, ..begin("k") }).await;
    assert_eq!(store.renew(held, LONG).await.unwrap(), Settled::Done);
    assert_eq!(store.begin(&begin("k")).await.unwrap(), Begun::InFlight);

    let held = claim(store, &Begin { lease: Duration::ZERO, ..begin("slow") }).await;
    assert_eq!(complete(store, held, "slow").await, Settled::Done);
    assert_eq!(store.begin(&begin("slow")).await.unwrap(), Begun::Replay(answer("slow")));
}

pub(super) async fn a_call_with_the_same_ticket_is_given_the_same_claim<S: Store>(store: &S) {
    let call = begin("k");
    let first = store.begin(&call).await.unwrap();
    assert_eq!(store.begin(&call).await.unwrap(), first);
}

pub(super) async fn a_released_key_takes_another_payload<S: Store>(store: &S) {
    let held = claim(store, &begin("k")).await;
    assert_eq!(store.abandon(held, LONG).await.unwrap(), Settled::Done);
    assert_eq!(store.abandon(held, LONG).await.unwrap(), Settled::Done, "a repeated step");
    assert_eq!(complete(store, held, "late").await, Settled::Lost);
    let other = Begin { fingerprint: fingerprint("mended"), ..begin("k") };
    let started = started(store, &other).await;
    assert_eq!(started.attempt, 2);
    assert_eq!(store.begin(&begin("k")).await.unwrap(), Begun::Mismatch);
}

pub(super) async fn fences_grow_over_all_keys<S: Store>(store: &S) {
    let mut last = None;
    for key in ["a", "b", "c", "d"] {
        let held = claim(store, &begin(key)).await;
        assert!(Some(held.fence) > last);
        last = Some(held.fence);
    }
    let calls: Vec<_> = (0..20).map(|n| begin(&format!("many-{n}"))).collect();
    let fences = join_all(calls.iter().map(|call| claim(store, call))).await;
    let distinct: BTreeSet<_> = fences.iter().map(|held| held.fence).collect();
    assert_eq!(distinct.len(), 20);
    assert!(distinct.first() > last.as_ref());
}

pub(super) async fn what_was_written_is_read_back<S: Store>(store: &S) {
    let call = begin("a \"quoted\" key");
    let held = claim(store, &call).await;
    let mut headers = HeaderMap::new();
    headers.append("x-a", HeaderValue::from_bytes(b"\xff").unwrap());
    headers.append("x-a", HeaderValue::from_static("2"));
    let body = Some(Bytes::from_static(b"\0\xff"));
    let written = StoredAnswer::new(StatusCode::CREATED, &headers, body, 10);
    assert_eq!(store.complete(held, &written, KEEP).await.unwrap(), Settled::Done);
    let record = store.get(held.id).await.unwrap().unwrap();
    assert_eq!(record.identity, call.identity);
    assert_eq!(record.fingerprint, call.fingerprint);
    let State::Completed { fence, answer, expires, retired_until } = record.state else {
        panic!("it is completed")
    };
    assert_eq!((fence, answer), (held.fence, written));
    assert!(expires >= record.created.plus(LONG));
    assert_eq!(retired_until, expires.plus(LONG));

    let bodiless = claim(store, &begin("bodiless")).await;
    let written = StoredAnswer::new(StatusCode::OK, &headers, None, 10);
    assert_eq!(store.complete(bodiless, &written, KEEP).await.unwrap(), Settled::Done);
    let replay = store.begin(&begin("bodiless")).await.unwrap();
    assert_eq!(replay, Begun::Replay(written));
}
