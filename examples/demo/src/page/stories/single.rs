//! Stories of one customer.

use std::time::Duration;

use aplomb_core::time;
use http::StatusCode;
use serde_json::json;

use super::{PATIENCE, PAUSE, pause, settle_all};
use crate::lanes::{Cart, Lane};
use crate::page::scene::{Scene, Stage, Verdict};
use crate::trouble::Trouble;

/// 1: one item is left, and the answer that says "yours" is lost.
pub(crate) async fn last_item(scene: &Scene, stage: &Stage) -> Result<Verdict, Trouble> {
    stage.step("the other customers hold their breath");
    // Whoever sends a request now would lose the answer in the place of the one who is watched.
    let paused = scene.traffic.pause().await;
    settle_all(scene, stage).await?;
    let (name, mut told) = (crate::fresh_name(), Vec::new());
    for lane in Lane::ALL {
        let sku = format!("last-{}-{name}", lane.name());
        stage.step(format!("{}: one item is left, and the next answer will be lost", lane.name()));
        scene.client.stock(&sku, 1).await?;
        scene.client.chaos(json!({ "lose_next": 1 })).await?;
        let cart = Cart { name: format!("last-{}-{name}", lane.name()), sku, quantity: 1 };
        let answer = scene.traffic.click(lane, &cart).await;
        scene.client.chaos(json!({})).await?;
        let audit = scene.client.audit(&cart.sku).await?;
        let rows = match audit["reservations"].as_u64() {
            Some(1) => "one item, reserved for this customer".to_owned(),
            Some(count) => format!("reserved {count} times"),
            None => "not known".to_owned(),
        };
        stage.line(lane, answer.outcome.sentence(), rows);
        told.push(answer.outcome.name());
        pause(LOOK).await;
    }
    stage.step("the item was reserved in every lane; look at what each customer reads");
    pause(READ).await;
    drop(paused);
    Ok(Verdict {
        held: told == ["failed", "sold out", "confirmed"],
        text: format!(
            "all three got the last item; no retries said \u{201c}{}\u{201d}, naive said \
             \u{201c}{}\u{201d}, aplomb said \u{201c}{}\u{201d}",
            told[0], told[1], told[2],
        ),
    })
}

/// 6: the Warehouse will never take one order; it is put aside, mended, sent again.
pub(crate) async fn poison(scene: &Scene, stage: &Stage) -> Result<Verdict, Trouble> {
    let (client, name) = (&scene.client, crate::fresh_name());
    stage.step("the Warehouse takes nothing while one order is spoiled; the queue grows");
    client.shipping_chaos(json!({ "down": true })).await?;
    let sku = scene.traffic.sku(Lane::Aplomb);
    let cart = Cart { name: format!("poison-{name}"), sku, quantity: 1 };
    let told = scene.traffic.click(Lane::Aplomb, &cart).await;
    let order = told.order.ok_or_else(|| Trouble::new("the order was not taken; play it again"))?;
    let order = order.to_string();
    client.poison(&[&order]).await?;
    pause(LOOK).await;
    stage.step("the Warehouse is back, and refuses one order: it becomes a dead letter");
    client.shipping_chaos(json!({})).await?;
    let lettered = reaches(scene, &order, "dead_lettered").await?;
    pause(LOOK).await;
    stage.step("somebody mends the order and sends the letter again");
    client.poison(&[]).await?;
    redrive(scene, &order).await?;
    let shipped = reaches(scene, &order, "shipped").await?;
    let twice = client.shipments().await?["duplicates"].as_u64().unwrap_or(u64::MAX);
    Ok(Verdict {
        held: lettered && shipped && twice == 0,
        text: format!(
            "order {} was refused, kept as a dead letter, mended, redriven; orders shipped twice: \
             {twice}",
            &order[..8],
        ),
    })
}

/// Whether an order's fulfilment comes so far.
async fn reaches(scene: &Scene, order: &str, fulfilment: &str) -> Result<bool, Trouble> {
    let until = time::now() + PATIENCE;
    while time::now() < until {
        if scene.client.show(order).await?.body["fulfilment"] == fulfilment {
            return Ok(true);
        }
        pause(PAUSE).await;
    }
    Ok(false)
}

/// A letter is not sent again before its time, nor without a budget.
async fn redrive(scene: &Scene, order: &str) -> Result<(), Trouble> {
    let letters = scene.client.letters().await?;
    let mut letters = letters["letters"].as_array().into_iter().flatten();
    let letter = letters.find(|letter| letter["order_id"] == order);
    let id = letter.and_then(|letter| letter["id"].as_str()).unwrap_or_default();
    let until = time::now() + PATIENCE;
    while scene.client.redrive(id).await?.status != StatusCode::OK && time::now() < until {
        pause(PAUSE).await;
    }
    Ok(())
}

/// 7: the page hangs for a moment, so the customer reloads it and clicks again.
pub(crate) async fn clicks_again(scene: &Scene, stage: &Stage) -> Result<Verdict, Trouble> {
    let (name, mut reserved) = (crate::fresh_name(), Vec::new());
    let mut orders = Vec::new();
    for lane in Lane::ALL {
        let sku = format!("again-{}-{name}", lane.name());
        scene.client.stock(&sku, 5).await?;
        let cart = Cart { name: format!("again-{}-{name}", lane.name()), sku, quantity: 1 };
        stage.step(format!("{}: the customer orders, reloads the page, orders again", lane.name()));
        let first = scene.traffic.click(lane, &cart).await;
        stage.line(lane, first.outcome.sentence(), "first click");
        pause(LOOK).await;
        let again = scene.traffic.click(lane, &cart).await;
        let held = scene.client.audit(&cart.sku).await?["reservations"].as_u64();
        let held = held.unwrap_or_default();
        stage.line(lane, again.outcome.sentence(), format!("clicked twice, reserved {held}"));
        reserved.push(held);
        orders.push(first.order.is_some() && first.order == again.order);
        pause(LOOK).await;
    }
    stage.step("two clicks each; look at what was reserved");
    pause(READ).await;
    Ok(Verdict {
        held: reserved == [2, 2, 1] && orders[2],
        text: format!(
            "two clicks reserved {} without a key, {} naively, {} with aplomb: the same order, \
             answered twice",
            reserved[0], reserved[1], reserved[2],
        ),
    })
}

/// Enough to see one step before the next.
const LOOK: Duration = Duration::from_millis(800);
/// Enough to read three sentences.
const READ: Duration = Duration::from_secs(3);
