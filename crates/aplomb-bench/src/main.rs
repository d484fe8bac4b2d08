//! Makes many calls of one item, for callgrind to count.

use std::process::ExitCode;

use aplomb_bench::{Beside, Driver, all, find};
use aplomb_core::time;
use clap::Parser;

#[derive(Parser)]
enum Command {
    /// Print the items, one a line: name, its bare call, its peer, what of the two is compared, the
    /// share of the peer's that it must not exceed, the share that is meant; a dash for none.
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
            list();
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

fn list() {
    for item in all() {
        let bare = item.bare.unwrap_or("-");
        match item.beside {
            None => println!("{} {bare} - - - -", item.name),
            Some(beside) => {
                let Beside { peer, measure, must, goal } = beside;
                let bound = |bound: Option<f64>| bound.map_or("-".to_owned(), |it| it.to_string());
                let (must, goal) = (bound(must), bound(goal));
                println!("{} {bare} {peer} {} {must} {goal}", item.name, measure.as_str());
            }
        }
    }
}

/// Rounds are interleaved, so that a machine which is busy for a while is so for all items.
fn time_all(rounds: u32) {
    let driver = Driver::new();
    let items: Vec<_> = all().filter(|item| !item.is_filled_first()).collect();
    let mut took = vec![Vec::new(); items.len()];
    for _ in 0..rounds {
        for (item, took) in items.iter().zip(&mut took) {
            let run = |calls: u32| {
                let start = time::now();
                (item.run)(&driver, calls.into());
                start.elapsed()
            };
            // What is made before the calls is in both, and goes with the difference.
            let (once, twice) = (run(CALLS), run(2 * CALLS));
            took.push(twice.saturating_sub(once) / CALLS);
        }
    }
    for (item, took) in items.iter().zip(&mut took) {
        took.sort();
        println!("{} {}", item.name, took[took.len() / 2].as_nanos());
    }
}

const CALLS: u32 = 1_000;
