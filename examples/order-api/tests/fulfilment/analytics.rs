//! Whoever counts orders hears of them, if that is no trouble.

use crate::support::{Ground, Town, on_both, until};

on_both!(analytics_hears_of_confirmed_orders, a_sink_that_is_down_costs_no_order_anything);

async fn analytics_hears_of_confirmed_orders(ground: Ground) {
    let town = Town::with(ground, &[], |fulfilment, warehouse| {
        fulfilment.analytics = Some(warehouse.parse().unwrap());
    });
    let town = town.await;
    town.confirmed("k").await;
    town.stock(0).await;
    town.order("rejected").await;
    until(|| async { town.api.analytics().told == 1 }).await;
    let heard = town.get(&format!("{}/analytics", town.warehouse)).await;
    assert_eq!(heard.body["orders"], 1);
    assert_eq!(town.api.analytics().dropped, 0);
}

async fn a_sink_that_is_down_costs_no_order_anything(ground: Ground) {
    let town = Town::with(ground, &[], |fulfilment, _| {
        // Nobody listens there.
        fulfilment.analytics = Some("http://127.0.0.1:1".parse().unwrap());
    });
    let town = town.await;
    let order = town.confirmed("k").await;
    assert_eq!(town.api.worker("w").run_once().await.unwrap().shipped, 1);
    assert_eq!(town.fulfilment_of(&order).await, "shipped");
    until(|| async { town.api.analytics().dropped == 1 }).await;
    assert_eq!(town.api.analytics().told, 0);
    town.sound().await;
}
