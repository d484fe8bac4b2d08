//! Inventory takes three seconds for everything.

use std::time::Duration;

use aplomb_core::time;
use futures_util::future::try_join_all;
use http::StatusCode;
use serde_json::json;
use tokio::sync::watch;

use super::crowd::{Waited, median, millis};
use super::report::Scenario;
use super::stage::Stage;
use crate::client::Answer;
use crate::trouble::Trouble;

impl Stage<'_> {
    /// More orders than may be in flight are answered `pending` within their total, each is confirmed
    /// later under the key it always had, and what does not need Inventory does not notice.
    pub(crate) async fn slow(&self) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin("slow by three seconds").await?;
        let (client, sku) = (self.client(), self.name("slow"));
        client.stock(&sku, STOCK).await?;
        let known = client.order(&self.name("slow-known"), &[(&sku, 1)]).await?;
        let known = known.order_id();
        let (answers, reads) = self.all_while_reading("slow-before", &sku, known).await?;
        let (usual, before) = (slowest(&answers), median(reads));
        let earlier = 1 + kept(answers).len() as u64;
        self.calm(&mut scenario).await?;
        client.chaos(json!({"latency_ms": 3_000, "seed": self.dice()})).await?;
        let (answers, meanwhile) = self.all_while_reading("slow", &sku, known).await?;
        let (reads, meanwhile) = (meanwhile.len(), median(meanwhile));
        self.calm(&mut scenario).await?;

        let slowest = slowest(&answers);
        let kept = kept(answers);
        let tally = self.tally(&kept).await?;
        scenario.note("orders", ORDERS);
        scenario.note("answered pending", tally.answered_pending);
        scenario.note("turned away", u64::from(ORDERS) - kept.len() as u64);
        scenario.note("slowest answer ms before", millis(usual));
        scenario.note("slowest answer ms", millis(slowest));
        scenario.note("confirmed later", tally.confirmed);
        scenario.note("reads of an order meanwhile", reads);
        scenario.note("median read ms before", tenths(before));
        scenario.note("median read ms meanwhile", tenths(meanwhile));
        scenario.require(tally.answered_pending > 0, || "no order was answered pending".to_owned());
        // A machine that takes long for so many at once is measured by itself.
        scenario.require(slowest < TOTAL + SLACK.max(usual * 3), || {
            format!("an order was answered after {} ms only", millis(slowest))
        });
        scenario.require(meanwhile < READ_MAX.max(before * 4), || {
            let (before, meanwhile) = (tenths(before), tenths(meanwhile));
            format!("GET /orders/{{id}} took {meanwhile} ms meanwhile, {before} ms before")
        });
        let confirmed = kept.len();
        scenario.require(tally.confirmed == confirmed as u64, || {
            format!("{} of {confirmed} orders are confirmed", tally.confirmed)
        });
        scenario.broke(tally.untrue);
        self.count(&mut scenario, &sku, tally.confirmed + earlier).await?;
        Ok(scenario.took(time::now() - begun))
    }

    /// As many customers as there are orders, at once, and somebody who looks at another order until
    /// all of them have their answers: at least once.
    async fn all_while_reading(
        &self,
        name: &str,
        sku: &str,
        known: &str,
    ) -> Result<(Vec<Waited>, Vec<Duration>), Trouble> {
        let (done, over) = watch::channel(false);
        let orders = async {
            let asked = self.all_at_once(name, sku).await;
            done.send_replace(true);
            asked
        };
        let (answers, reads) = tokio::join!(orders, self.read_until(known, || *over.borrow()));
        Ok((answers?, reads?))
    }

    async fn all_at_once(&self, name: &str, sku: &str) -> Result<Vec<Waited>, Trouble> {
        let keys = (0..ORDERS).map(|number| self.name(&format!("{name}-{number}")));
        try_join_all(keys.map(async |key| self.order_once(&key, sku).await)).await
    }

    /// How long each look at an order takes, one after the other.
    async fn read_until(
        &self,
        order: &str,
        is_over: impl Fn() -> bool,
    ) -> Result<Vec<Duration>, Trouble> {
        let mut waits = Vec::new();
        while waits.is_empty() || !is_over() {
            let asked = time::now();
            let shown = self.client().show(order).await?;
            if shown.status != StatusCode::OK {
                let status = shown.status;
                return Err(Trouble::new(format!("the order {order} is shown as {status}")));
            }
            waits.push(time::now() - asked);
            tokio::time::sleep(BETWEEN).await;
        }
        Ok(waits)
    }
}

/// All but those that were turned away at the door.
fn kept(answers: Vec<Waited>) -> Vec<Answer> {
    let answers = answers.into_iter().map(|(_, answer)| answer);
    answers.filter(|answer| !answer.status.is_server_error()).collect()
}

fn slowest(answers: &[Waited]) -> Duration {
    answers.iter().map(|(wait, _)| *wait).max().unwrap_or_default()
}

fn tenths(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// Half as many again as may be on their way to Inventory at a time.
const ORDERS: u32 = 96;
const STOCK: u32 = 10_000;
const BETWEEN: Duration = Duration::from_millis(5);
/// What a reservation may take, by `aplomb.toml`.
const TOTAL: Duration = Duration::from_secs(3);
const SLACK: Duration = Duration::from_secs(3);
/// What nobody notices. A hundred orders are being written down meanwhile.
const READ_MAX: Duration = Duration::from_millis(250);
