use clap::ValueEnum;

use crate::needs::{self, TESTS};
use crate::report::Report;
use crate::steps::{Line, Step};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the idempotency records lie; without it, each store in turn
    #[arg(long, value_enum)]
    store: Option<Store>,
    /// How many requests to begin
    #[arg(long, default_value_t = 10_000)]
    steps: u64,
    /// Decides what befalls each request
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Store {
    Sqlite,
    Postgres,
    Redis,
    Memory,
}

pub(crate) fn run(report: &mut Report, args: &Args) {
    needs::meet(report, TESTS);
    let stores = args.store.map_or_else(|| Store::value_variants().to_vec(), |store| vec![store]);
    for store in stores {
        report.run(&step(store, args.steps, args.seed));
    }
}

/// The demo's own command does the work, in a process of ours no longer than it takes.
fn step(store: Store, steps: u64, seed: u64) -> Step {
    let store = store.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned());
    let line = Line::cargo(&["run", "--release", "--package", "aplomb-demo", "--", "torture"]);
    let (steps, seed) = (steps.to_string(), seed.to_string());
    let options = ["--store", &store, "--steps", &steps, "--seed", &seed].map(str::to_owned);
    Step::new(format!("torture {store}"), [line.args(&options)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_tortured_by_the_demo() {
        let step = step(Store::Postgres, 100, 9);
        assert_eq!(
            step.lines[0].to_string(),
            "cargo run --release --package aplomb-demo -- torture \
             --store postgres --steps 100 --seed 9"
        );
    }
}
