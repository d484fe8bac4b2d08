//! A store that is swept for as long as somebody wants it.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::num::NonZeroUsize;
use std::time::Duration;

use aplomb_core::Dice;
use aplomb_idempotency::{IdempotencyEvent, Settled, Store, Sweep};
use aplomb_testkit::store::{NONE, answer, begin, claim};
use tokio::time::sleep;

use common::Heard;
use common::faulty::Faulty;

#[tokio::test(start_paused = true)]
async fn what_expires_is_swept_in_batches_until_the_sweeper_is_dropped() {
    let store = Faulty::default();
    expired(&store, 250).await;
    let sweep = Sweep::new(store.clone()).every(EVERY).dice(Dice::seeded(1));
    let sweeper = sweep.batch(NonZeroUsize::new(10).unwrap()).spawn();
    sleep(EVERY * 2).await;
    assert!(store.store.is_empty(), "one round takes what is there");
    expired(&store, 5).await;
    sleep(EVERY * 2).await;
    assert!(store.store.is_empty());

    drop(sweeper);
    expired(&store, 5).await;
    sleep(EVERY * 10).await;
    assert_eq!(store.store.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_fails_is_told_and_tried_again() {
    let (store, heard) = (Faulty::default(), Heard::default());
    expired(&store, 5).await;
    store.faults.lock().unwrap().failing_sweeps = 2;
    let sweep = Sweep::new(store.clone()).every(EVERY).dice(Dice::seeded(1));
    let _sweeper = sweep.observe(heard.observer()).spawn();
    sleep(EVERY * 6).await;
    assert_eq!(heard.all(), [IdempotencyEvent::StoreFailed; 2]);
    assert!(store.store.is_empty());
}

#[tokio::test(start_paused = true)]
async fn as_a_future_it_ends_when_it_is_dropped() {
    let store = Faulty::default();
    expired(&store, 5).await;
    let sweeping = Sweep::new(store.clone()).every(EVERY).dice(Dice::seeded(1)).run();
    assert!(tokio::time::timeout(EVERY * 2, sweeping).await.is_err(), "it never ends by itself");
    assert!(store.store.is_empty());
}

async fn expired(store: &Faulty, keys: usize) {
    // Straight into the store within, whose `begin` would sweep a little too: all claims first.
    let mut held = Vec::new();
    for key in 0..keys {
        held.push(claim(&store.store, &begin(&format!("k{key}"))).await);
    }
    for held in held {
        let done = store.store.complete(held, &answer("done"), NONE).await.unwrap();
        assert_eq!(done, Settled::Done);
    }
}

const EVERY: Duration = Duration::from_secs(60);
