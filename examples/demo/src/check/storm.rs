//! Inventory does what it is asked, and nine of ten answers are lost.

use aplomb_core::time;
use serde_json::json;

use super::crowd::share_out;
use super::report::{LaneRow, Scenario};
use super::stage::Stage;
use crate::lanes::{Cart, Lane, Lanes};
use crate::trouble::Trouble;

impl Stage<'_> {
    /// The same orders in three lanes: naive retries send almost four times as much and reserve
    /// several times for one order; ours send hardly more than without retries, and never reserve
    /// twice.
    pub(crate) async fn storm(&self) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin("retry storm").await?;
        let client = self.client();
        let lanes = Lanes::new(client.orders(), client.inventory());
        let sku = |lane: Lane| self.name(&format!("storm-{}", lane.name()));
        for lane in Lane::ALL {
            client.stock(&sku(lane), STOCK).await?;
        }
        client.chaos(json!({"lose_response_rate": 0.9, "seed": self.dice()})).await?;
        let mut rows = Vec::new();
        for lane in Lane::ALL {
            let before = self.wire().await?;
            let accepted = self.lane(&lanes, lane, &sku(lane)).await;
            let sends = match lane {
                Lane::Aplomb => (self.wire().await? - before).sends,
                Lane::Once | Lane::Naive => lanes.sent(lane),
            };
            let (orders, duplicates) = (lanes.placed(lane), 0);
            rows.push(LaneRow { lane: lane.name(), orders, accepted, sends, duplicates });
        }
        self.calm(&mut scenario).await?;

        for (lane, mut row) in Lane::ALL.into_iter().zip(rows) {
            let audit = client.audit(&sku(lane)).await?;
            row.duplicates = audit["duplicates"].as_u64().unwrap_or(u64::MAX);
            let (sends, duplicates) = (row.sends_percent(), row.duplicates);
            match lane {
                Lane::Once => scenario.require(sends == 100 && duplicates == 0, || {
                    format!("without retries: {sends} sends for 100 orders, {duplicates} twice")
                }),
                Lane::Naive => scenario.require(sends >= NAIVE_MIN && duplicates > 0, || {
                    format!("naive: {sends} sends for 100 orders, {duplicates} reserved again")
                }),
                Lane::Aplomb => {
                    scenario.require(sends <= OURS_MAX && duplicates == 0, || {
                        format!("aplomb: {sends} sends for 100 orders, {duplicates} reserved again")
                    });
                    let held = audit["reservations"].as_u64().unwrap_or_default();
                    let orders = row.orders;
                    scenario.require(held == orders, || {
                        format!("{held} reservations are held for {orders} orders")
                    });
                }
            }
            scenario.lane(row);
        }
        Ok(scenario.took(time::now() - begun))
    }

    /// How many of a lane's customers were told that they have an order.
    async fn lane(&self, lanes: &Lanes, lane: Lane, sku: &str) -> u64 {
        let place = async |number| {
            let name = self.name(&format!("storm-{}-{number}", lane.name()));
            lanes.place(lane, &Cart { name, sku: sku.to_owned(), quantity: 1 }).await
        };
        let told = share_out(ORDERS, place).await;
        told.iter().filter(|told| told.outcome.is_accepted()).count() as u64
    }
}

const ORDERS: u64 = 120;
const STOCK: u32 = 100_000;
/// Four sends while nothing is heard, and it is heard once in ten times: 344 on average.
const NAIVE_MIN: u64 = 300;
/// What is sent while a budget pays and a circuit finds out, the reconciler's own tries included.
const OURS_MAX: u64 = 120;
