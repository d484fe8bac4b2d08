//! The store in memory: the suite that all stores pass, and its bounds.
#![allow(clippy::unwrap_used, reason = "a test may")]
use std::time::Duration;

use aplomb_idempotency::{Begun, Held, Keep, MemoryStore, Settled, State, Store};
use aplomb_testkit::store::{self, answer, begin, started};
use tokio::time::advance;

#[tokio::test(start_paused = true)]
async fn memory_passes_the_suite() {
    store::check(|| async { MemoryStore::new() }).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_store_refuses_new_keys_and_never_evicts_a_claim() {
    let store = MemoryStore::bounded(2, usize::MAX);
    let first = held(&store, "a").await;
    let second = held(&store, "b").await;
    assert!(store.begin(&begin("c")).await.unwrap_err().is_full());

    // What is done makes room only once it has expired.
    let done = store.complete(first, &answer("done"), keep(60)).await.unwrap();
    assert_eq!(done, Settled::Done);
    assert!(store.begin(&begin("c")).await.unwrap_err().is_full());
    advance(Duration::from_secs(60)).await;
    assert!(matches!(store.begin(&begin("c")).await.unwrap(), Begun::Claimed(_)));
    assert_eq!(store.renew(second, Duration::from_secs(1)).await.unwrap(), Settled::Done);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_fit_is_kept_without_its_body() {
    let store = MemoryStore::bounded(10, 1_000);
    let held = held(&store, "a").await;
    let long = answer(&"x".repeat(1_000));
    let done = store.complete(held, &long, keep(60)).await.unwrap();
    assert_eq!(done, Settled::Done);
    let Some(State::Completed { answer, .. }) = state(&store, held).await else {
        panic!("the outcome is kept")
    };
    assert_eq!(answer.body(), None);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_and_goes_for_ever_takes_no_more_room() {
    let store = MemoryStore::bounded(1, usize::MAX);
    for _ in 0..1_000 {
        let held = held(&store, "a").await;
        let released = store.abandon(held, Duration::from_secs(1)).await.unwrap();
        assert_eq!(released, Settled::Done);
    }
    advance(Duration::from_secs(1)).await;
    assert_eq!(store.sweep(usize::MAX).await.unwrap(), 1);
    assert!(store.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_lives_again_is_not_swept_at_its_old_time() {
    let store = MemoryStore::new();
    let first = held(&store, "a").await;
    let released = store.abandon(first, Duration::from_secs(1)).await.unwrap();
    assert_eq!(released, Settled::Done);
    let second = held(&store, "a").await;
    advance(Duration::from_secs(2)).await;
    assert_eq!(store.sweep(usize::MAX).await.unwrap(), 0);
    let done = store.complete(second, &answer("done"), keep(9)).await.unwrap();
    assert_eq!(done, Settled::Done);
    advance(Duration::from_secs(9)).await;
    assert_eq!(store.sweep(usize::MAX).await.unwrap(), 1);
}

async fn held(store: &MemoryStore, key: &str) -> Held {
    let begin = begin(key);
    let fence = started(store, &begin).await.fence;
    Held { id: begin.identity.id(), fence }
}

async fn state(store: &MemoryStore, held: Held) -> Option<State> {
    store.get(held.id).await.unwrap().map(|record| record.state)
}

fn keep(seconds: u64) -> Keep {
    Keep { answer: Duration::from_secs(seconds), key: Duration::ZERO }
}
