//! Every process is replaced, one after the other, under load.

use std::sync::atomic::Ordering;

use aplomb_core::time;
use tokio::sync::watch;

use super::report::Scenario;
use super::stage::Stage;
use crate::cli::Role;
use crate::fleet::Fleet;
use crate::trouble::Trouble;

pub(super) const NAME: &str = "rolling restart under load";

impl Stage<'_> {
    /// No order is lost, no answer is a failure, and each process says first that it will go.
    pub(crate) async fn rolling_restart(&self, fleet: &Fleet) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin(NAME).await?;
        let sku = self.name("rolling");
        self.client().stock(&sku, PLENTY).await?;
        let noticed = notices(fleet);
        let (done, over) = watch::channel(false);
        let restarts = async {
            let restarted = replace_all(fleet).await;
            done.send_replace(true);
            restarted
        };
        let crowd = self.insistent_crowd("rolling", &sku, || *over.borrow());
        let (restarted, insisted) = tokio::join!(restarts, crowd);
        let (restarted, insisted) = (restarted?, insisted?);
        self.calm(&mut scenario).await?;

        let tally = self.tally(&insisted.answers).await?;
        let orders = insisted.answers.len();
        scenario.note("processes replaced", restarted);
        scenario.note("said so first", notices(fleet) - noticed);
        scenario.note("orders", orders);
        scenario.expect("confirmed", tally.confirmed, orders);
        scenario.note("answered pending", tally.answered_pending);
        // A connection that was closed between two requests: nothing was lost, the click is repeated.
        scenario.note("clicks repeated", insisted.repeated);
        scenario.expect("answers that failed", insisted.failed, 0);
        scenario.require(notices(fleet) > noticed, || {
            "no process said that it would go before it went".to_owned()
        });
        scenario.broke(tally.untrue);
        Ok(scenario.took(time::now() - begun))
    }
}

async fn replace_all(fleet: &Fleet) -> Result<u64, Trouble> {
    let mut replaced = 0;
    for role in Role::ALL {
        for slot in fleet.of(role).slots() {
            slot.replace().await?;
            replaced += 1;
        }
    }
    Ok(replaced)
}

/// How often a process has said that it is not ready for new work.
fn notices(fleet: &Fleet) -> u64 {
    let slots = Role::ALL.into_iter().flat_map(|role| fleet.of(role).slots());
    slots.map(|slot| slot.notices.load(Ordering::Relaxed)).sum()
}

const PLENTY: u32 = 1_000_000;
