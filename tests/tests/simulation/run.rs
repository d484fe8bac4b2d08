use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::customers::customers;
use crate::faults::{Faults, TROUBLE};
use crate::laws;
use crate::services::{ANSWERS_KEPT, REPLICAS, WAREHOUSE, inventory, orders, warehouse};
use crate::world::World;

/// What came of one seed.
pub(crate) struct Run {
    pub(crate) broken: Vec<String>,
    pub(crate) trace: String,
    /// Which kinds of trouble came up, and how often.
    pub(crate) seen: BTreeMap<&'static str, u64>,
}

/// Runs the shop through everything that this seed does to it, alone in its process.
pub(crate) fn run(seed: u64) -> Run {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    begin_at_a_round_number();
    let world = World::new(seed);
    let mut builder = turmoil::Builder::new();
    builder
        .rng_seed(seed)
        .enable_random_order()
        .simulation_duration(ENDS + ENDS)
        .tick_duration(TICK)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(30));
    if seed % 2 == 0 {
        // Half of the seeds lose single messages too.
        builder.fail_rate(0.002).repair_rate(0.2);
    }
    let mut sim = builder.build();
    people(&mut sim, &world);
    let mut broken = Vec::new();
    if let Err(error) = play(&mut sim, &world, seed) {
        broken.push(error);
    }
    broken.extend(laws::broken(&world));
    Run { broken, trace: world.trace(), seen: world.seen() }
}

/// tokio numbers its tasks through the whole process, and keeps those of a runtime in a few lists, by
/// number. A host that dies drops its tasks list by list, and what is dropped says goodbye on the
/// network: in an order that would hang on what ran before.
fn begin_at_a_round_number() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime without drivers needs nothing");
    let number = || runtime.spawn(async {}).id().to_string().parse::<u64>();
    while number().expect("tasks have numbers") % MORE_THAN_LISTS != 0 {}
}

fn people(sim: &mut turmoil::Sim<'_>, world: &World) {
    let shop = world.on("orders");
    sim.host("orders", move || orders(shop.clone()));
    for name in REPLICAS {
        let shop = world.on(name);
        sim.host(name, move || inventory(shop.clone(), name));
    }
    let shop = world.on(WAREHOUSE);
    sim.host(WAREHOUSE, move || warehouse(shop.clone()));
    for name in ["web-1", "web-2"] {
        let shop = world.on(name);
        sim.host(name, move || customers(shop.clone(), name));
    }
}

/// Trouble, then peace until everything has ended, then the customers who come too late.
fn play(sim: &mut turmoil::Sim<'_>, world: &World, seed: u64) -> Result<(), String> {
    let mut faults = Faults::of(seed);
    while sim.elapsed() <= TROUBLE {
        faults.step(sim, world);
        step(sim)?;
    }
    heal(sim, world);
    until(sim, || laws::is_settled(world))?;
    // Long enough for a circuit that opened last to have closed.
    let late = sim.elapsed() + ANSWERS_KEPT + Duration::from_secs(2);
    while sim.elapsed() < late {
        step(sim)?;
    }
    world.note_at(sim.elapsed().as_millis(), "late");
    world.grow_late();
    until(sim, || laws::is_over(world))
}

/// Ends what single messages and links have suffered.
fn heal(sim: &mut turmoil::Sim<'_>, world: &World) {
    world.note_at(sim.elapsed().as_millis(), "heals");
    world.heal();
    sim.set_fail_rate(0.0);
    let names = ["web-1", "web-2", "orders", REPLICAS[0], REPLICAS[1], WAREHOUSE];
    for (index, a) in names.into_iter().enumerate() {
        for b in &names[index + 1..] {
            sim.release(a, *b);
            sim.repair(a, *b);
        }
    }
}

fn until(sim: &mut turmoil::Sim<'_>, is_done: impl Fn() -> bool) -> Result<(), String> {
    let by = sim.elapsed() + ENDS;
    while !is_done() {
        if sim.elapsed() > by {
            return Err(format!("after {ENDS:?} of peace not everything has ended"));
        }
        step(sim)?;
    }
    Ok(())
}

fn step(sim: &mut turmoil::Sim<'_>) -> Result<(), String> {
    sim.step().map(drop).map_err(|error| format!("a host ended by itself: {error}"))
}

const TICK: Duration = Duration::from_millis(10);
/// A power of two, as is the number of lists: four for a runtime of one thread (tokio 1.54).
const MORE_THAN_LISTS: u64 = 1_024;
/// How long peace may take to end everything.
const ENDS: Duration = Duration::from_secs(60);
