//! Makes many calls of one item, for callgrind to count.

use std::process::ExitCode;

use aplomb_bench::{Beside, Driver, ITEMS, find};
use aplomb_core::time;
use clap::Parser;

#[derive(Parser)]
enum Command {
    /// Print the items, one a line: name, its bare call, its peer, the share of it that is allowed
    /// and the share that is meant.
    List,
    /// Print the median time of a call of each item, in nanoseconds, over interleaved rounds.
    Time {
        /// How many rounds.
        #[arg(default_value_t = 31)]
        rounds: u32,
    },
    /// Make so many calls of one item.
    Run {
        /// Its name.
        item: String,
        /// How many.
        calls: u64,
    },
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::List => {
            for item in ITEMS {
                let beside = item.beside.unwrap_or(Beside { peer: "-", limit: 0.0, goal: 0.0 });
                let Beside { peer, limit, goal } = beside;
                println!("{} {} {peer} {limit} {goal}", item.name, item.bare);
            }
            ExitCode::SUCCESS
        }
        Command::Time { rounds } => {
            time_all(rounds);
            ExitCode::SUCCESS
        }
        Command::Run { item, calls } => {
            let Some(found) = find(&item) else {
                eprintln!("no item is called {item}; `list` prints them");
                return ExitCode::from(2);
            };
            (found.run)(&Driver::new(), calls);
            ExitCode::SUCCESS
        }
    }
}

/// Rounds are interleaved, so that a machine which is busy for a while is so for all items.
fn time_all(rounds: u32) {
    let driver = Driver::new();
    let mut took = vec![Vec::new(); ITEMS.len()];
    for _ in 0..rounds {
        for (item, took) in ITEMS.iter().zip(&mut took) {
            let start = time::now();
            (item.run)(&driver, CALLS.into());
            took.push(start.elapsed() / CALLS);
        }
    }
    for (item, took) in ITEMS.iter().zip(&mut took) {
        took.sort();
        println!("{} {}", item.name, took[took.len() / 2].as_nanos());
    }
}

const CALLS: u32 = 10_000;
