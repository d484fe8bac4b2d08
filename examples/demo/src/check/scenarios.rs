//! The stories that must end well, each told once with faults that are switched on over HTTP.

use aplomb_core::time;
use futures_util::stream::{self, StreamExt};
use serde_json::json;

use super::report::Scenario;
use super::stage::Stage;
use crate::client::Answer;
use crate::trouble::Trouble;

impl Stage<'_> {
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

    async fn place(&self, key: String, sku: &str) -> Result<Answer, Trouble> {
        self.client().order(&key, &[(sku, 1)]).await
    }
}
