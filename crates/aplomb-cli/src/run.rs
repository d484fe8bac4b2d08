use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use aplomb_lab::{Control, Estimate, Experiment, Report, Scenario};

use crate::failure::Failure;
use crate::output::print;
use crate::progress;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The name of a scenario (see `aplomb lab list`), or the path of a file of your own
    scenario: String,
    /// Changes a setting (see `aplomb lab keys`); may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Short for --set clients=N
    #[arg(long, value_name = "N")]
    clients: Option<String>,
    /// Short for --set seed=N
    #[arg(long, value_name = "N")]
    seed: Option<String>,
    /// Short for --set seeds=N
    #[arg(long, value_name = "N")]
    seeds: Option<String>,
    /// Runs this one of the scenario's policies; may be repeated
    #[arg(long, value_name = "POLICY")]
    only: Vec<String>,
    /// Writes the results as JSON to a file, or with `-` to standard output instead of the table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Runs that might need more memory are not started
    #[arg(long, value_name = "GIB", default_value_t = 4.0)]
    max_memory: f64,
    /// Runs that might handle more events in all are not started (5e9 take about 17 minutes on
    /// one core)
    #[arg(long, value_name = "EVENTS", default_value_t = 5e9)]
    max_events: f64,
    /// Runs on so many threads; the results are the same
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let experiment = Experiment::new(scenario(args)?).map_err(Failure::usage)?;
    let bytes_max = args.max_memory * GIB;
    let estimate = Estimate::of(experiment.cases());
    estimate.within(args.max_events, bytes_max).map_err(Failure::usage)?;
    if let Some(path) = args.json.as_deref().filter(|path| !is_stdout(path)) {
        // Told now rather than after the work.
        fs::write(path, "").map_err(|error| Failure::file(path, "write", &error))?;
    }

    let control = Arc::new(Control::default());
    let handler = Arc::clone(&control);
    ctrlc::set_handler(move || handler.stop())
        .map_err(|error| Failure::Environment(format!("cannot catch Ctrl-C: {error}")))?;
    let threads = threads(args, estimate.bytes / bytes_max);
    let report = progress::follow(experiment, threads, &control);

    write(args, &report)?;
    Ok(if report.is_partial() { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}

fn scenario(args: &Args) -> Result<Scenario, Failure> {
    let mut scenario = if is_path(&args.scenario) {
        let path = Path::new(&args.scenario);
        let text = fs::read_to_string(path).map_err(|error| Failure::file(path, "read", &error))?;
        Scenario::from_toml(&text)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?
    } else {
        Scenario::named(&args.scenario).map_err(Failure::usage)?
    };
    for pair in &args.set {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            Failure::usage(format!(
                "--set takes KEY=VALUE, such as --set clients=100, and got `{pair}`"
            ))
        })?;
        scenario.set(key.trim(), value).map_err(Failure::usage)?;
    }
    let short = [("clients", &args.clients), ("seed", &args.seed), ("seeds", &args.seeds)];
    for (key, value) in short {
        if let Some(value) = value {
            scenario.set(key, value).map_err(Failure::usage)?;
        }
    }
    if !args.only.is_empty() {
        scenario.keep(&args.only).map_err(Failure::usage)?;
    }
    Ok(scenario)
}

/// As many as there are cores, unless so many runs at once would not fit the memory.
fn threads(args: &Args, share_of_memory: f64) -> usize {
    let cores = thread::available_parallelism().map_or(1, Into::into);
    let fit = (1..=args.threads.unwrap_or(cores)).rev().find(|&threads| {
        share_of_memory * f64::from(u16::try_from(threads).unwrap_or(u16::MAX)) <= 1.0
    });
    fit.unwrap_or(1)
}

fn write(args: &Args, report: &Report) -> Result<(), Failure> {
    let Some(path) = args.json.as_deref() else {
        return print(&report.to_table());
    };
    let mut json = serde_json::to_string_pretty(&report.to_json())
        .map_err(|error| Failure::Environment(format!("cannot write the results: {error}")))?;
    json.push('\n');
    if is_stdout(path) {
        return print(&json);
    }
    fs::write(path, json).map_err(|error| Failure::file(path, "write", &error))?;
    print(&report.to_table())
}

fn is_path(scenario: &str) -> bool {
    let is_toml = Path::new(scenario).extension().is_some_and(|extension| extension == "toml");
    is_toml || scenario.contains(['/', '\\'])
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// What shells say of a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
const GIB: f64 = 1_073_741_824.0;
