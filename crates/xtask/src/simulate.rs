use crate::report::Report;
use crate::steps::{Line, Step};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many seeds to try
    #[arg(long, default_value_t = 10_000, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    from: u64,
    /// Runs this seed alone and prints what happens in it
    #[arg(long)]
    seed: Option<u64>,
}

/// A shop on a simulated network, in every trouble that the seeds make. The tests run the first two
/// hundred; this runs as many as there is time for.
pub(crate) fn run(report: &mut Report, args: &Args) {
    report.run(&step(args));
}

/// The simulation is a test, whose question comes by the environment.
fn step(args: &Args) -> Step {
    const SIMULATION: [&str; 7] =
        ["test", "--package", "aplomb-tests", "--test", "simulation", "--", "--exact"];
    let (first, count) = args.seed.map_or((args.from, args.seeds), |seed| (seed, 1));
    let seeds = format!("{first}..{}", first.saturating_add(count));
    let line = Line::cargo(&SIMULATION)
        .args(&["prints_the_seeds_that_are_asked_for", "--nocapture"].map(str::to_owned))
        .env("APLOMB_SEEDS", seeds);
    let line = if args.seed.is_some() { line.env("APLOMB_TRACE", "1") } else { line };
    Step::new("simulation", [line])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(args: &Args) -> String {
        step(args).lines[0].to_string()
    }

    #[test]
    fn the_seeds_that_are_asked_for_are_run() {
        let typed = typed(&Args { seeds: 100, from: 40, seed: None });
        assert!(typed.starts_with("APLOMB_SEEDS=40..140 cargo test "), "{typed}");
        assert!(typed.ends_with("--exact prints_the_seeds_that_are_asked_for --nocapture"));
    }

    #[test]
    fn a_single_seed_tells_what_happens_in_it() {
        let typed = typed(&Args { seeds: 10_000, from: 0, seed: Some(7) });
        assert!(typed.starts_with("APLOMB_SEEDS=7..8 APLOMB_TRACE=1 cargo test "), "{typed}");
    }
}
