//! What customers are shown of the stock while Inventory cannot be asked.

use std::time::Duration;

use aplomb_core::time;
use http::header;
use serde_json::{Value, json};

use super::report::Scenario;
use super::stage::Stage;
use crate::client::Answer;
use crate::trouble::Trouble;

impl Stage<'_> {
    /// The number while Inventory tells it; the last one, with its age, for a moment after that;
    /// then words, as where there never was a number.
    pub(crate) async fn shown_stock(&self) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin("stock shown while inventory is down").await?;
        let (client, sku, unseen) = (self.client(), self.name("shown"), self.name("shown-unseen"));
        let gone = self.name("shown-gone");
        for (sku, stock) in [(&sku, SHOWN), (&unseen, SHOWN), (&gone, 1)] {
            client.stock(sku, stock).await?;
        }
        let fresh = client.look(&sku).await?;
        scenario.expect("shown", fresh.body["available"].clone(), SHOWN);
        client.look(&gone).await?;
        let sold = client.order(&self.name("shown-gone"), &[(&gone, 1)]).await?;
        scenario.expect("last one sold", sold.status.as_u16(), 201);
        client.chaos(json!({"down": true, "seed": self.dice()})).await?;

        let just_now = client.look(&sku).await?;
        scenario.note("shown just after", stated(&just_now));
        scenario.require(
            just_now.status == 200 && (is_old_number(&just_now) || is_words(&just_now)),
            || format!("just after it went down {} was shown: {}", just_now.status, just_now.body),
        );
        // Another process may hold the number for as long as it is fresh.
        if self.fleet().is_none() {
            let gone = client.look(&gone).await?;
            scenario.expect("sold out is shown as", stated(&gone), LIMITED);
        }
        scenario.expect("never seen is shown as", stated(&client.look(&unseen).await?), LIMITED);
        let until = time::now() + PATIENCE;
        let mut later = client.look(&sku).await?;
        while !is_words(&later) && time::now() < until {
            tokio::time::sleep(PAUSE).await;
            later = client.look(&sku).await?;
        }
        scenario.expect("shown in the end", stated(&later), LIMITED);
        self.calm(&mut scenario).await?;
        Ok(scenario.took(time::now() - begun))
    }
}

/// The number or the words.
fn stated(answer: &Answer) -> Value {
    let body = &answer.body;
    if body["available"].is_null() { body["shown_as"].clone() } else { body["available"].clone() }
}

/// It is true, and says how old it is.
fn is_old_number(answer: &Answer) -> bool {
    answer.body["available"] == SHOWN
        && answer.headers.contains_key(header::AGE)
        && answer.headers.contains_key("cache-status")
}

fn is_words(answer: &Answer) -> bool {
    stated(answer) == LIMITED && answer.body["degraded"] == true
}

const SHOWN: u32 = 7;
const LIMITED: &str = "limited availability";
const PAUSE: Duration = Duration::from_millis(100);
/// A number is good for two seconds; the rest is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
