use std::time::Duration;

use aplomb_idempotency::Key;
use http::StatusCode;

use crate::client::Client;
use crate::world::{ORDERS, Told, World};

/// Half of the customers: each order is made by one of either half, at about the same time.
pub(crate) async fn customers(world: World, name: &'static str) -> turmoil::Result {
    let client = Client::new(&world, name);
    for order in 0..ORDERS {
        tokio::spawn(buy(world.clone(), client.clone(), order));
    }
    std::future::pending().await
}

/// Orders, and asks again under the same key until there is an answer.
async fn buy(world: World, client: Client, order: u64) {
    let key = key(order);
    world.pause(300).await;
    tokio::time::sleep(Duration::from_millis(order * 1_200)).await;
    loop {
        if let Some(told) = ask(&world, &client, &key, pieces(&world, order)).await {
            world.note(format_args!("is told {told:?}"));
            world.tell(key.as_str(), told);
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.pause(600).await;
    }
    let other = ask_until(&world, &client, &key, pieces(&world, order) + 1).await;
    world.tell(&for_another(key.as_str()), other);
    while !world.is_late() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let late = ask_until(&world, &client, &key, pieces(&world, order)).await;
    world.tell(&long_after(key.as_str()), late);
}

async fn ask_until(world: &World, client: &Client, key: &Key, pieces: u64) -> Told {
    loop {
        if let Some(told) = ask(world, client, key, pieces).await {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The same key for another order.
pub(crate) fn for_another(key: &str) -> String {
    format!("{key} for another order")
}

/// The same order when its answer is forgotten.
pub(crate) fn long_after(key: &str) -> String {
    format!("{key} long after")
}

async fn ask(world: &World, client: &Client, key: &Key, pieces: u64) -> Option<Told> {
    let pieces = pieces.to_string();
    let asked = client.post("http://orders/orders", key, &pieces);
    let answer = if world.chance(15) {
        world.saw("a customer hung up");
        let patience = Duration::from_millis(world.below(600));
        tokio::time::timeout(patience, asked).await.ok()??
    } else {
        asked.await?
    };
    match answer.status {
        StatusCode::CREATED => Some(Told::Reserved(answer.body)),
        StatusCode::CONFLICT if answer.body.starts_with("sold out") => {
            Some(Told::SoldOut(answer.body))
        }
        StatusCode::GONE => Some(Told::Gone),
        StatusCode::UNPROCESSABLE_ENTITY => Some(Told::Mismatch),
        _ => None,
    }
}

pub(crate) fn key(order: u64) -> Key {
    Key::derived(("customer", order)).expect("a number makes a key")
}

/// One piece or two, the same for everybody who makes this order.
fn pieces(world: &World, order: u64) -> u64 {
    if (world.seed() + order) % 3 == 0 { 1 } else { 2 }
}
