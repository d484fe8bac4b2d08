//! From a confirmed order to its shipment, or to its dead letter.

use std::num::NonZeroUsize;

use aplomb_order_api::Round;
use http::StatusCode;
use serde_json::json;

use crate::support::{Ground, Town, on_both, until};

on_both!(
    a_confirmed_order_has_one_task_and_ships_once,
    an_order_that_is_not_confirmed_has_no_task,
    several_workers_ship_every_order_once_whatever_the_network_does,
    a_warehouse_that_is_down_leaves_the_task_in_its_row,
    poison_is_a_dead_letter_at_once,
    a_task_that_has_had_all_its_rounds_is_a_dead_letter,
    what_was_shipped_although_every_answer_was_lost_is_no_dead_letter,
    a_letter_that_was_shipped_after_all_is_found_out,
    a_worker_that_is_told_to_stop_finishes_what_it_has_taken,
);

async fn a_confirmed_order_has_one_task_and_ships_once(ground: Ground) {
    let town = Town::open(ground).await;
    let order = town.confirmed("k").await;
    // The customer clicks again.
    assert_eq!(town.order("k").await.body["order_id"], order.as_str());
    assert_eq!(town.fulfilment_of(&order).await, "queued");
    assert_eq!(town.api.fulfilment().await.unwrap().queued, 1);

    let worker = town.api.worker("w");
    let round = worker.run_once().await.unwrap();
    assert_eq!((round.taken, round.shipped), (1, 1));
    assert_eq!(town.fulfilment_of(&order).await, "shipped");
    let shipment = town.get(&format!("{}/shipments/{order}", town.warehouse)).await;
    assert_eq!(shipment.status, StatusCode::OK);
    assert_eq!(worker.run_once().await.unwrap(), Round::default());
    assert_eq!(town.shipments().await, (1, 1));
    town.sound().await;
}

async fn an_order_that_is_not_confirmed_has_no_task(ground: Ground) {
    let town = Town::open(ground).await;
    town.stock(0).await;
    let rejected = town.order("k").await;
    assert_eq!(rejected.status, StatusCode::CONFLICT);
    let order = rejected.body["order_id"].as_str().unwrap();
    assert_eq!(town.fulfilment_of(order).await, "none");
    assert_eq!(town.api.worker("w").run_once().await.unwrap().taken, 0);
    town.sound().await;
}

async fn several_workers_ship_every_order_once_whatever_the_network_does(ground: Ground) {
    let town = Town::open(ground).await;
    for number in 0..ORDERS {
        town.confirmed(&format!("k{number}")).await;
    }
    town.put("/chaos", json!({"error_rate": 0.2, "lose_response_rate": 0.2, "seed": 7})).await;
    let here = [town.api.worker("here-1"), town.api.worker("here-2")];
    let there = [
        town.worker(|it| it.name = "there-1".into()).await,
        town.worker(|it| it.slots = NonZeroUsize::new(3).unwrap()).await,
    ];
    let shipping = here.iter().chain(&there).map(|worker| worker.run(std::future::pending()));
    let all_shipped = async {
        until(|| async { town.api.fulfilment().await.unwrap().shipped == ORDERS }).await;
    };
    tokio::select! {
        _ = futures_util::future::join_all(shipping) => unreachable!("nobody stops them"),
        () = all_shipped => {}
    }
    assert_eq!(town.shipments().await, (ORDERS, ORDERS));
    assert!(town.letters().await.is_empty());
    town.sound().await;
}

async fn a_warehouse_that_is_down_leaves_the_task_in_its_row(ground: Ground) {
    let town = Town::open(ground).await;
    let order = town.confirmed("k").await;
    town.put("/chaos", json!({"down": true})).await;
    let worker = town.api.worker("w");
    let round = worker.run_once().await.unwrap();
    assert_eq!((round.taken, round.rescheduled), (1, 1));
    assert_eq!(town.fulfilment_of(&order).await, "queued");
    town.sound().await;

    town.put("/chaos", json!({})).await;
    until(|| async { worker.run_once().await.unwrap().shipped == 1 }).await;
    assert_eq!(town.fulfilment_of(&order).await, "shipped");
    assert_eq!(town.shipments().await, (1, 1));
}

async fn poison_is_a_dead_letter_at_once(ground: Ground) {
    let town = Town::open(ground).await;
    let order = town.confirmed("k").await;
    town.poisoned(&order).await;
    assert_eq!(town.fulfilment_of(&order).await, "dead_lettered");
    let letters = town.letters().await;
    assert_eq!(letters[0]["key"], format!("shipment_{order}"));
    assert_eq!((&letters[0]["cause"], &letters[0]["attempts"]), (&json!("refused"), &json!(1)));
    let tally = town.api.fulfilment().await.unwrap();
    assert_eq!((tally.queued, tally.shipped, tally.dead_lettered), (0, 0, 1));
    assert_eq!(town.shipments().await, (0, 0));
    town.sound().await;
}

async fn a_task_that_has_had_all_its_rounds_is_a_dead_letter(ground: Ground) {
    let town = Town::by(ground, ONE_ROUND).await;
    let order = town.confirmed("k").await;
    town.put("/chaos", json!({"error_rate": 1.0})).await;
    let round = town.api.worker("w").run_once().await.unwrap();
    assert_eq!(round.dead_lettered, 1);
    assert_eq!(town.letters().await[0]["cause"], "exhausted");
    assert_eq!(town.fulfilment_of(&order).await, "dead_lettered");
    town.sound().await;
}

async fn what_was_shipped_although_every_answer_was_lost_is_no_dead_letter(ground: Ground) {
    let town = Town::by(ground, ONE_ROUND).await;
    let order = town.confirmed("k").await;
    // The look at the Warehouse after it gets through.
    town.put("/chaos", json!({"lose_next": 1})).await;
    let round = town.api.worker("w").run_once().await.unwrap();
    assert_eq!((round.shipped, round.dead_lettered), (1, 0));
    assert_eq!(town.fulfilment_of(&order).await, "shipped");
    assert_eq!(town.shipments().await, (1, 1));
    town.sound().await;
}

async fn a_letter_that_was_shipped_after_all_is_found_out(ground: Ground) {
    let town = Town::by(ground, ONE_ROUND).await;
    let order = town.confirmed("k").await;
    // Nothing gets through, the look at the Warehouse neither.
    town.put("/chaos", json!({"lose_response_rate": 1.0})).await;
    let worker = town.api.worker("w");
    assert_eq!(worker.run_once().await.unwrap().dead_lettered, 1);
    assert_eq!(town.fulfilment_of(&order).await, "dead_lettered");

    town.put("/chaos", json!({})).await;
    worker.look_again().await;
    assert_eq!(town.fulfilment_of(&order).await, "shipped");
    assert!(town.letters().await.is_empty());
    assert_eq!(town.shipments().await, (1, 1));
    town.sound().await;
}

async fn a_worker_that_is_told_to_stop_finishes_what_it_has_taken(ground: Ground) {
    let town = Town::open(ground).await;
    let order = town.confirmed("k").await;
    // It is told before it begins; it has taken its task by then.
    town.api.worker("w").run(std::future::ready(())).await;
    assert_eq!(town.fulfilment_of(&order).await, "shipped");
}

const ORDERS: u64 = 24;
const ONE_ROUND: &[(&str, &str)] = &[("attempts = 12", "attempts = 1")];
