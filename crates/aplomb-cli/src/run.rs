use std::fs;
use std::process::ExitCode;

use aplomb_lab::{Experiment, Grid, Report};
use serde_json::Value;

use crate::failure::Failure;
use crate::output::print;
use crate::setup::{Setup, is_stdout};

/// `aplomb lab run`.
pub(crate) fn run(setup: &Setup) -> Result<ExitCode, Failure> {
    let experiment = Experiment::new(setup.scenario()?).map_err(Failure::usage)?;
    let report = setup.run(experiment)?;
    write(setup, &report, report.to_json(), || report.to_html(), || report.to_table())
}

#[derive(clap::Args)]
pub(crate) struct SweepArgs {
    /// One seed unless --seeds says otherwise; the report is a map for each policy
    #[command(flatten)]
    setup: Setup,
    /// Loads, in parts of the capacity
    #[arg(long, value_name = "SHARE,..", value_delimiter = ',', default_value = LOADS)]
    loads: Vec<String>,
    /// Lengths of the fault
    #[arg(long, value_name = "TIME,..", value_delimiter = ',', default_value = FAULTS)]
    faults: Vec<String>,
}

/// `aplomb lab sweep`.
pub(crate) fn sweep(args: &SweepArgs) -> Result<ExitCode, Failure> {
    let grid = Grid::new(&args.loads, &args.faults).map_err(Failure::usage)?;
    let mut scenario = args.setup.scenario()?;
    if args.setup.seeds.is_none() {
        scenario.set("seeds", "1").map_err(Failure::usage)?;
    }
    let experiment = Experiment::sweep(scenario, &grid).map_err(Failure::usage)?;
    let report = args.setup.run(experiment)?;
    let json = report.to_map_json(&grid);
    write(&args.setup, &report, json, || report.to_map_html(&grid), || report.to_map_table(&grid))
}

fn write(
    setup: &Setup,
    report: &Report,
    json: Value,
    html: impl FnOnce() -> String,
    table: impl FnOnce() -> String,
) -> Result<ExitCode, Failure> {
    if let Some(path) = &setup.report {
        let text = html();
        if is_stdout(path) {
            print(&text)?;
        } else {
            fs::write(path, text).map_err(|error| Failure::file(path, "write", &error))?;
        }
    }
    let json = setup.json.as_deref().map(|path| (path, json));
    match json {
        Some((path, json)) => {
            let mut text = serde_json::to_string_pretty(&json).map_err(|error| {
                Failure::Environment(format!("cannot write the results: {error}"))
            })?;
            text.push('\n');
            if is_stdout(path) {
                print(&text)?;
            } else {
                fs::write(path, text).map_err(|error| Failure::file(path, "write", &error))?;
                print(&table())?;
            }
        }
        None if setup.report.as_deref().is_some_and(is_stdout) => {}
        None => print(&table())?,
    }
    Ok(if report.is_partial() { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}

const LOADS: &str = "20%,30%,40%,50%,60%,70%,80%,90%";
const FAULTS: &str = "1s,2s,5s,10s,20s,30s,60s";
/// What shells say of a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
