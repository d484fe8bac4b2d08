//! What is confirmed is shipped once, or somebody is told that it could not be.

use std::time::Duration;

use aplomb_core::time;
use http::StatusCode;
use serde_json::json;

use super::report::Scenario;
use super::scenarios::Stage;
use crate::trouble::Trouble;

impl Stage<'_> {
    /// Orders for a Warehouse that fails and loses answers; one of them is poison, becomes a dead
    /// letter, and is redriven once the poison is gone.
    pub(crate) async fn shipments(&self) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin("poison, dead letter, redrive").await?;
        let (client, sku) = (self.client(), self.name("shipped"));
        client.stock(&sku, 100).await?;
        // Nothing is shipped while one of them is being marked.
        client.shipping_chaos(json!({"down": true})).await?;
        let mut orders = Vec::new();
        for number in 0..ORDERS {
            let key = format!("{}-{number}", self.name("shipped"));
            orders.push(client.order(&key, &[(&sku, 1)]).await?.order_id().to_owned());
        }
        let poison = orders[0].clone();
        client.poison(&[&poison]).await?;
        let knobs = json!({"error_rate": 0.2, "lose_response_rate": 0.2, "seed": self.dice()});
        client.shipping_chaos(knobs).await?;
        self.calm(&mut scenario).await?;
        self.until(|tally| tally.queued == 0 && tally.dead_lettered > 0).await?;
        scenario.expect("poison is", self.fulfilment(&poison).await?, "dead_lettered");

        client.poison(&[]).await?;
        client.shipping_chaos(json!({})).await?;
        // A redrive spends what shipments earn that succeed at once.
        for number in 0..HEALTHY {
            let key = format!("{}-healthy-{number}", self.name("shipped"));
            orders.push(client.order(&key, &[(&sku, 1)]).await?.order_id().to_owned());
        }
        self.until(|tally| tally.queued == 0).await?;
        let letters = client.letters().await?;
        let letter = letters["letters"].as_array().into_iter().flatten();
        let mut letter = letter.filter(|letter| letter["order_id"] == poison.as_str());
        let id = letter.next().and_then(|letter| letter["id"].as_str()).unwrap_or_default();
        let mut redriven = client.redrive(id).await?;
        let until = time::now() + PATIENCE;
        // A letter is not sent again before its time.
        while redriven.status != StatusCode::OK && time::now() < until {
            tokio::time::sleep(PAUSE).await;
            redriven = client.redrive(id).await?;
        }
        scenario.expect("redriven", redriven.body["outcome"].clone(), "shipped");
        scenario.expect("poison is then", self.fulfilment(&poison).await?, "shipped");
        let again = client.redrive(id).await?;
        scenario.expect("redriven again", again.status.as_u16(), 409);
        let mut shipped = 0;
        for order in &orders {
            shipped += u64::from(self.fulfilment(order).await? == "shipped");
        }
        scenario.expect("shipped", shipped, ORDERS + HEALTHY);
        scenario.broke(self.unfulfilled().await?);
        Ok(scenario.took(time::now() - begun))
    }

    /// What must hold between orders, tasks, letters and shipments, whatever happened.
    pub(crate) async fn unfulfilled(&self) -> Result<Vec<String>, Trouble> {
        let tally = self.services.api.fulfilment().await.map_err(unreadable)?;
        let shipments = self.client().shipments().await?;
        let laws = [
            ("an order is both shipped and dead-lettered", tally.both),
            ("a confirmed order has neither task nor shipment nor letter", tally.lost),
            ("a task stands for no confirmed order", tally.invented),
            ("an order is shipped twice", shipments["duplicates"].as_u64().unwrap_or(u64::MAX)),
        ];
        let broken = laws.into_iter().filter(|(_, count)| *count > 0);
        Ok(broken.map(|(law, count)| format!("{law}: {count} times")).collect())
    }

    async fn fulfilment(&self, order: &str) -> Result<String, Trouble> {
        let shown = self.client().show(order).await?;
        Ok(shown.body["fulfilment"].as_str().unwrap_or("missing").to_owned())
    }

    /// Waits until the worker has come so far, for a while.
    async fn until(
        &self,
        reached: impl Fn(&aplomb_order_api::FulfilmentTally) -> bool,
    ) -> Result<(), Trouble> {
        let until = time::now() + PATIENCE;
        while time::now() < until {
            if reached(&self.services.api.fulfilment().await.map_err(unreadable)?) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn unreadable(error: sqlx::Error) -> Trouble {
    Trouble::new(format!("orders.db: {error}"))
}

const ORDERS: u64 = 12;
const HEALTHY: u64 = 24;
const PAUSE: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(30);
