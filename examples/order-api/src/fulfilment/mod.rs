//! What happens after an order is confirmed: it is shipped, and somebody may hear of it.
//!
//! The task to ship an order is written in the transaction that confirms it: an order is confirmed
//! and has its task, or neither. [`Worker`]s take tasks from this outbox and ask the Warehouse. What
//! may pass waits in its row; what will not, and what waited for too long, becomes a dead letter in
//! the transaction that removes the task. Every send of an order's shipment carries the same key.
//!
//! Analytics is told at the best of efforts, and never on the order's way.

mod analytics;
mod boxes;
mod config;
mod letters;
pub(crate) mod routes;
mod shipping;
mod state;
mod worker;

use std::time::{Duration, SystemTime};

use aplomb_core::{Dice, HttpClassifier};
use aplomb_dead_letter::Redriver;
use aplomb_inventory_service::StartError;
use aplomb_inventory_service::database::{At, Database};
use aplomb_telemetry::{DependencyMetrics, Metrics};

use crate::order::{Order, OrderId, Status};
use crate::policy::Operation;
use crate::wire::{Way, Wire};

pub use analytics::Told;
pub use config::{FulfilmentConfig, WorkerConfig};
pub use state::FulfilmentTally;
pub use worker::{Round, Worker};

use analytics::Analytics;
use boxes::Boxes;
use letters::Letters;
pub(crate) use routes::routes;
use shipping::{Purse, Shipping};
pub(crate) use state::{Fulfilled, fulfilled};

/// Everything that an order is shipped with. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Fulfilment {
    database: Database,
    boxes: Boxes,
    letters: Letters,
    shipping: Shipping,
    analytics: Analytics,
    redriver: Desk,
    dice: Dice,
}

/// Where an operator redrives.
type Desk = Redriver<Letters, Way, Purse, HttpClassifier, DependencyMetrics>;

impl Fulfilment {
    /// Makes the tables of tasks and letters.
    pub(crate) async fn open(
        config: &FulfilmentConfig,
        database: Database,
        wire: Wire,
        dice: Dice,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let boxes = Boxes::open(&database).await?;
        let letters = Letters::beside(&database);
        let (dependency, operation) = Operation::Shipment.names();
        let metrics = metrics.dependency(dependency, operation);
        let haste = config.haste.get();
        let shipping = Shipping::new(wire.clone(), haste, dice.clone(), metrics.clone());
        let redriver = Redriver::new(letters.clone(), shipping.way(), shipping.purse())
            .lease(REDRIVE_LEASE)
            .spread(REDRIVE_SPREAD)
            .schedule(shipping.rounds())
            .dice(dice.clone())
            .observe(metrics);
        let analytics = Analytics::new(wire, config.analytics.is_some());
        Ok(Self { database, boxes, letters, shipping, analytics, redriver, dice })
    }

    /// Asks for the shipment of an order in the transaction that confirms it.
    pub(crate) async fn ask_in(
        &self,
        mut at: At<'_>,
        order: OrderId,
        now: SystemTime,
    ) -> sqlx::Result<()> {
        let job = shipping::job(order, self.shipping.horizon());
        state::queue_in(at.here(), order, job.id(), now).await?;
        self.boxes.enqueue_in(at, &job).await
    }

    /// Tells analytics of an order, if it is confirmed. Waits for nothing.
    pub(crate) fn tell(&self, order: &Order) {
        if order.status == Status::Confirmed {
            self.analytics.tell(order.id);
        }
    }

    /// What analytics was told, and what it was not.
    pub(crate) fn told(&self) -> Told {
        self.analytics.told()
    }

    /// How many orders there are, by how they are fulfilled.
    pub(crate) async fn tally(&self) -> sqlx::Result<FulfilmentTally> {
        let mut reader = self.database.reader().await?;
        state::tally(reader.at()).await
    }
}

/// Longer than a redrive takes, and short enough that whoever was interrupted may press again soon.
const REDRIVE_LEASE: Duration = Duration::from_secs(10);
/// Somebody waits for the button.
const REDRIVE_SPREAD: Duration = Duration::from_millis(200);
