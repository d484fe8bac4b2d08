//! What is confirmed is shipped once, or somebody is told that it could not be.

use std::time::Duration;

use aplomb_core::time;
use http::StatusCode;
use serde_json::json;

use super::report::Scenario;
use super::room::Room;
use super::stage::Stage;
use crate::client::Answer;
use crate::ledger::Ledger;
use crate::trouble::Trouble;

impl Stage<'_> {
    /// Orders for a Warehouse that fails and loses answers; one of them is poison, becomes a dead
    /// letter, and is redriven once the poison is gone.
    pub(crate) async fn shipments(&self) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin("poison, dead letter, redrive").await?;
        let (client, sku) = (self.client(), self.name("shipped"));
        client.stock(&sku, 100).await?;
        let key = |number: u32| format!("{}-{number}", self.name("shipped"));
        let poison = self.poison(&key(0), &sku).await?;
        let mut orders = vec![poison.clone()];
        let knobs = json!({"error_rate": 0.2, "lose_response_rate": 0.2, "seed": self.dice()});
        client.shipping_chaos(knobs).await?;
        for number in 1..ORDERS {
            orders.push(client.order(&key(number), &[(&sku, 1)]).await?.order_id().to_owned());
        }
        self.calm(&mut scenario).await?;
        self.until("all but the poison is shipped", async |ledger| {
            Ok(ledger.queued().await? == 0 && ledger.letters().await? > 0)
        })
        .await?;
        scenario.expect("poison is", self.fulfilment(&poison).await?, "dead_lettered");

        client.poison(&[]).await?;
        client.shipping_chaos(json!({})).await?;
        // A redrive spends what shipments earn that succeed at once.
        for number in 0..HEALTHY {
            let key = format!("{}-healthy-{number}", self.name("shipped"));
            orders.push(client.order(&key, &[(&sku, 1)]).await?.order_id().to_owned());
        }
        self.all_shipped().await?;
        let id = self.letter_of(&poison).await?;
        let redriven = self.redrive(&id).await?;
        scenario.expect("redriven", redriven.body["outcome"].clone(), "shipped");
        scenario.expect("poison is then", self.fulfilment(&poison).await?, "shipped");
        let again = client.redrive(&id).await?;
        scenario.expect("redriven again", again.status.as_u16(), 409);
        let mut shipped = 0;
        for order in &orders {
            shipped += u64::from(self.fulfilment(order).await? == "shipped");
        }
        scenario.expect("shipped", shipped, ORDERS + HEALTHY);
        scenario.broke(self.ledger.lock().await.broken().await?);
        Ok(scenario.took(time::now() - begun))
    }

    /// The database takes no letters for a while: what should become one waits, nothing is lost, and
    /// all other orders are shipped meanwhile.
    pub(crate) async fn no_room_for_letters(&self) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin("no room for dead letters").await?;
        let (client, sku) = (self.client(), self.name("no-room"));
        client.stock(&sku, 100).await?;
        let key = |number: u32| format!("{}-{number}", self.name("no-room"));
        let poison = self.poison(&key(0), &sku).await?;
        let room = Room::take_away(self.ground).await?;
        client.shipping_chaos(json!({})).await?;
        let mut others = Vec::new();
        for number in 1..ORDERS {
            others.push(client.order(&key(number), &[(&sku, 1)]).await?);
        }
        self.calm(&mut scenario).await?;
        self.until("all but the poison is shipped", async |ledger| Ok(ledger.queued().await? == 1))
            .await?;
        let meanwhile = self.fulfilment(&poison).await?;
        room.give_back().await?;
        self.until("the poison is a letter", async |ledger| Ok(ledger.queued().await? == 0))
            .await?;

        let tally = self.tally(&others).await?;
        scenario.expect("shipped meanwhile", tally.shipped, others.len());
        scenario.expect("poison meanwhile", meanwhile, "queued");
        scenario.expect("poison is then", self.fulfilment(&poison).await?, "dead_lettered");
        client.poison(&[]).await?;
        let redriven = self.redrive(&self.letter_of(&poison).await?).await?;
        scenario.expect("redriven", redriven.body["outcome"].clone(), "shipped");
        scenario.broke(tally.untrue);
        scenario.broke(self.ledger.lock().await.broken().await?);
        Ok(scenario.took(time::now() - begun))
    }

    async fn fulfilment(&self, order: &str) -> Result<String, Trouble> {
        let shown = self.client().show(order).await?;
        Ok(shown.body["fulfilment"].as_str().unwrap_or("missing").to_owned())
    }

    /// An order that is marked before it can be shipped: the Warehouse is down afterwards.
    async fn poison(&self, key: &str, sku: &str) -> Result<String, Trouble> {
        let client = self.client();
        client.shipping_chaos(json!({"down": true})).await?;
        let poison = client.order(key, &[(sku, 1)]).await?.order_id().to_owned();
        client.poison(&[&poison]).await?;
        Ok(poison)
    }

    /// Waits until nothing is left to be shipped.
    async fn all_shipped(&self) -> Result<(), Trouble> {
        let done = async |ledger: &mut Ledger| Ok(ledger.queued().await? == 0);
        self.until("every shipment has been made", done).await
    }

    /// The name of this order's letter; nothing where it has none.
    async fn letter_of(&self, order: &str) -> Result<String, Trouble> {
        let letters = self.client().letters().await?;
        let mut letters = letters["letters"].as_array().into_iter().flatten();
        let letter = letters.find(|letter| letter["order_id"] == order);
        let id = letter.and_then(|letter| letter["id"].as_str());
        Ok(id.unwrap_or_default().to_owned())
    }

    /// Sends a letter once more, when its time has come and the budget has something to spend.
    async fn redrive(&self, id: &str) -> Result<Answer, Trouble> {
        let until = time::now() + PATIENCE;
        loop {
            let redriven = self.client().redrive(id).await?;
            if redriven.status == StatusCode::OK || time::now() > until {
                return Ok(redriven);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

const ORDERS: u32 = 12;
const HEALTHY: u32 = 24;
const PAUSE: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(30);
