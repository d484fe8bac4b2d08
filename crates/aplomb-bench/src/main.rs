//! Makes many calls of one item, for callgrind to count.

use std::process::ExitCode;

use aplomb_bench::{Driver, ITEMS, find};
use clap::Parser;

#[derive(Parser)]
enum Command {
    /// Print the items, one a line: name, its bare call, its peer and the share of it allowed.
    List,
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
                let (peer, share) = item.must.unwrap_or(("-", 0.0));
                println!("{} {} {peer} {share}", item.name, item.bare);
            }
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
