//! A service's own policy file as one of the policies that a scenario compares.

use std::path::Path;
use std::time::Duration;

use aplomb::policy::{Dependency, Operation, Owner, Pace, PolicyFile, WhenPaused};
use aplomb_lab::Scenario;

use crate::failure::Failure;

type Settings = Vec<(String, String)>;

/// Adds an operation of a policy file to a scenario, which is to be about the service that the file
/// describes. Alone it stands beside no retries and plain retries.
pub(crate) fn add(
    scenario: &mut Scenario,
    path: &Path,
    operation: Option<&str>,
    alone: bool,
) -> Result<(), Failure> {
    let file = PolicyFile::load(path).map_err(|error| Failure::Environment(error.to_string()))?;
    let (dependency, operation) = find(&file, operation)?;
    let name = format!("{}.{}", dependency.name(), operation.name());
    for (key, value) in surroundings(scenario, &file, dependency, operation) {
        scenario.set(&key, &value).map_err(Failure::usage)?;
    }
    let settings = own(dependency, operation);
    scenario.add(&name, &settings).map_err(Failure::usage)?;
    if alone {
        let beside: Vec<String> = scenario
            .policies()
            .filter(|policy| BESIDE.contains(policy) || *policy == name)
            .map(str::to_owned)
            .collect();
        scenario.keep(&beside).map_err(Failure::usage)?;
    }
    let written: Vec<String> =
        settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
    eprintln!("{name}: {}", written.join(" "));
    Ok(())
}

fn find<'a>(
    file: &'a PolicyFile,
    wanted: Option<&str>,
) -> Result<(&'a Dependency, &'a Operation), Failure> {
    let all: Vec<(&Dependency, &Operation)> = file.operations().collect();
    let names = || -> String {
        let names = all.iter().map(|(of, one)| format!("{}.{}", of.name(), one.name()));
        names.collect::<Vec<_>>().join(", ")
    };
    let is_it = |of: &Dependency, one: &Operation, wanted: &str| match wanted.split_once('.') {
        Some((dependency, operation)) => of.name() == dependency && one.name() == operation,
        None => one.name() == wanted,
    };
    let found: Vec<_> = match wanted {
        Some(wanted) => all.iter().filter(|(of, one)| is_it(of, one, wanted)).copied().collect(),
        None => all.clone(),
    };
    match (found[..].first(), found.len(), wanted) {
        (Some(&one), 1, _) => Ok(one),
        (_, 0, Some(wanted)) => Err(Failure::usage(format!(
            "there is no operation `{wanted}` in it; it has {}",
            names()
        ))),
        (_, 0, None) => Err(Failure::usage("the policy file has no operation")),
        _ => Err(Failure::usage(format!(
            "the policy file has several operations; choose one with --operation: {}",
            names()
        ))),
    }
}

/// What the file says about everybody: how many processes there are, what they ask for, what the
/// dependency can do.
fn surroundings(
    scenario: &Scenario,
    file: &PolicyFile,
    dependency: &Dependency,
    operation: &Operation,
) -> Settings {
    let mut settings = vec![set("clients", file.service().processes())];
    let rate = operation
        .calls_per_second()
        .or(dependency.terms().calls_per_second)
        .or(file.service().declared_calls_per_second());
    settings.extend(rate.map(|rate| set("arrivals_per_second", rate)));
    if let Some(capacity) = dependency.terms().capacity_per_second {
        // As many workers as the scenario has, each as fast as it takes.
        let workers = scenario.setting("servers").and_then(|text| text.parse::<f64>().ok());
        let workers = workers.unwrap_or(50.0);
        settings.push(set("servers", workers));
        settings.push(set("service_time", format!("{:.0}ns", workers / capacity * 1e9)));
    }
    settings
}

/// What the operation does by itself.
fn own(dependency: &Dependency, operation: &Operation) -> Settings {
    let policy = operation.policy();
    let retries_here = *policy.owner() == Owner::Here && policy.pace() != Pace::Once;
    let attempts = if retries_here { policy.attempts().get() } else { 1 };
    let mut settings = vec![
        set("attempts", attempts),
        set("attempt_timeout", time(policy.attempt_timeout())),
        set("total", time(policy.total())),
    ];
    if let Some(waits) = policy.waits() {
        settings.push(set("backoff", word(waits.jitter())));
        settings.push(set("base", time(waits.base())));
        settings.push(set("cap", time(waits.cap().max(waits.base()))));
    }
    if let Some(budget) = policy.budget() {
        settings.push(set("budget", "aplomb"));
        settings.push(set("ratio", budget.ratio().as_f64()));
        settings.push(set("budget_cap", budget.held_at_most()));
        settings.push(set("budget_initial", budget.held_at_start()));
    }
    if policy.when_paused() == WhenPaused::Fail {
        settings.push(set("when_paused", "fail"));
    }
    if let Some(breaker) = dependency.terms().breaker {
        let (open, cap) = breaker.open_for;
        settings.push(set("breaker", "together"));
        settings.push(set("breaker_ratio", breaker.failure_ratio.as_f64()));
        settings.push(set("breaker_calls", breaker.minimum_calls));
        settings.push(set("breaker_window", time(breaker.window)));
        settings.push(set("breaker_row", breaker.failures_in_a_row));
        settings.push(set("breaker_open", time(open)));
        settings.push(set("breaker_cap", time(cap)));
    }
    settings
}

fn word(jitter: aplomb::backoff::Jitter) -> &'static str {
    match jitter {
        aplomb::backoff::Jitter::Equal => "equal",
        aplomb::backoff::Jitter::Decorrelated => "decorrelated",
        aplomb::backoff::Jitter::None => "exponential",
        _ => "full",
    }
}

fn time(time: Duration) -> String {
    let millis = time.as_millis();
    let is_whole = time.subsec_nanos() % 1_000_000 == 0;
    if is_whole { format!("{millis}ms") } else { format!("{}ns", time.as_nanos()) }
}

#[expect(clippy::needless_pass_by_value, reason = "settings are small values")]
fn set(key: &str, value: impl ToString) -> (String, String) {
    (key.to_owned(), value.to_string())
}

const BESIDE: [&str; 2] = ["none", "full"];
