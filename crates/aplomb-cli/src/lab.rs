use std::process::ExitCode;

use aplomb_lab::{Model, Scenario, figures, keys};
use clap::Subcommand;

use crate::failure::Failure;
use crate::output::print;
use crate::run::{self, SweepArgs};
use crate::setup::Setup;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs a scenario: every policy in it, with every seed
    Run(Box<Setup>),
    /// Runs a scenario at every load with every length of its fault: who comes back, and who never
    /// does
    Sweep(Box<SweepArgs>),
    /// Lists the scenarios and their policies
    List,
    /// Lists the keys of --set and of scenario files, with their defaults
    Keys,
    /// Lists the figures of the results
    Figures,
}

pub(crate) fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(setup) => return run::run(setup),
        Command::Sweep(args) => return run::sweep(args),
        Command::List => print(&scenarios())?,
        Command::Keys => print(&settings())?,
        Command::Figures => print(&results())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn scenarios() -> String {
    let blocks = Scenario::all().map(|scenario| {
        let policies: Vec<&str> = scenario.policies().collect();
        format!(
            "{}\n    {}\n    policies: {}\n",
            scenario.name(),
            scenario.about(),
            policies.join(", ")
        )
    });
    blocks.collect::<Vec<_>>().concat()
}

fn settings() -> String {
    let model = Model::default();
    let blocks = keys().map(|key| {
        let default = model.get(key.name).unwrap_or_default();
        format!("{} = {default}\n    {}\n    takes {}\n", key.name, key.means, key.takes)
    });
    blocks.collect::<Vec<_>>().concat()
}

fn results() -> String {
    let blocks = figures().iter();
    let blocks = blocks.map(|figure| format!("{}\n    {}\n", figure.name, figure.means));
    blocks.collect::<Vec<_>>().concat()
}
