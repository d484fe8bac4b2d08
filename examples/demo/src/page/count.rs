//! What the rows say, counted by SQL beside the looking, as often as counting is cheap.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aplomb_core::time;
use aplomb_order_api::{FulfilmentTally, Tally};
use serde_json::Value;

use super::Scene;
use crate::lanes::Lane;
use crate::ledger::Ledger;

/// What was counted last. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted(Arc<Mutex<Rows>>);

#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    /// Inventory's own count of each lane's product.
    pub(crate) audits: [Value; 3],
    pub(crate) orders: Tally,
    pub(crate) fulfilment: FulfilmentTally,
    /// What must hold between the databases, and how often it does not.
    pub(crate) laws: Vec<(&'static str, u64)>,
}

impl Counted {
    pub(crate) fn rows(&self) -> Rows {
        self.lock().clone()
    }

    /// Counts each lane's rows, for ever. What cannot be counted now stays as it was.
    pub(crate) async fn count(&self, scene: &Scene) {
        loop {
            let begun = time::now();
            for lane in Lane::ALL {
                if let Ok(audit) = scene.client.audit(&scene.traffic.sku(lane)).await {
                    self.lock().audits[lane.index()] = audit;
                }
            }
            if let Ok(orders) = scene.api.tally().await {
                self.lock().orders = orders;
            }
            if let Ok(fulfilment) = scene.api.fulfilment().await {
                self.lock().fulfilment = fulfilment;
            }
            rest((time::now() - begun) * ROWS_SHARE).await;
        }
    }

    /// Counts what breaks the laws, for ever.
    pub(crate) async fn judge(&self, mut ledger: Ledger) {
        loop {
            let begun = time::now();
            if let Ok(laws) = ledger.counts().await {
                self.lock().laws = laws;
            }
            rest((time::now() - begun) * LAWS_SHARE).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The more rows there are, the longer they take, and the longer this is.
async fn rest(time: Duration) {
    tokio::time::sleep(time.max(EVERY)).await;
}

const EVERY: Duration = Duration::from_millis(400);
/// A third of the time at most.
const ROWS_SHARE: u32 = 2;
/// They read every row of three databases: a twentieth of the time at most.
const LAWS_SHARE: u32 = 19;
