//! Inventory goes down under load, stays down, and comes back.

use std::time::Duration;

use aplomb_core::time::{self, Instant};
use http::StatusCode;
use serde_json::json;

use super::crowd::{CLICK, CUSTOMERS, median, millis};
use super::report::Scenario;
use super::stage::Stage;
use super::wire::Wire;
use crate::trouble::Trouble;

impl Stage<'_> {
    /// Every answer while Inventory is down is quick, hardly anything reaches it, and orders flow
    /// again soon after it is back.
    pub(crate) async fn outage(&self, down: Duration) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin("outage, breaker, recovery").await?;
        let (client, sku) = (self.client(), self.name("outage"));
        client.stock(&sku, 1_000_000).await?;
        let usual = self.crowd("outage-before", &sku, time::now() + USUAL).await?;
        let usual = median(usual.iter().map(|(wait, _)| *wait).collect());
        client.chaos(json!({"down": true, "seed": self.dice()})).await?;
        let before = self.wire().await?;
        let answers = self.crowd("outage-down", &sku, time::now() + down).await?;
        let wire = self.wire().await? - before;
        client.chaos(json!({})).await?;
        let recovered = self.until_orders_flow(&sku, time::now() + RECOVERY_MAX).await?;
        let after = self.wire().await? - before;
        self.calm(&mut scenario).await?;

        let median = median(answers.iter().map(|(wait, _)| *wait).collect());
        scenario.note("median ms before", millis(usual));
        scenario.note("answers while down", answers.len());
        scenario.note("median ms while down", millis(median));
        scenario.note("sends while down", wire.sends);
        scenario.note("circuit opened", wire.opened);
        scenario.note("pauses", wire.pauses);
        scenario.note("opened again when back", after.opened - wire.opened);
        scenario.note("recovered after ms", recovered.map(millis));
        // A machine that is slow with everything is measured by itself.
        scenario.require(median < MEDIAN_MAX.max(usual * 3), || {
            format!("the median answer took {} ms while inventory was down", millis(median))
        });
        // What was under way as a circuit tripped; then, each time that it let a probe out or a pause
        // was over, a row of failures and those who came before it was known.
        let Wire { sends, opened, pauses, .. } = wire;
        let most = self.town.width() * (TRIP + CUSTOMERS) + (opened + pauses) * (ROW + CUSTOMERS);
        scenario.require(sends <= most, || {
            format!("{sends} sends for an inventory that was down, after {opened} openings and {pauses} pauses")
        });
        scenario.require(opened + pauses > 0, || {
            "nothing kept calls from an inventory that was down".to_owned()
        });
        scenario.require(recovered.is_some(), || {
            format!("orders did not flow again within {RECOVERY_MAX:?}")
        });
        let answers: Vec<_> = answers.into_iter().map(|(_, answer)| answer).collect();
        scenario.broke(self.tally(&answers).await?.untrue);
        Ok(scenario.took(time::now() - begun))
    }

    /// How long it takes until eight orders in a row are confirmed at once.
    async fn until_orders_flow(
        &self,
        sku: &str,
        until: Instant,
    ) -> Result<Option<Duration>, Trouble> {
        let begun = time::now();
        let (mut number, mut first, mut in_a_row) = (0, begun, 0);
        while in_a_row < FLOW && time::now() < until {
            let key = format!("{}-after-{number}", self.name("outage"));
            let asked = time::now();
            let answer = self.client().order(&key, &[(sku, 1)]).await?;
            if answer.status == StatusCode::CREATED {
                first = if in_a_row == 0 { asked } else { first };
                in_a_row += 1;
            } else {
                in_a_row = 0;
                tokio::time::sleep(CLICK).await;
            }
            number += 1;
        }
        Ok((in_a_row == FLOW).then(|| first - begun))
    }
}

/// Failures in a row that open the circuit.
const TRIP: u64 = 10;
/// Failures in a row that begin a pause.
const ROW: u64 = 5;
/// What a customer hears is heard at once.
const MEDIAN_MAX: Duration = Duration::from_millis(150);
/// How long it is watched before.
const USUAL: Duration = Duration::from_millis(500);
const FLOW: u32 = 8;
/// A circuit stays open for four seconds at most and is back at full load five doublings later; the
/// rest is for a machine that has far more to do. How long it took is shown.
const RECOVERY_MAX: Duration = Duration::from_secs(60);
