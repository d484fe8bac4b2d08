//! How fast the layers are, beside their peers.

mod baseline;
mod footprint;
mod measure;
mod page;
mod rates;
mod sheet;
mod table;

use clap::ValueEnum;

use crate::needs::{self, Need, Source};
use crate::report::Report;
use crate::steps::{Line, Step};
use baseline::Baseline;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure
    #[arg(value_enum, default_value = "layers")]
    what: What,
    /// Writes what the layers cost now as what the gate compares with from now on
    #[arg(long)]
    bless: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Every layer beside its peers: instructions, allocations, time; writes docs/speed.md
    Layers,
    /// Two threads on one breaker against one, beside the peers' breakers
    Threads,
    /// Keyed calls on a store with a million keys beside an empty one
    Keys,
    /// The whole client stack over loopback HTTP beside the bare client
    Http,
    /// The stores of idempotency records beside what their databases give, many callers at once
    Stores,
    /// What the layers add to a program's build: time from clean, size of the binary
    Footprint,
    /// Events a second of the lab's kernel on one core; 5 million is the goal
    Lab,
}

pub(crate) fn run(report: &mut Report, args: &Args) {
    match args.what {
        What::Layers => {
            needs::meet(report, NEEDS);
            report.run(&build());
            report.work("the layers beside their peers", || tell(args.bless));
        }
        What::Threads => rates::THREADS.run(report),
        What::Keys => rates::KEYS.run(report),
        What::Http => rates::HTTP.run(report),
        What::Stores => {
            needs::meet(report, needs::TESTS);
            rates::STORES.run(report);
        }
        What::Footprint => report.work("what a build pays", footprint::tell),
        What::Lab => {
            let line = Line::cargo(&["bench", "-p", "aplomb-lab", "--bench", "events"]);
            report.run(&Step::new("lab", [line]));
        }
    }
}

/// What counts instructions.
pub(crate) const NEEDS: &[Need] = &[Need {
    program: "valgrind",
    or: &[],
    source: Source::Debian("valgrind"),
    why: "its callgrind counts the instructions of a call, whatever else the machine is doing",
}];

/// Fails for a layer that takes more instructions or allocations than it did when the baseline was
/// written, or that no longer stands beside its peer as it must. Time is not looked at: machines
/// that share their cores are noisy.
pub(crate) fn gate(report: &mut Report) {
    report.run(&build());
    report.work("instructions and allocations of the layers", || {
        let measured = measure::items(false).and_then(|items| Ok((items, Baseline::read()?)));
        match measured {
            Ok((items, baseline)) => {
                println!("{}", table::Table(&items));
                baseline.complaints(&items)
            }
            Err(error) => vec![error],
        }
    });
}

fn build() -> Step {
    let line = Line::cargo(&["build", "--release", "--package", "aplomb-bench"]);
    Step::new("build the benches", [line])
}

/// Prints the table, and writes it down.
fn tell(bless: bool) -> Vec<String> {
    let told = measure::items(true).and_then(|items| {
        println!("{}", table::Table(&items));
        table::write(&items)?;
        if bless { baseline::write(&items) } else { Ok(()) }
    });
    told.err().into_iter().collect()
}
