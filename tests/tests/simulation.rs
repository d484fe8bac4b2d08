//! A shop on a simulated network, and what no trouble may do to it.
//!
//! The Order API asks one of two replicas of Inventory, Inventory has the Warehouse pick what is
//! reserved, pairs of customers make the same orders at about the same time. Each service is a small
//! axum router behind the real server's layers, each caller hyper's client behind the real client's
//! layers; what is simulated is the network, the clock, and databases whose transactions commit
//! rows together with the records of keys.
//!
//! A seed decides everything: which links are cut, one way or both; which messages are lost, or kept
//! back until they are late; which hosts die, before a commit or right after it; when a store's
//! answer is lost, handlers are slow, fail, panic; which customers hang up. After fourteen seconds
//! the trouble ends, and once all is settled everybody asks again, long after answers have expired.
//! The laws are in `laws.rs`.
//!
//! tokio's own dice are not seeded, which it offers to builds with `tokio_unstable` alone: nothing
//! here asks them. That the same seed gives the same trace is tested, in one process, after other
//! seeds, and in two. So that it does, one seed at a time runs in a process: many run in many.
//!
//! `cargo xtask simulate --seed 7` runs one seed and prints what happened in it.

#[path = "simulation/client.rs"]
mod client;
#[path = "simulation/customers.rs"]
mod customers;
#[path = "simulation/database.rs"]
mod database;
#[path = "simulation/faults.rs"]
mod faults;
#[path = "simulation/laws.rs"]
mod laws;
#[path = "simulation/meter.rs"]
mod meter;
#[path = "simulation/run.rs"]
mod run;
#[path = "simulation/seeds.rs"]
mod seeds;
#[path = "simulation/services.rs"]
mod services;
#[path = "simulation/wire.rs"]
mod wire;
#[path = "simulation/world.rs"]
mod world;

/// Two hundred in all, in four tests, since a test runner runs tests side by side.
#[test]
fn the_laws_hold_for_the_first_fifty_seeds() {
    seeds::hold(0..50);
}

#[test]
fn the_laws_hold_for_the_second_fifty_seeds() {
    seeds::hold(50..100);
}

#[test]
fn the_laws_hold_for_the_third_fifty_seeds() {
    seeds::hold(100..150);
}

#[test]
fn the_laws_hold_for_the_fourth_fifty_seeds() {
    seeds::hold(150..200);
}

#[test]
fn the_same_seed_gives_the_same_trace_whatever_ran_before() {
    // Hosts die in each of them.
    let seeds = [3, 4, 9, 21];
    let first = seeds.map(|seed| (seed, run::run(seed).trace));
    for (seed, trace) in first.iter().rev() {
        let again = run::run(*seed).trace;
        assert!(trace.lines().count() > 100, "little happened:\n{trace}");
        assert!(*trace == again, "{seed}: {}", first_difference(trace, &again));
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_in_two_processes() {
    let [alone, after_others] = [SEED, SEED - 4].map(in_a_process_that_begins_with);
    assert!(alone.lines().count() > 100, "little happened:\n{alone}");
    assert!(alone == after_others, "{}", first_difference(&alone, &after_others));
    let here = run::run(SEED).trace;
    assert!(alone.trim() == here.trim(), "{}", first_difference(alone.trim(), here.trim()));
}

/// What happens in one seed, in a process that may run some before it.
fn in_a_process_that_begins_with(first: u64) -> String {
    let told = seeds::in_a_process(first..SEED + 1, true);
    let (_, told) = told.split_once(&seeds::headline(SEED)).expect("each seed has a headline");
    told.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// For `cargo xtask simulate`; without being asked it has nothing to do but read its own question.
#[test]
fn prints_the_seeds_that_are_asked_for() {
    let Some(asked) = seeds::asked_for() else { return };
    if seeds::is_for_another() {
        seeds::hold(asked);
    } else {
        seeds::hold_in_processes(asked);
    }
}

fn first_difference(here: &str, there: &str) -> String {
    let lines = here.lines().zip(there.lines()).find(|(here, there)| here != there);
    lines.map_or_else(|| "one goes on longer".to_owned(), |(a, b)| format!("{a}\n{b}"))
}

const SEED: u64 = 7;
