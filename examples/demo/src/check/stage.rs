//! Where scenarios are played, and what all of them need.

use std::time::Duration;

use aplomb_core::time;
use http::StatusCode;
use serde_json::json;
use tokio::sync::Mutex;

use super::report::Scenario;
use super::town::Town;
use super::wire::Wire;
use crate::client::{Answer, Client};
use crate::fleet::Fleet;
use crate::ledger::Ledger;
use crate::place::Ground;
use crate::trouble::Trouble;

/// The services, and the books that are looked into.
pub(crate) struct Stage<'a> {
    pub(crate) town: &'a Town,
    pub(crate) ground: &'a Ground,
    pub(crate) seed: u64,
    /// Tells the skus and keys of this run from those of an earlier one in the same directory.
    run: String,
    pub(crate) ledger: Mutex<Ledger>,
}

impl<'a> Stage<'a> {
    pub(crate) async fn open(
        town: &'a Town,
        ground: &'a Ground,
        seed: u64,
    ) -> Result<Self, Trouble> {
        let ledger = Mutex::new(Ledger::open(ground).await?);
        Ok(Self { town, ground, seed, run: crate::fresh_name(), ledger })
    }

    pub(crate) async fn close(self) {
        self.ledger.into_inner().close().await;
    }

    pub(crate) fn client(&self) -> &Client {
        self.town.client()
    }

    pub(crate) fn fleet(&self) -> Option<&Fleet> {
        self.town.fleet()
    }

    /// A name that no other run has.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{what}-{}", self.run)
    }

    /// A seed for injected faults; 0 would mean "roll on".
    pub(crate) fn dice(&self) -> u64 {
        self.seed.max(1)
    }

    /// What went over the wire so far.
    pub(crate) async fn wire(&self) -> Result<Wire, Trouble> {
        Wire::read(self.client()).await
    }

    pub(crate) async fn begin(
        &self,
        name: &'static str,
    ) -> Result<(time::Instant, Scenario), Trouble> {
        eprintln!("{name} …");
        self.client().chaos(json!({})).await?;
        Ok((time::now(), Scenario::new(name)))
    }

    /// Ends the faults, waits until every order has ended, and counts what must hold.
    pub(crate) async fn calm(&self, scenario: &mut Scenario) -> Result<(), Trouble> {
        self.client().chaos(json!({})).await?;
        self.until("every order has ended", async |ledger| Ok(ledger.open_orders().await? == 0))
            .await?;
        scenario.broke(self.ledger.lock().await.broken().await?);
        Ok(())
    }

    /// Waits until the books say so, for a while; what they say in the end is judged elsewhere.
    pub(crate) async fn until(
        &self,
        what: &str,
        reached: impl AsyncFn(&mut Ledger) -> Result<bool, Trouble>,
    ) -> Result<(), Trouble> {
        let until = time::now() + PATIENCE;
        let mut said = time::now();
        while !reached(&mut *self.ledger.lock().await).await? {
            let now = time::now();
            if now > until {
                eprintln!("  waited for {PATIENCE:?} until {what}, in vain");
                return Ok(());
            }
            if now.duration_since(said) >= Duration::from_secs(5) {
                eprintln!("  waiting until {what}");
                said = now;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Inventory's own count of a sku of which so many should be held.
    pub(crate) async fn count(
        &self,
        scenario: &mut Scenario,
        sku: &str,
        held: u64,
    ) -> Result<(), Trouble> {
        let audit = self.client().audit(sku).await?;
        scenario.expect("reservations", audit["reservations"].clone(), held);
        scenario.expect("distinct keys", audit["distinct_keys"].clone(), held);
        scenario.expect("duplicates", audit["duplicates"].clone(), 0);
        let left = audit["initial"].as_u64().unwrap_or_default().abs_diff(held);
        scenario.expect("stock", audit["available"].clone(), left);
        Ok(())
    }

    /// How the orders behind these answers ended, and whether what was said came true.
    pub(crate) async fn tally(&self, answers: &[Answer]) -> Result<Tally, Trouble> {
        let mut tally = Tally::default();
        for answer in answers {
            let id = answer.order_id();
            let shown = self.client().show(id).await?;
            let status = shown.body["status"].as_str().unwrap_or("missing");
            tally.confirmed += u64::from(status == "confirmed");
            tally.rejected += u64::from(status == "rejected_out_of_stock");
            tally.shipped += u64::from(shown.body["fulfilment"] == "shipped");
            let came_true = match answer.status {
                StatusCode::CREATED => status == "confirmed",
                StatusCode::CONFLICT => status == "rejected_out_of_stock",
                StatusCode::ACCEPTED => {
                    tally.answered_pending += 1;
                    shown.status == StatusCode::OK
                }
                _ => false,
            };
            if !came_true {
                let said = answer.status;
                tally.untrue.push(format!("an order was answered {said} and is {status}: {id}"));
            }
        }
        Ok(tally)
    }
}

/// How orders ended.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) confirmed: u64,
    pub(crate) rejected: u64,
    pub(crate) shipped: u64,
    pub(crate) answered_pending: u64,
    pub(crate) untrue: Vec<String>,
}

/// The reconciler waits ten seconds at most between two tries of an order, and a task that was lost
/// with its worker five; the rest is for a machine that has more to do.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(25);
