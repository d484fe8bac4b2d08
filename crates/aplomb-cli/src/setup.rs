use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use aplomb_lab::{Control, Estimate, Experiment, Report, Scenario};

use crate::failure::Failure;
use crate::policy;
use crate::progress;

/// What is run, and what it may need.
#[derive(clap::Args)]
pub(crate) struct Setup {
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
    pub(crate) seeds: Option<String>,
    /// Runs this one of the scenario's policies; may be repeated
    #[arg(long, value_name = "POLICY")]
    only: Vec<String>,
    /// Runs an operation of this policy file beside the scenario's policies `none` and `full`, with
    /// the fleet, the rate and the capacity that the file declares
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Which operation of it, as `dependency.operation`; needed where there are several
    #[arg(long, value_name = "NAME", requires = "policy")]
    operation: Option<String>,
    /// Writes the results as JSON to a file, or with `-` to standard output instead of the table
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Writes the report as one HTML file: a verdict in words, the figures, a picture of each policy
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
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

impl Setup {
    /// The scenario with everything that was set.
    pub(crate) fn scenario(&self) -> Result<Scenario, Failure> {
        let mut scenario = self.read()?;
        if let Some(path) = &self.policy {
            policy::add(&mut scenario, path, self.operation.as_deref(), self.only.is_empty())?;
        }
        for pair in &self.set {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                Failure::usage(format!(
                    "--set takes KEY=VALUE, such as --set clients=100, and got `{pair}`"
                ))
            })?;
            scenario.set(key.trim(), value).map_err(Failure::usage)?;
        }
        let short = [("clients", &self.clients), ("seed", &self.seed), ("seeds", &self.seeds)];
        for (key, value) in short {
            if let Some(value) = value {
                scenario.set(key, value).map_err(Failure::usage)?;
            }
        }
        if !self.only.is_empty() {
            scenario.keep(&self.only).map_err(Failure::usage)?;
        }
        Ok(scenario)
    }

    fn read(&self) -> Result<Scenario, Failure> {
        if !is_path(&self.scenario) {
            return Scenario::named(&self.scenario).map_err(Failure::usage);
        }
        let path = Path::new(&self.scenario);
        let text = fs::read_to_string(path).map_err(|error| Failure::file(path, "read", &error))?;
        Scenario::from_toml(&text)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
    }

    /// Runs it, if it fits; Ctrl-C ends it with what there is.
    pub(crate) fn run(&self, experiment: Experiment) -> Result<Report, Failure> {
        let bytes_max = self.max_memory * GIB;
        let estimate = Estimate::of(experiment.cases());
        estimate.within(self.max_events, bytes_max).map_err(Failure::usage)?;
        for path in self.json.iter().chain(&self.report).filter(|path| !is_stdout(path)) {
            // Told now rather than after the work.
            fs::write(path, "").map_err(|error| Failure::file(path, "write", &error))?;
        }
        let control = Arc::new(Control::default());
        let handler = Arc::clone(&control);
        ctrlc::set_handler(move || handler.stop())
            .map_err(|error| Failure::Environment(format!("cannot catch Ctrl-C: {error}")))?;
        let threads = self.threads(estimate.bytes / bytes_max);
        Ok(progress::follow(experiment, threads, &control))
    }

    /// As many as there are cores, unless so many runs at once would not fit the memory.
    fn threads(&self, share_of_memory: f64) -> usize {
        let cores = thread::available_parallelism().map_or(1, Into::into);
        let fit = (1..=self.threads.unwrap_or(cores)).rev().find(|&threads| {
            share_of_memory * f64::from(u16::try_from(threads).unwrap_or(u16::MAX)) <= 1.0
        });
        fit.unwrap_or(1)
    }
}

fn is_path(scenario: &str) -> bool {
    let is_toml = Path::new(scenario).extension().is_some_and(|extension| extension == "toml");
    is_toml || scenario.contains(['/', '\\'])
}

pub(crate) fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

const GIB: f64 = 1_073_741_824.0;
