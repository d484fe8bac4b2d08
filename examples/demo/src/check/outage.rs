//! Inventory goes down under load, stays down, and comes back.

use std::time::Duration;

use aplomb_core::time::{self, Instant};
use futures_util::future::try_join_all;
use http::StatusCode;
use serde_json::json;

use super::report::Scenario;
use super::scenarios::Stage;
use crate::client::Answer;
use crate::trouble::Trouble;

impl Stage<'_> {
    /// Every answer while Inventory is down is quick, hardly anything reaches it, and orders flow
    /// again soon after it is back.
    pub(crate) async fn outage(&self, down: Duration) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin("outage, breaker, recovery").await?;
        let (client, sku) = (self.client(), self.name("outage"));
        let (circuit, timeline) = (self.services.api.reservations(), &self.services.timeline);
        client.stock(&sku, 1_000_000).await?;
        let usual = self.crowd("before", &sku, time::now() + USUAL).await?;
        let usual = median(usual.iter().map(|(wait, _)| *wait).collect());
        client.chaos(json!({"down": true, "seed": self.dice()})).await?;
        let (opened, probed, sends) = (circuit.opened(), circuit.probed(), timeline.sends());
        let until = time::now() + down;
        let answers = self.crowd("down", &sku, until).await?;
        let opened = circuit.opened() - opened;
        let probes = circuit.probed() - probed;
        let sends = timeline.sends() - sends;

        let open_for = circuit.handle().snapshot().retry_after;
        client.chaos(json!({})).await?;
        let back = time::now();
        let recovered = self.until_orders_flow(&sku, back + open_for + PATIENCE).await?;
        self.calm(&mut scenario).await?;

        let median = median(answers.iter().map(|(wait, _)| *wait).collect());
        scenario.note("median ms before", millis(usual));
        scenario.note("answers while down", answers.len());
        scenario.note("median ms while down", millis(median));
        scenario.note("sends while down", sends);
        scenario.note("opened", opened);
        scenario.note("probes", probes);
        scenario.note("recovered after ms", millis(recovered));
        // A machine that is slow with everything is measured by itself.
        scenario.broke((median >= MEDIAN_MAX.max(usual * 3)).then(|| {
            format!("the median answer took {} ms while inventory was down", millis(median))
        }));
        // Each send after it first opened was a probe, one an open interval; before that, what was
        // under way as the tenth failure in a row opened it.
        scenario.broke((sends > TRIP + CUSTOMERS + probes).then(|| {
            format!("{sends} sends reached inventory while it was down, with {probes} probes")
        }));
        scenario.broke((opened == 0).then(|| "the circuit never opened".to_owned()));
        let allowed = open_for + RAMP;
        scenario.broke((recovered > allowed).then(|| {
            let (recovered, allowed) = (millis(recovered), millis(allowed));
            format!("orders flowed again after {recovered} ms; open time and ramp are {allowed} ms")
        }));
        let answers: Vec<_> = answers.into_iter().map(|(_, answer)| answer).collect();
        scenario.broke(self.tally(&answers).await?.untrue);
        Ok(scenario.took(time::now() - begun))
    }

    /// Eight who order, and order again, until then; how long each answer took.
    async fn crowd(
        &self,
        when: &str,
        sku: &str,
        until: Instant,
    ) -> Result<Vec<(Duration, Answer)>, Trouble> {
        let customers =
            (0..CUSTOMERS).map(|number| self.insist(format!("{when}-{number}"), sku, until));
        Ok(try_join_all(customers).await?.into_iter().flatten().collect())
    }

    async fn insist(
        &self,
        customer: String,
        sku: &str,
        until: Instant,
    ) -> Result<Vec<(Duration, Answer)>, Trouble> {
        let mut answers = Vec::new();
        while time::now() < until {
            let key = format!("{}-{customer}-{}", self.name("outage"), answers.len());
            let asked = time::now();
            let answer = self.client().order(&key, &[(sku, 1)]).await?;
            answers.push((time::now() - asked, answer));
            tokio::time::sleep(CLICK).await;
        }
        Ok(answers)
    }

    /// How long it takes until eight orders in a row are confirmed at once.
    async fn until_orders_flow(&self, sku: &str, until: Instant) -> Result<Duration, Trouble> {
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
        if in_a_row < FLOW {
            return Ok(Duration::MAX);
        }
        Ok(first - begun)
    }
}

fn median(mut waits: Vec<Duration>) -> Duration {
    waits.sort_unstable();
    waits.get(waits.len() / 2).copied().unwrap_or(Duration::MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

const CUSTOMERS: u64 = 8;
/// Between two clicks of one customer.
const CLICK: Duration = Duration::from_millis(10);
/// Failures in a row that open the circuit.
const TRIP: u64 = 10;
/// What a customer hears is heard at once.
const MEDIAN_MAX: Duration = Duration::from_millis(50);
/// How long it is watched before.
const USUAL: Duration = Duration::from_millis(500);
const FLOW: u32 = 8;
/// From the first probe that succeeds to full load: five doublings, with the reconciler's orders
/// between them, on a machine that may have more to do.
const RAMP: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(20);
