//! Stories of everybody at once: the lanes' own traffic meets trouble.

use std::time::Duration;

use serde_json::json;

use super::{Figures, changes, pause, settle};
use crate::page::scene::{Scene, Stage, Verdict};
use crate::trouble::Trouble;

/// 2: every call to Inventory takes three seconds. Nobody waits for so long, and all of it happens.
pub(crate) async fn slow(scene: &Scene, stage: &Stage) -> Result<Verdict, Trouble> {
    let before = Figures::of_all(scene).await?;
    stage.step("every call to Inventory takes three seconds; callers give up after half of one");
    scene.client.chaos(json!({ "latency_ms": 3_000 })).await?;
    pause(TROUBLE).await;
    scene.client.chaos(json!({})).await?;
    stage.step("calm again; what everybody gave up on is still being done");
    pause(Duration::from_secs(3)).await;
    let open = settle(scene, stage).await?;
    let [once, naive, aplomb] = changes(scene, before).await?;
    Ok(Verdict {
        held: naive.duplicates > 0 && aplomb.duplicates == 0 && aplomb.failed == 0 && open == 0,
        text: format!(
            "naive reserved {} items twice or more; no retries told {} customers that it failed; \
             aplomb told {} that a confirmation follows, and it did, each reserved once",
            naive.duplicates, once.failed, aplomb.pending,
        ),
    })
}

/// 3: one call in five fails.
pub(crate) async fn flaky(scene: &Scene, stage: &Stage) -> Result<Verdict, Trouble> {
    let before = Figures::of_all(scene).await?;
    stage.step("one call in five is answered 503");
    scene.client.chaos(json!({ "error_rate": 0.2 })).await?;
    pause(TROUBLE).await;
    scene.client.chaos(json!({})).await?;
    let open = settle(scene, stage).await?;
    let [once, _, aplomb] = changes(scene, before).await?;
    Ok(Verdict {
        held: once.failed > 0 && aplomb.failed == 0 && open == 0,
        text: format!(
            "no retries failed {} of {} customers; aplomb failed {} of {}, with {:.2} sends an order",
            once.failed,
            once.orders,
            aplomb.failed,
            aplomb.orders,
            aplomb.sends_per_order(),
        ),
    })
}

/// 4: Inventory is gone, and comes back.
pub(crate) async fn outage(scene: &Scene, stage: &Stage) -> Result<Verdict, Trouble> {
    let (before, circuit) = (Figures::of_all(scene).await?, scene.api.reservations());
    let opened = circuit.opened();
    stage.step("Inventory cuts every connection");
    scene.client.chaos(json!({ "down": true })).await?;
    pause(TROUBLE).await;
    let [_, naive, aplomb] = changes(scene, before).await?;
    scene.client.chaos(json!({})).await?;
    stage.step("Inventory is back; the next probe finds out");
    let open = settle(scene, stage).await?;
    let opened = circuit.opened() - opened;
    let after = changes(scene, before).await?[2];
    Ok(Verdict {
        held: opened > 0 && aplomb.sends < naive.sends && after.failed == 0 && open == 0,
        text: format!(
            "while nothing answered, naive sent {} requests and aplomb {}; the breaker opened \
             {opened} times, and all {} orders that were promised are confirmed",
            naive.sends, aplomb.sends, after.pending,
        ),
    })
}

/// 5: there is far less capacity than the orders need, and retries need it too.
pub(crate) async fn storm(scene: &Scene, stage: &Stage) -> Result<Verdict, Trouble> {
    let before = Figures::of_all(scene).await?;
    scene.traffic.set_rate(STORM_RATE);
    let orders = STORM_RATE * 3;
    stage.step(format!("{orders} orders a second in all, and room for {STORM_CAPACITY}"));
    scene.client.chaos(json!({ "capacity_per_second": STORM_CAPACITY })).await?;
    pause(TROUBLE).await;
    let [once, naive, aplomb] = changes(scene, before).await?;
    scene.client.chaos(json!({})).await?;
    scene.traffic.set_rate(super::RATE);
    let open = settle(scene, stage).await?;
    let (naive_sends, aplomb_sends) = (naive.sends_per_order(), aplomb.sends_per_order());
    Ok(Verdict {
        held: naive_sends > 1.5 && aplomb_sends < naive_sends && open == 0,
        text: format!(
            "naive pushed {naive_sends:.2} requests an order at an Inventory that had no room, aplomb \
             {aplomb_sends:.2}; no retries failed {} customers, naive {}, aplomb {}",
            once.failed, naive.failed, aplomb.failed,
        ),
    })
}

/// 8: Inventory is deployed three times while orders flow.
pub(crate) async fn restarts(scene: &Scene, stage: &Stage) -> Result<Verdict, Trouble> {
    let before = Figures::of_all(scene).await?;
    for number in 1..=RESTARTS {
        stage.step(format!("restart {number} of {RESTARTS}: Inventory finishes its work and goes"));
        scene.restarter.restart(AWAY).await?;
        stage.step(format!("restart {number} of {RESTARTS}: Inventory is back"));
        pause(BETWEEN).await;
    }
    let open = settle(scene, stage).await?;
    let [once, naive, aplomb] = changes(scene, before).await?;
    Ok(Verdict {
        held: aplomb.accepted > 0 && aplomb.failed == 0 && aplomb.duplicates == 0 && open == 0,
        text: format!(
            "{RESTARTS} restarts: no retries failed {} customers, naive {}, aplomb {} of {}; {} were \
             confirmed a moment later",
            once.failed, naive.failed, aplomb.failed, aplomb.orders, aplomb.pending,
        ),
    })
}

/// Long enough for a chart to show it.
const TROUBLE: Duration = Duration::from_secs(5);
const STORM_RATE: u32 = 12;
/// All three lanes share it.
const STORM_CAPACITY: u32 = 10;
const RESTARTS: u32 = 3;
/// What a process takes to start.
const AWAY: Duration = Duration::from_millis(500);
const BETWEEN: Duration = Duration::from_millis(1_200);
