//! What time makes of a record.

use std::time::Duration;

use aplomb_idempotency::{Begin, Begun, Keep, Settled, State, Store};

use super::say::{LONG, NONE, answer, begin, claim, complete, fingerprint, started, state};

pub(super) async fn what_expired_is_as_if_it_had_never_been<S: Store>(store: &S) {
    let held = claim(store, &begin("k")).await;
    let kept = store.complete(held, &answer("old"), NONE).await.unwrap();
    assert_eq!(kept, Settled::Done);
    let anew = Begin { fingerprint: fingerprint("new work"), ..begin("k") };
    let started = started(store, &anew).await;
    assert_eq!(started.attempt, 1);
    assert!(started.fence > held.fence);
    assert_eq!(complete(store, held, "zombie").await, Settled::Lost);
}

pub(super) async fn a_sweep_takes_what_expired_and_nothing_else<S: Store>(store: &S) {
    let running = claim(store, &Begin { lease: Duration::ZERO, ..begin("running") }).await;
    let unknown = claim(store, &begin("unknown")).await;
    assert_eq!(store.mark_unknown(unknown).await.unwrap(), Settled::Done);
    let kept = claim(store, &begin("kept")).await;
    assert_eq!(complete(store, kept, "kept").await, Settled::Done);
    let mut expired = Vec::new();
    for key in ["a", "b", "c"] {
        expired.push(claim(store, &begin(key)).await);
    }
    for &held in &expired {
        let done = store.complete(held, &answer("old"), NONE).await.unwrap();
        assert_eq!(done, Settled::Done);
    }
    assert_eq!(store.sweep(2).await.unwrap(), 2, "at most what was asked");
    assert_eq!(store.sweep(100).await.unwrap(), 1);
    for held in expired {
        assert_eq!(store.get(held.id).await.unwrap(), None);
    }
    for held in [running, unknown, kept] {
        assert!(store.get(held.id).await.unwrap().is_some());
    }
}

pub(super) async fn a_key_whose_answer_expired_is_gone_until_its_tombstone_is<S: Store>(store: &S) {
    let held = claim(store, &begin("k")).await;
    let retired = Keep { answer: Duration::ZERO, key: LONG };
    assert_eq!(store.complete(held, &answer("old"), retired).await.unwrap(), Settled::Done);
    assert_eq!(store.begin(&begin("k")).await.unwrap(), Begun::Gone, "before a sweep");
    // A store may have swept it when it was asked for.
    assert!(store.sweep(100).await.unwrap() <= 1);
    let Some(State::Tombstone { fence, .. }) = state(store, held).await else {
        panic!("an answer that expired leaves a tombstone")
    };
    assert_eq!(fence, held.fence);
    assert_eq!(store.sweep(100).await.unwrap(), 0, "it stays");
    assert_eq!(store.begin(&begin("k")).await.unwrap(), Begun::Gone);
    let other = Begin { fingerprint: fingerprint("other"), ..begin("k") };
    assert_eq!(store.begin(&other).await.unwrap(), Begun::Gone, "whatever the payload");
    assert_eq!(complete(store, held, "late").await, Settled::Lost);
}
