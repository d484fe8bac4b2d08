//! What nobody should send.

use aplomb_core::time;
use serde_json::{Value, json};

use super::report::Scenario;
use super::stage::Stage;
use crate::client::BACKOFFICE;
use crate::trouble::Trouble;

impl Stage<'_> {
    /// Each wrong request is refused as it says in the documents, and leaves nothing behind.
    pub(crate) async fn bad_input(&self) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin("bad input").await?;
        let sku = self.name("bad-input");
        self.client().stock(&sku, 5).await?;
        let used = self.name("bad-input-used");
        let placed = self.client().order(&used, &[(&sku, 1)]).await?;
        scenario.expect("a good order", placed.status.as_u16(), 201);
        let before = self.ledger.lock().await.orders().await?;
        let mut refused = 0;
        let rows = self.bad_orders(&sku, &used).await?;
        for (what, status, expected) in rows.into_iter().chain(self.bad_others(&sku).await?) {
            refused += u64::from(expected.contains(&status));
            scenario.require(expected.contains(&status), || {
                format!("{what} was answered {status}, not {expected:?}")
            });
        }
        scenario.note("refused", refused);
        let made = self.ledger.lock().await.orders().await? - before;
        // An order for what there never was is written down, and told to be refused.
        scenario.expect("orders made by them", made, 1);
        self.calm(&mut scenario).await?;
        self.count(&mut scenario, &sku, 1).await?;
        Ok(scenario.took(time::now() - begun))
    }

    async fn bad_orders(&self, sku: &str, used: &str) -> Result<Vec<Row>, Trouble> {
        let line = |quantity: Value| json!({"sku": sku, "quantity": quantity});
        let order = |lines: Value| json!({"customer": "ann", "lines": lines});
        let many = vec![line(json!(1)); 10_000];
        let unknown = json!([{"sku": "no-such-thing", "quantity": 1}]);
        let key = self.name("bad-input");
        let (fine, mut rows) = (order(json!([line(json!(1))])), Vec::new());
        for (what, key, body, expected) in [
            ("an order without a key", None, fine.clone(), &[400][..]),
            ("a key of 300 letters", Some("k".repeat(300)), fine, &[400]),
            (
                "a key used for another order",
                Some(used.to_owned()),
                order(json!([line(json!(2))])),
                &[422],
            ),
            ("an order of 10,000 lines", Some(format!("{key}-1")), order(json!(many)), &[400, 413]),
            ("an order of nothing", Some(format!("{key}-2")), order(json!([])), &[400]),
            ("a quantity of 0", Some(format!("{key}-3")), order(json!([line(json!(0))])), &[400]),
            ("a quantity of -1", Some(format!("{key}-4")), order(json!([line(json!(-1))])), &[400]),
            (
                "a quantity of 1e300",
                Some(format!("{key}-5")),
                order(json!([line(json!(1e300))])),
                &[400],
            ),
            (
                "an order without lines",
                Some(format!("{key}-6")),
                json!({"customer": "ann"}),
                &[400],
            ),
            ("a body that is no object", Some(format!("{key}-7")), json!("lines"), &[400]),
            ("a product that nobody knows", Some(format!("{key}-8")), order(unknown), &[404]),
        ] {
            let answer = self.client().order_of(key.as_deref(), body).await?;
            rows.push((what, answer.status.as_u16(), expected));
        }
        Ok(rows)
    }

    async fn bad_others(&self, sku: &str) -> Result<Vec<Row>, Trouble> {
        let client = self.client();
        let no_order = "01a20cba-3f80-7378-b5b2-5742b208b7b2";
        let no_letter = "0123456789abcdef0123456789abcdef";
        let answers = [
            ("an order that there is not", client.show(no_order).await?, &[404][..]),
            ("a name that is no order's", client.show("nonsense").await?, &[404]),
            ("a letter that there is not", client.redrive(no_letter).await?, &[404]),
            ("a name that is no letter's", client.redrive("nonsense").await?, &[404]),
            ("a caller whom nobody knows", client.look_inside(sku, "nobody").await?, &[401]),
            (
                "stock set by the order api",
                client.stock_as("demo-order-api", sku, json!(9)).await?,
                &[403],
            ),
            ("stock of -1", client.stock_as(BACKOFFICE, sku, json!(-1)).await?, &[400]),
        ];
        let rows = answers.map(|(what, answer, expected)| (what, answer.status.as_u16(), expected));
        Ok(rows.to_vec())
    }
}

/// What was sent, what was answered, and what may be.
type Row = (&'static str, u16, &'static [u16]);
