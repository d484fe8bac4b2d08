//! Everything at once, for as long as there is time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aplomb_core::{Rng, time};
use futures_util::future::try_join_all;
use serde_json::json;

use super::report::Scenario;
use super::stage::Stage;
use crate::client::Answer;
use crate::trouble::Trouble;

impl Stage<'_> {
    /// Orders of one to three lines for a handful of skus, while Inventory is slow, fails, loses
    /// answers and drops connections.
    pub(crate) async fn mixed(&self, time: Duration) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin("mixed faults").await?;
        let skus: Vec<_> = (0..SKUS).map(|n| self.name(&format!("mixed-{n}"))).collect();
        for sku in &skus {
            self.client().stock(sku, STOCK).await?;
        }
        let before = self.wire().await?;
        let knobs = json!({
            "latency_ms": 5, "latency_jitter_ms": 60, "error_rate": 0.1,
            "lose_response_rate": 0.15, "drop_connection_rate": 0.05, "seed": self.dice(),
        });
        self.client().chaos(knobs).await?;
        let (end, number) = (time::now() + time, AtomicU64::new(0));
        let customers = (0..CUSTOMERS).map(|_| self.customer(end, &skus, &number));
        let answers: Vec<_> = try_join_all(customers).await?.into_iter().flatten().collect();
        self.calm(&mut scenario).await?;
        let wire = self.wire().await? - before;

        let tally = self.tally(&answers).await?;
        scenario.note("orders", number.into_inner());
        scenario.note("confirmed", tally.confirmed);
        scenario.note("rejected", tally.rejected);
        scenario.note("answered pending", tally.answered_pending);
        scenario.note("sends", wire.sends);
        scenario.note("retries", wire.retries);
        scenario.note("replays", wire.replays);
        scenario.broke(tally.untrue);
        Ok(scenario.took(time::now() - begun))
    }

    /// One who orders, waits for the answer, and orders again; now and then with the same key.
    async fn customer(
        &self,
        end: time::Instant,
        skus: &[String],
        number: &AtomicU64,
    ) -> Result<Vec<Answer>, Trouble> {
        let mut answers = Vec::new();
        while time::now() < end {
            let number = number.fetch_add(1, Ordering::Relaxed);
            let mut rng = Rng::stream(self.seed, number);
            let lines: Vec<_> = (0..=rng.below(3))
                .map(|_| (pick(skus, &mut rng), 1 + u32::from(rng.below(4) == 0)))
                .collect();
            let key = format!("{}-{number}", self.name("mixed"));
            answers.push(self.client().order(&key, &lines).await?);
            if rng.below(10) == 0 {
                answers.push(self.client().order(&key, &lines).await?);
            }
        }
        Ok(answers)
    }
}

fn pick<'a>(skus: &'a [String], rng: &mut Rng) -> &'a str {
    let index = usize::try_from(rng.below(SKUS)).unwrap_or_default();
    &skus[index]
}

const CUSTOMERS: u64 = 8;
const SKUS: u64 = 5;
/// Little enough that some of it is sold out within seconds.
const STOCK: u32 = 40;
