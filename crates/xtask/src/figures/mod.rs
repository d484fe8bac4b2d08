mod defaults;
mod tables;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use serde_json::Value;

use crate::report::Report;
pub(crate) use defaults::sample;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which figures
    #[arg(value_enum)]
    what: What,
    /// Fail when they are not what stands in the docs, instead of writing them
    #[arg(long)]
    check: bool,
    /// Of the defaults, make this table alone
    #[arg(long, value_name = "FILE")]
    table: Option<String>,
    /// Of the defaults, make one row of each table alone, and look whether it stands in the docs
    #[arg(long)]
    sample: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// What each budget does in an outage, with independent failures, in a storm
    Budget,
    /// What each default of budget, backoff and breaker was chosen from, and the tables of the chapter
    /// on budgets (some minutes)
    Defaults,
}

pub(crate) fn run(report: &mut Report, args: &Args) {
    match args.what {
        What::Budget => budget(report, args.check),
        What::Defaults if args.sample => sample(report),
        What::Defaults => defaults::defaults(report, args.table.as_deref(), args.check),
    }
}

/// Makes the table of the budgets; the same code and seeds make the same bytes.
pub(crate) fn budget(report: &mut Report, check: bool) {
    report.work("figures of the budget", || match budgets() {
        Ok(made) => keep(Path::new(BUDGET), &made, check, "budget"),
        Err(error) => vec![error],
    });
}

fn keep(path: &Path, made: &str, check: bool, what: &str) -> Vec<String> {
    println!("{made}");
    let path_shown = path.display();
    if !check {
        let written = fs::write(path, made).err();
        return written.map(|error| format!("{path_shown}: {error}")).into_iter().collect();
    }
    if fs::read_to_string(path).is_ok_and(|stands| stands == made) {
        return Vec::new();
    }
    vec![format!(
        "{path_shown} is not what the lab says now; `cargo xtask figures {what}` writes it"
    )]
}

fn budgets() -> Result<String, String> {
    let compared = ["none", "tower", "per-success", "aplomb"];
    let outage = lab("fleet-size", &compared, &[])?;
    let independent = ["clients=100", "clients=1000", "clients=10000"]
        .map(|clients| lab("independent-failures", &compared, &[clients]));
    let article = lab("article", &compared, &["clients=10000"])?;

    let mut page = String::from(HEAD);
    for policy in compared {
        let mut cells = Vec::new();
        for clients in [1, 100, 1_000, 10_000] {
            let case = format!("{policy} clients={clients}");
            cells.push(mean(&outage, &case, "amplification_during").map(|m| format!("{m:.3}")));
        }
        for run in &independent {
            let run = run.as_ref().map_err(Clone::clone)?;
            let success = mean(run, policy, "success_ratio");
            cells.push(success.map(|m| format!("{:.2} %", m * 100.0)));
        }
        cells.push(Some(recovery(&article, policy)));
        let cells: Vec<_> = cells.into_iter().map(|cell| cell.unwrap_or("–".into())).collect();
        let _ = writeln!(page, "| {} | {} |", title(policy), cells.join(" | "));
    }
    page.push_str(FOOT);
    Ok(page)
}

fn title(policy: &str) -> &str {
    match policy {
        "none" => "no retries",
        "tower" => "tower's default",
        "per-success" => "fixed price, earned by success, cap 10",
        _ => "**rising price, earned by success, cap 10**",
    }
}

fn recovery(article: &Value, policy: &str) -> String {
    match mean(article, policy, "time_to_recover") {
        Some(seconds) => {
            let ci95 = article["results"][policy]["time_to_recover"]["ci95"].as_f64();
            format!("{seconds:.0} ± {:.0} s", ci95.unwrap_or_default())
        }
        None => "never".into(),
    }
}

fn mean(run: &Value, case: &str, figure: &str) -> Option<f64> {
    run["results"][case][figure]["mean"].as_f64()
}

/// What the lab says of a scenario.
fn lab(scenario: &str, policies: &[&str], settings: &[&str]) -> Result<Value, String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args(["run", "--quiet", "--release", "--package", "aplomb-cli", "--", "lab", "run"]);
    command.args([scenario, "--json", "-"]);
    for policy in policies {
        command.args(["--only", policy]);
    }
    for setting in settings {
        command.args(["--set", setting]);
    }
    eprintln!("the lab runs {scenario} {} {}", policies.join(" "), settings.join(" "));
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cargo did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("the lab failed at {scenario}"));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("the lab's answer to {scenario} is no JSON: {error}"))
}

const BUDGET: &str = "crates/aplomb-retry/figures/budget.md";

const HEAD: &str = "\
| | sends per call in 60 s of total outage, 1 client | 100 | 1,000 | 10,000 | success with 10 % \
independent failures at 10 calls/s a client | at 1 | at 0.1 | `article`: well again after |
|---|---|---|---|---|---|---|---|---|
";

const FOOT: &str = "
1,000 calls a second in all, three attempts, ratio 0.2, means of five seeds. Outages begin with a clean
history and full balances. `article`: 10,000 clients keep a dependency 80 % busy, after 30 healthy
seconds it is five times slower for 30; \"never\" means not within 300 seconds in any run. Made by
`cargo xtask figures budget`.
";
