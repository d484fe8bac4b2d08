use clap::ValueEnum;

use crate::report::Report;
use crate::steps::{Line, Step};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure
    #[arg(value_enum)]
    what: What,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Events a second of the lab's kernel on one core; 5 million is the goal
    Lab,
}

pub(crate) fn run(report: &mut Report, args: &Args) {
    let (title, line) = match args.what {
        What::Lab => ("lab", &["bench", "-p", "aplomb-lab", "--bench", "events"]),
    };
    report.run(&Step::new(title, [Line::cargo(line)]));
}
