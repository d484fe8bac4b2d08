//! Prints what a keyed call costs with many keys in the store, beside an empty one.

use std::time::Duration;

use aplomb_bench::sheet::{Limit, Row, median, share};
use aplomb_bench::{Driver, Keyed};
use aplomb_core::time;

fn main() {
    let driver = Driver::new();
    eprintln!("filling a store with {MANY} keys");
    let mut full = Keyed::filled(&driver, MANY);
    let mut first = KEYS.map(|_| Vec::new());
    let mut replay = KEYS.map(|_| Vec::new());
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        for (at, &keys) in KEYS.iter().enumerate() {
            // A small store is made anew, or the calls of each round would fill it.
            let mut small;
            let route = if keys == MANY {
                &mut full
            } else {
                small = Keyed::filled(&driver, keys);
                &mut small
            };
            first[at].push(nanos(|| route.first(&driver, CALLS)));
            replay[at].push(nanos(|| route.replay(&driver, CALLS)));
        }
    }
    println!("call\tkeys\tns");
    tell("first call", &first);
    tell("replay", &replay);
}

fn tell(name: &str, figures: &[Vec<f64>; 3]) {
    let [empty, ..] = figures;
    for (keys, taken) in KEYS.iter().zip(figures) {
        let row = Row::new([name.to_owned(), keys.to_string(), format!("{:.0}", median(taken))]);
        let row = match keys {
            0 => row,
            _ => row.beside(share(taken, empty), "an empty store", Some(FLAT)),
        };
        println!("{row}");
    }
}

/// How long one of `CALLS` calls takes.
fn nanos(calls: impl FnOnce()) -> f64 {
    let start = time::now();
    calls();
    let each: Duration = start.elapsed() / CALLS;
    each.as_secs_f64() * 1e9
}

const MANY: u32 = 1_000_000;
const KEYS: [u32; 3] = [0, 10_000, MANY];
const ROUNDS: u32 = 41;
const CALLS: u32 = 500;
/// Memory that no cache holds is slower, for a bare map too.
const FLAT: Limit = Limit::most(1.25).goal(1.1);
