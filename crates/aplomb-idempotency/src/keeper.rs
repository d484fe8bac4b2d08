use std::sync::Arc;
use std::time::Duration;

use aplomb_core::Observe;
use tokio::task::AbortHandle;
use tracing::Instrument;

use crate::claim::Loss;
use crate::layer::Shared;
use crate::settle::completed_by;
use crate::store::Store;
use crate::{Held, IdempotencyEvent, Settled};

/// Renews a claim's lease, once told to, until it is dropped.
///
/// It has a task of its own, so that a handler that computes for a while without yielding does not
/// keep its own lease from being renewed.
pub(crate) struct Keeper {
    loss: Option<Loss>,
    task: Option<AbortHandle>,
}

impl Keeper {
    pub(crate) fn new(loss: Loss) -> Self {
        Self { loss: Some(loss), task: None }
    }

    /// From now on the lease is kept.
    pub(crate) fn keep<St, O>(&mut self, shared: &Arc<Shared<St, O>>, held: Held)
    where
        St: Store,
        O: Observe<IdempotencyEvent> + Send + Sync + 'static,
    {
        let Some(loss) = self.loss.take() else { return };
        let shared = Arc::clone(shared);
        let renewing = async move { keep(&shared, held, &loss).await };
        self.task = Some(tokio::spawn(renewing.in_current_span()).abort_handle());
    }
}

async fn keep<St: Store, O: Observe<IdempotencyEvent>>(
    shared: &Shared<St, O>,
    held: Held,
    loss: &Loss,
) {
    let lease = shared.settings.lease;
    loop {
        tokio::time::sleep((lease / RENEWALS_PER_LEASE).max(PAUSE_MIN)).await;
        match shared.store.renew(held, lease).await {
            Ok(Settled::Done) => {}
            Ok(Settled::Lost) => {
                if !recorded_by_its_handler(shared, held).await {
                    shared.observer.observe(&IdempotencyEvent::LeaseLost);
                    loss.fire();
                }
                return;
            }
            // A failed renewal is not a lost lease: as long as nobody claims the key, the next
            // renewal or the completion succeeds.
            Err(error) => {
                tracing::warn!(id = %held.id, error = &error as &dyn std::error::Error, "lease not renewed");
                shared.observer.observe(&IdempotencyEvent::StoreFailed);
            }
        }
    }
}

/// Whether the claim's own handler has recorded its answer and is still about to give it. A store
/// that cannot tell leaves it at what it said of the renewal.
async fn recorded_by_its_handler<St: Store, O>(shared: &Shared<St, O>, held: Held) -> bool {
    let record = shared.store.get(held.id).await.ok().flatten();
    completed_by(record.as_ref().map(|record| &record.state), held)
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Three renewals may fail before a lease ends.
const RENEWALS_PER_LEASE: u32 = 4;
/// Whoever asks for a lease of nothing must not make this a busy loop.
const PAUSE_MIN: Duration = Duration::from_millis(1);
