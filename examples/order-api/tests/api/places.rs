//! What waits for Inventory never stands in the way of what does not.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::Town;

#[tokio::test]
async fn an_inventory_that_hangs_takes_nothing_from_whoever_looks_at_an_order() {
    let town = Arc::new(Town::open().await);
    town.stock("mug", 1_000).await;
    let placed = town.order("first", &[("mug", 1)]).await;
    let path = placed.headers["location"].to_str().unwrap().to_owned();
    town.chaos(json!({"latency_ms": 3_000})).await;

    let mut customers = JoinSet::new();
    for number in 0..200 {
        let town = Arc::clone(&town);
        customers.spawn(async move {
            town.order(&format!("click-{number}"), &[("mug", 1)]).await.status
        });
    }
    let places = town.api.places();
    while places.inventory.snapshot().running == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let mut looks = 0;
    while places.orders.snapshot().running > 0 {
        assert_eq!(town.get(&path).await.status, StatusCode::OK);
        let (inventory, reads) = (places.inventory.snapshot(), places.reads.snapshot());
        assert!(inventory.running <= inventory.limit.get());
        assert_eq!((reads.running, reads.waiting), (0, 0), "only this test reads");
        looks += 1;
    }
    assert!(looks > 0);
    while let Some(status) = customers.join_next().await {
        let status = status.unwrap();
        assert!(matches!(status, StatusCode::ACCEPTED | StatusCode::SERVICE_UNAVAILABLE));
    }
}

#[tokio::test]
async fn an_order_that_finds_no_place_on_the_way_to_inventory_is_pending() {
    let town = Town::open().await;
    town.stock("mug", 5).await;
    town.chaos(json!({"latency_ms": 3_000})).await;
    let places = town.api.places();
    places.inventory.set_limit(1);
    let second = async {
        while places.inventory.snapshot().running == 0 {
            tokio::task::yield_now().await;
        }
        town.order("second", &[("mug", 1)]).await
    };
    let (first, second) = tokio::join!(town.order("first", &[("mug", 1)]), second);
    assert_eq!(first.status, StatusCode::ACCEPTED);
    assert_eq!(second.status, StatusCode::ACCEPTED);
    let key = format!("order_{}_line_1_reservation", second.order_id());
    assert_eq!(town.effects(&key).await, [""; 0], "nothing was sent for it");
}

#[tokio::test]
async fn an_order_that_finds_no_place_here_is_told_when_to_come_again_and_nothing_was_done() {
    let town = Town::open().await;
    town.stock("mug", 5).await;
    town.chaos(json!({"latency_ms": 3_000})).await;
    let places = town.api.places();
    places.orders.set_limit(1);
    let second = async {
        while places.orders.snapshot().running == 0 {
            tokio::task::yield_now().await;
        }
        town.order("second", &[("mug", 1)]).await
    };
    let (first, second) = tokio::join!(town.order("first", &[("mug", 1)]), second);
    assert_eq!(first.status, StatusCode::ACCEPTED);
    assert_eq!(second.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(second.headers.contains_key("retry-after"));
    assert_eq!(town.api.tally().await.unwrap().open, 1);

    town.chaos(json!({})).await;
    town.reconcile().await;
    let again = town.order("second", &[("mug", 1)]).await;
    assert!(matches!(again.status, StatusCode::CREATED | StatusCode::ACCEPTED));
    assert_eq!(town.api.tally().await.unwrap().confirmed + town.api.tally().await.unwrap().open, 2);
}
