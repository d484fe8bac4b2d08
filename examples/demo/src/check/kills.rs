//! Processes are killed at any moment, and everything still comes to an end.

use std::time::Duration;

use aplomb_core::{Rng, time};

use super::report::Scenario;
use super::stage::Stage;
use crate::cli::Role;
use crate::fleet::Fleet;
use crate::trouble::Trouble;

pub(super) const NAME: &str = "kill -9 at random, under load";

impl Stage<'_> {
    /// Every order becomes terminal after the kills end, and is shipped once if it is confirmed.
    pub(crate) async fn kills(&self, fleet: &Fleet, time: Duration) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin(NAME).await?;
        let sku = self.name("kills");
        self.client().stock(&sku, PLENTY).await?;
        let end = time::now() + time;
        let crowd = self.insistent_crowd("kills", &sku, || time::now() >= end);
        let (insisted, killed) = tokio::join!(crowd, self.kill_until(fleet, end));
        let insisted = insisted?;
        self.calm(&mut scenario).await?;
        self.until("every shipment has been made", async |ledger| Ok(ledger.queued().await? == 0))
            .await?;
        scenario.broke(self.ledger.lock().await.broken().await?);

        let tally = self.tally(&insisted.answers).await?;
        let orders = insisted.answers.len();
        for (role, kills) in killed {
            scenario.note(role.kills(), kills);
            scenario.require(kills > 0, || format!("no process of {} was killed", role.as_str()));
        }
        scenario.note("orders", orders);
        scenario.note("clicks repeated", insisted.repeated);
        scenario.note("answered pending", tally.answered_pending);
        scenario.expect("confirmed", tally.confirmed, orders);
        scenario.expect("shipped", tally.shipped, orders);
        scenario.broke(tally.untrue);
        self.count(&mut scenario, &sku, tally.confirmed).await?;
        Ok(scenario.took(time::now() - begun))
    }

    /// Kills one of each role in turn, at moments that the seed decides, and says how many.
    async fn kill_until(&self, fleet: &Fleet, end: time::Instant) -> Vec<(Role, u64)> {
        let mut rng = Rng::stream(self.seed, KILLER);
        let mut killed: Vec<_> = VICTIMS.into_iter().map(|role| (role, 0)).collect();
        let mut number = 0;
        loop {
            tokio::time::sleep(PAUSE / 2 + rng.up_to(PAUSE)).await;
            if time::now() >= end {
                return killed;
            }
            let turn = number % killed.len();
            let (role, kills) = &mut killed[turn];
            // One that is being started is spared, and its role has the next turn again.
            if fleet.of(*role).slot(rng.below(MANY)).kill() {
                *kills += 1;
                number += 1;
            }
        }
    }
}

impl Role {
    const fn kills(self) -> &'static str {
        match self {
            Self::Inventory => "inventory killed",
            Self::Orders => "orders killed",
            Self::Warehouse => "warehouse killed",
            Self::Worker => "worker killed",
        }
    }
}

const VICTIMS: [Role; 4] = [Role::Orders, Role::Worker, Role::Inventory, Role::Warehouse];
const PLENTY: u32 = 1_000_000;
/// Between two kills: half of this for sure, and up to as much more by chance.
const PAUSE: Duration = Duration::from_millis(500);
/// More than there are processes, so that each has its chance.
const MANY: u64 = 1 << 20;
/// Tells the killer's dice from all others.
const KILLER: u64 = 0x000b_ad00;
