use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use aplomb_core::{Dice, Observe};
use tokio::task::AbortHandle;
use tracing::Instrument;

use crate::{IdempotencyEvent, Store};

/// Sweeps a store every so often, for as long as somebody wants it.
///
/// Without it a store keeps what has expired until its key comes again, and claims that nobody came
/// back for stay started.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use aplomb_idempotency::{IdempotencyLayer, MemoryStore, Sweep};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = Arc::new(MemoryStore::new());
/// let layer = IdempotencyLayer::new(Arc::clone(&store));
/// // Ends when it is dropped: keep it for as long as the service runs.
/// let _sweeper = Sweep::new(store).every(Duration::from_secs(300)).spawn();
/// # }
/// ```
///
/// | | default | why |
/// |---|---|---|
/// | [`every`](Self::every) | 60 s, half as much to one and a half times as much | processes that start together do not sweep together |
/// | [`batch`](Self::batch) | 100 records, up to 100 batches in a row | a step of the store stays short, and a round ends |
///
/// Several processes may sweep one store. A sweep that fails is reported, as a `tracing` event and
/// as [`IdempotencyEvent::StoreFailed`], and tried again at the next round.
pub struct Sweep<St, O = ()> {
    store: St,
    observer: O,
    every: Duration,
    batch: NonZeroUsize,
    dice: Dice,
}

impl<St: Store> Sweep<St> {
    /// Sweeps `store`.
    pub fn new(store: St) -> Self {
        Self { store, observer: (), every: EVERY, batch: BATCH, dice: Dice::default() }
    }
}

impl<St: Store, O> Sweep<St, O> {
    /// How long it rests between two rounds, on average; a millisecond at least.
    #[must_use]
    pub fn every(mut self, pause: Duration) -> Self {
        self.every = pause.max(EVERY_MIN);
        self
    }

    /// How many records one step of the store takes at most.
    #[must_use]
    pub fn batch(mut self, records: NonZeroUsize) -> Self {
        self.batch = records;
        self
    }

    /// The dice that its pauses are rolled with.
    #[must_use]
    pub fn dice(mut self, dice: Dice) -> Self {
        self.dice = dice;
        self
    }

    /// Tells `observer` when the store failed.
    #[must_use]
    pub fn observe<P: Observe<IdempotencyEvent>>(self, observer: P) -> Sweep<St, P> {
        let Self { store, every, batch, dice, .. } = self;
        Sweep { store, observer, every, batch, dice }
    }
}

impl<St: Store, O: Observe<IdempotencyEvent>> Sweep<St, O> {
    /// Sweeps until the future is dropped. A step of the store that is dropped half-way is one
    /// whose outcome is unknown, which the next sweep does not mind.
    pub async fn run(self) -> Infallible {
        let mut rng = self.dice.roll();
        loop {
            // From half of it to one and a half times as much.
            tokio::time::sleep(self.every / 2 + rng.up_to(self.every)).await;
            self.round().await;
        }
    }

    /// The same as a task of its own.
    #[must_use = "dropped, it sweeps no more"]
    pub fn spawn(self) -> Sweeper
    where
        O: Send + Sync + 'static,
    {
        let sweeping = async move { match self.run().await {} };
        Sweeper { task: tokio::spawn(sweeping.in_current_span()).abort_handle() }
    }

    /// What is due now, as far as the round's bound allows.
    async fn round(&self) {
        let batch = self.batch.get();
        for _ in 0..BATCHES_MAX {
            match self.store.sweep(batch).await {
                Ok(swept) if swept < batch => return,
                // Others have their turn between two batches.
                Ok(_) => tokio::task::yield_now().await,
                Err(error) => {
                    let error = &error as &dyn Error;
                    tracing::warn!(
                        error,
                        "the store could not be swept; the next round tries again"
                    );
                    self.observer.observe(&IdempotencyEvent::StoreFailed);
                    return;
                }
            }
        }
    }
}

impl<St, O> fmt::Debug for Sweep<St, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep")
            .field("every", &self.every)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

/// A [`Sweep`] that runs, until it is dropped.
///
/// ```
/// use std::time::Duration;
/// use aplomb_idempotency::{MemoryStore, Sweep, Sweeper};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let sweeper: Sweeper = Sweep::new(MemoryStore::new()).every(Duration::from_secs(60)).spawn();
/// // Kept for as long as the service runs; dropped, it ends.
/// drop(sweeper);
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropped, it sweeps no more"]
pub struct Sweeper {
    task: AbortHandle,
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const EVERY: Duration = Duration::from_secs(60);
/// Whoever asks for no rest must not make this a busy loop.
const EVERY_MIN: Duration = Duration::from_millis(1);
const BATCH: NonZeroUsize = NonZeroUsize::new(100).expect("100 is not 0");
/// How many batches a round has, so that a store that is never done does not keep it for ever.
const BATCHES_MAX: usize = 100;
