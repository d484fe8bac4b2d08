//! The stories that must end well, each told once with faults that are switched on over HTTP.

use std::path::Path;
use std::time::Duration;

use aplomb_core::time;
use futures_util::stream::{self, StreamExt};
use http::StatusCode;
use serde_json::json;
use tokio::sync::Mutex;

use super::invariants::Ledger;
use super::report::Scenario;
use crate::client::{Answer, Client};
use crate::place::Ground;
use crate::services::Services;
use crate::trouble::Trouble;

/// Where scenarios are played.
pub(crate) struct Stage<'a> {
    pub(crate) services: &'a Services,
    pub(crate) seed: u64,
    /// Tells the skus and keys of this run from those of an earlier one in the same directory.
    run: String,
    ledger: Mutex<Ledger>,
}

impl<'a> Stage<'a> {
    pub(crate) async fn open(
        services: &'a Services,
        data: &Path,
        ground: &Ground,
        seed: u64,
    ) -> Result<Self, Trouble> {
        Ok(Self {
            services,
            seed,
            run: super::super::fresh_name(),
            ledger: Mutex::new(Ledger::open(data, &ground.place).await?),
        })
    }

    pub(crate) async fn close(self) {
        self.ledger.into_inner().close().await;
    }

    pub(crate) fn client(&self) -> &Client {
        &self.services.client
    }

    /// A name that no other run has.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{what}-{}", self.run)
    }

    /// The last item, and a response that is lost after the commit.
    pub(crate) async fn last_item(&self) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin("last item, lost response").await?;
        let (client, sku) = (self.client(), self.name("last-item"));
        client.stock(&sku, 1).await?;
        client.chaos(json!({"lose_next": 1, "seed": self.dice()})).await?;
        let answer = client.order(&self.name("last-item"), &[(&sku, 1)]).await?;
        self.calm(&mut scenario).await?;

        scenario.note("answer", answer.status.as_u16());
        let order = client.show(answer.order_id()).await?;
        scenario.expect("status", order.body["status"].clone(), "confirmed");
        scenario.broke(self.tally(&[answer]).await?.untrue);
        self.count(&mut scenario, &sku, 1).await?;
        Ok(scenario.took(time::now() - begun))
    }

    /// More orders than items, at once, while almost a third of all answers is lost.
    pub(crate) async fn rush(&self) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin("200 orders for 100 items").await?;
        let (client, sku) = (self.client(), self.name("rush"));
        client.stock(&sku, 100).await?;
        let knobs = json!({"lose_response_rate": 0.3, "seed": self.dice()});
        client.chaos(knobs).await?;
        let answers: Vec<_> = stream::iter(0..200)
            .map(|number| self.place(format!("{}-{number}", self.name("rush")), &sku))
            .buffer_unordered(32)
            .collect()
            .await;
        let answers = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.calm(&mut scenario).await?;

        let tally = self.tally(&answers).await?;
        scenario.expect("confirmed", tally.confirmed, 100);
        scenario.expect("rejected", tally.rejected, 100);
        scenario.note("answered pending", tally.answered_pending);
        scenario.broke(tally.untrue);
        self.count(&mut scenario, &sku, 100).await?;
        Ok(scenario.took(time::now() - begun))
    }

    /// The customer clicks again: the same order. Another order under the same key: refused.
    pub(crate) async fn clicks_again(&self) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin("the customer clicks again").await?;
        let (client, sku, key) = (self.client(), self.name("again"), self.name("again"));
        client.stock(&sku, 5).await?;
        let first = client.order(&key, &[(&sku, 1)]).await?;
        let second = client.order(&key, &[(&sku, 1)]).await?;
        let other = client.order(&key, &[(&sku, 2)]).await?;
        scenario.note("first", first.status.as_u16());
        scenario.expect("again", second.status.as_u16(), first.status.as_u16());
        scenario.expect("other order", other.status.as_u16(), 422);
        if first.order_id() != second.order_id() {
            scenario.broke(["two clicks with one key made two orders".to_owned()]);
        }
        self.calm(&mut scenario).await?;
        scenario.broke(self.tally(&[first, second]).await?.untrue);
        self.count(&mut scenario, &sku, 1).await?;
        Ok(scenario.took(time::now() - begun))
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
        let api = &self.services.api;
        let until = time::now() + PATIENCE;
        let mut said = time::now();
        loop {
            let tally = api.tally().await;
            let open = tally.map_err(|error| Trouble::new(format!("orders.db: {error}")))?.open;
            let now = time::now();
            if open == 0 || now > until {
                break;
            }
            if now.duration_since(said) >= Duration::from_secs(5) {
                eprintln!("  {open} orders have not ended yet");
                said = now;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        scenario.broke(self.ledger.lock().await.broken().await?);
        Ok(())
    }

    /// Inventory's own count of a sku of which so many should be held.
    async fn count(&self, scenario: &mut Scenario, sku: &str, held: u64) -> Result<(), Trouble> {
        let audit = self.client().audit(sku).await?;
        scenario.expect("reservations", audit["reservations"].clone(), held);
        scenario.expect("distinct keys", audit["distinct_keys"].clone(), held);
        scenario.expect("duplicates", audit["duplicates"].clone(), 0);
        let left = audit["initial"].as_u64().unwrap_or_default().abs_diff(held);
        scenario.expect("stock", audit["available"].clone(), left);
        Ok(())
    }

    async fn place(&self, key: String, sku: &str) -> Result<Answer, Trouble> {
        self.client().order(&key, &[(sku, 1)]).await
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

    /// A seed for Inventory's faults; 0 would mean "roll on".
    pub(crate) fn dice(&self) -> u64 {
        self.seed.max(1)
    }
}

/// How orders ended.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) confirmed: u64,
    pub(crate) rejected: u64,
    pub(crate) answered_pending: u64,
    pub(crate) untrue: Vec<String>,
}

/// The reconciler waits ten seconds at most between two tries of an order.
const PATIENCE: Duration = Duration::from_secs(30);
