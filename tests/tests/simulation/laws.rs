use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::TOTAL;
use crate::customers::{for_another, key, long_after};
use crate::world::{ORDERS, STOCK, Status, Stock, Told, World};

/// Whether everybody was told, every order came to an end, every reservation was picked.
pub(crate) fn is_settled(world: &World) -> bool {
    let told = world.told();
    let are_told = |key: String| told.get(&for_another(&key)).is_some_and(|told| told.len() == 2);
    let all_told = keys().all(are_told);
    let all_ended =
        world.orders().read(|rows| rows.0.values().all(|order| order.status != Status::Pending));
    let all_picked = world.stock().read(|stock| stock.reservations.iter().all(|row| row.is_picked));
    all_told && all_ended && all_picked && world.circuits().values().all(|is_closed| *is_closed)
}

/// Whether those who came late were told too.
pub(crate) fn is_over(world: &World) -> bool {
    let told = world.told();
    keys().all(|key| told.get(&long_after(&key)).is_some_and(|told| told.len() == 2))
}

/// What does not hold, in words.
pub(crate) fn broken(world: &World) -> Vec<String> {
    [effects(world), answers(world), cost(world), circuits(world)].concat()
}

fn effects(world: &World) -> Vec<String> {
    let mut broken = Vec::new();
    let stock = world.stock().read(Stock::clone);
    let reserved = count(stock.reservations.iter().map(|row| row.order.clone()));
    let picked = world.picks().read(|picks| count(picks.0.iter().cloned()));
    for (what, effects) in [("reserved", &reserved), ("picked", &picked)] {
        let twice = effects.iter().filter(|(_, times)| **times > 1);
        broken.extend(twice.map(|(order, times)| format!("{order} is {what} {times} times")));
    }
    let unreserved = picked.keys().filter(|order| !reserved.contains_key(*order));
    broken.extend(unreserved.map(|order| format!("{order} is picked and not reserved")));
    let out: u64 = stock.reservations.iter().map(|row| row.pieces).sum();
    if stock.left + out != STOCK {
        broken.push(format!("{} pieces left, {out} reserved, of {STOCK}", stock.left));
    }
    world.orders().read(|orders| {
        for (key, order) in &orders.0 {
            let is_reserved = reserved.contains_key(key);
            if (order.status == Status::Reserved) != is_reserved {
                broken.push(format!("{key} is {:?}, reserved {is_reserved}", order.status));
            }
        }
    });
    broken
}

fn answers(world: &World) -> Vec<String> {
    let told = world.told();
    let reserved = world
        .stock()
        .read(|stock| stock.reservations.iter().map(|row| row.order.clone()).collect::<Vec<_>>());
    let mut broken = Vec::new();
    for key in keys() {
        let has_effect = reserved.contains(&key);
        let of_key = |key: &str| told.get(key).cloned().unwrap_or_default();
        let told = [of_key(&key), of_key(&long_after(&key))].concat();
        for one in &told {
            match one {
                Told::Reserved(_) if !has_effect => broken.push(format!("{key} was promised")),
                Told::SoldOut(_) if has_effect => {
                    broken.push(format!("{key} has its pieces and was told that they are gone"));
                }
                Told::Mismatch => broken.push(format!("{key} was taken for another order")),
                _ => {}
            }
        }
        let answers = told.iter().filter(|told| **told != Told::Gone);
        if answers.clone().any(|one| Some(one) != answers.clone().next()) {
            broken.push(format!("{key} was answered in more than one way: {told:?}"));
        }
        let other = of_key(&for_another(&key));
        if other.iter().any(|told| !matches!(told, Told::Mismatch | Told::Gone)) {
            broken.push(format!("another order under {key} was answered {other:?}"));
        }
        let late = of_key(&long_after(&key));
        if late.iter().any(|told| *told != Told::Gone) {
            broken.push(format!("{key} was answered long after: {late:?}"));
        }
    }
    broken
}

/// Retries within the budget, no call past its deadline.
fn cost(world: &World) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, meter) in world.meters() {
        if meter.unpaid > 0 {
            broken.push(format!("{name} sent {} retries that nothing paid for", meter.unpaid));
        }
        if meter.sends > meter.calls + meter.resends {
            broken.push(format!("{name} sent more than it says: {meter:?}"));
        }
        if meter.most_attempts > 3 {
            broken.push(format!("{name} sent one call {} times", meter.most_attempts));
        }
        if meter.longest > TOTAL + SLACK {
            broken.push(format!("a call of {name} took {:?}", meter.longest));
        }
    }
    broken
}

fn circuits(world: &World) -> Vec<String> {
    let circuits = world.circuits();
    let open = circuits.iter().filter(|(_, is_closed)| !**is_closed);
    open.map(|(name, _)| format!("the circuit of {name} stays open")).collect()
}

fn keys() -> impl Iterator<Item = String> {
    (0..ORDERS).map(|order| key(order).as_str().to_owned())
}

fn count(names: impl Iterator<Item = String>) -> BTreeMap<String, u32> {
    let mut times = BTreeMap::new();
    for name in names {
        *times.entry(name).or_default() += 1;
    }
    times
}

/// The simulation's clocks move in steps.
const SLACK: Duration = Duration::from_millis(40);
