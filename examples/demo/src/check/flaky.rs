//! Three in ten requests fail at Inventory.

use std::time::Duration;

use aplomb_core::time;
use http::StatusCode;
use serde_json::json;

use super::crowd::share_out;
use super::report::Scenario;
use super::stage::Stage;
use crate::client::Answer;
use crate::trouble::Trouble;

impl Stage<'_> {
    /// Every order is accepted, more than seven in ten are confirmed at once, and retries stay few.
    pub(crate) async fn flaky(&self) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin("flaky: three in ten fail").await?;
        let (client, sku) = (self.client(), self.name("flaky"));
        client.stock(&sku, STOCK).await?;
        // Retries are paid for by what went well before.
        let usual = percent_at_once(&self.some("flaky-before", &sku, HEALTHY).await?);
        client.chaos(json!({"error_rate": 0.3, "seed": self.dice()})).await?;
        let before = self.wire().await?;
        let answers = self.some("flaky", &sku, ORDERS).await?;
        let wire = self.wire().await? - before;
        self.calm(&mut scenario).await?;

        let percent = percent_at_once(&answers);
        let sends_percent = wire.sends * 100 / wire.calls.max(1);
        let tally = self.tally(&answers).await?;
        scenario.note("orders", answers.len());
        scenario.note("confirmed at once before", format!("{usual} %"));
        scenario.note("confirmed at once", format!("{percent} %"));
        scenario.note("answered pending", tally.answered_pending);
        scenario.note("sends", wire.sends);
        scenario.note("sends per 100 calls", sends_percent);
        scenario.expect("confirmed in the end", tally.confirmed, answers.len());
        // A machine that is late with what does not fail says nothing about what does.
        scenario.require(percent >= AT_ONCE_PERCENT || usual < USUAL_PERCENT, || {
            format!("{percent} % were confirmed at once; without retries it would be 70")
        });
        scenario.require(sends_percent <= SENDS_PERCENT, || {
            format!("{sends_percent} sends for 100 calls, more than {SENDS_PERCENT}")
        });
        scenario.broke(tally.untrue);
        Ok(scenario.took(time::now() - begun))
    }

    async fn some(&self, name: &str, sku: &str, orders: u64) -> Result<Vec<Answer>, Trouble> {
        let place = async |number| {
            let key = self.name(&format!("{name}-{number}"));
            let (_, answer) = self.order_once(&key, sku).await?;
            tokio::time::sleep(THINKING).await;
            Ok(answer)
        };
        share_out(orders, place).await.into_iter().collect()
    }
}

fn percent_at_once(answers: &[Answer]) -> usize {
    let at_once = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
    at_once * 100 / answers.len().max(1)
}

/// What a customer does with an answer. Those who click at once would spend all their orders in the
/// moment after five failures in a row, while Inventory is left alone.
const THINKING: Duration = Duration::from_millis(100);
const STOCK: u32 = 100_000;
const HEALTHY: u64 = 100;
const ORDERS: u64 = 200;
/// The budget pays for a retry with five first tries that went well: with those seven in ten, it
/// comes to about eighty; by chance to a few less.
const AT_ONCE_PERCENT: usize = 72;
/// All of them, on a machine that has time.
const USUAL_PERCENT: usize = 98;
/// Three tries for all would be 139.
const SENDS_PERCENT: u64 = 150;
