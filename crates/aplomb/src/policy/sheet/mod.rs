//! The decision sheet: what was decided for one operation, on one page.

mod html;
mod text;

pub use html::html;
pub use text::text;

use super::answers::{Pace, Repeat, Transient, Waits, WhenExhausted, WhenPaused};
use super::dependency::Dependency;
use super::duration::shown;
use super::file::PolicyFile;
use super::lint::{Finding, Worst, calls_per_second, lint, short, stored_per_call};
use super::operation::Operation;
use super::question::Question;
use super::value::Policy;

/// What was decided for one operation: the six answers, the numbers, the worst cases, and what the
/// lint says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sheet {
    /// The operation, with its dependency: `inventory.reserve`.
    pub title: String,
    /// Its class, its requests, whether it acts.
    pub about: String,
    /// The six questions, answered.
    pub answers: Vec<(Question, String)>,
    /// The numbers, each with its name.
    pub numbers: Vec<(&'static str, String)>,
    /// What the lint says about it and its dependency.
    pub findings: Vec<Finding>,
}

/// A sheet for each operation of a file.
///
/// ```
/// use aplomb::policy::{PolicyFile, sheet};
///
/// let text = "version = 1\n[service]\nname = 'shop'\n[dependency.stock.operation.look]\nclass = 'read'";
/// let file = PolicyFile::parse("aplomb.toml", text)?;
/// let sheets: Vec<sheet::Sheet> = sheet::sheets(&file);
/// assert_eq!(sheets.len(), 1);
/// assert_eq!(sheets[0].answers.len(), 6);
/// assert!(sheet::html(&file).starts_with("<!doctype html>"));
/// # Ok::<(), aplomb::policy::Errors>(())
/// ```
#[must_use]
pub fn sheets(file: &PolicyFile) -> Vec<Sheet> {
    let findings = lint(file);
    let mut sheets = Vec::new();
    for dependency in file.dependencies() {
        let store = stored_per_call(file, dependency);
        let own: Vec<&Finding> =
            findings.iter().filter(|one| one.is_about(dependency.name())).collect();
        for operation in dependency.operations() {
            let worst = Worst::with_store(store, dependency, operation);
            let told = own.iter().filter(|one| one.concerns(operation.name()));
            sheets.push(Sheet {
                title: format!("{}.{}", dependency.name(), operation.name()),
                about: about(operation),
                answers: answers(file, operation.policy()),
                numbers: numbers(file, dependency, operation.policy(), &worst),
                findings: told.map(|one| (*one).clone()).collect(),
            });
        }
    }
    sheets
}

fn about(operation: &Operation) -> String {
    let requests: Vec<String> =
        operation.patterns().iter().map(std::string::ToString::to_string).collect();
    let requests = match &*requests {
        [] => "found by its name".to_owned(),
        requests => requests.join(", "),
    };
    let policy = operation.policy();
    format!("{} · {requests} · {}", policy.class(), policy.mode().as_str())
}

fn answers(file: &PolicyFile, policy: &Policy) -> Vec<(Question, String)> {
    let answer = |question| match question {
        Question::Transient => transient(policy.transient()).to_owned(),
        Question::Repeat => repeat(policy.repeat()),
        Question::Owner => {
            format!("{}, and nobody else", policy.owner().name(file.service().name()))
        }
        Question::Policy => in_words(policy),
        Question::Exhausted => exhausted(policy.when_exhausted()),
        Question::Observed => {
            let alerts: Vec<&str> = policy.alerts().iter().map(|alert| alert.as_str()).collect();
            format!("an alert watches {}", alerts.join(", "))
        }
    };
    Question::ALL.into_iter().map(|question| (question, answer(question))).collect()
}

const fn transient(transient: Transient) -> &'static str {
    match transient {
        Transient::Standard => {
            "unsent, timeouts, resets, 408, 425, 429, 500, 502, 503, 504; nothing else"
        }
        Transient::Grpc => {
            "UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, unsent; nothing else"
        }
        Transient::Unsent => "only what provably never reached the server",
    }
}

fn repeat(repeat: &Repeat) -> String {
    match repeat {
        Repeat::ByMethod => "as its method says; a POST is sent once".to_owned(),
        Repeat::WithKey(key) => {
            format!("with its key, from {}, kept for {}", key.from(), shown(key.kept()))
        }
        Repeat::Always => "always: it only reads".to_owned(),
        Repeat::Never => "never".to_owned(),
    }
}

fn in_words(policy: &Policy) -> String {
    let (attempts, one) = (policy.attempts().get(), shown(policy.attempt_timeout()));
    let total = shown(policy.total());
    let waits = policy.waits().map(waits).unwrap_or_default();
    let budget = policy.budget().map(|budget| {
        format!(
            "; each success earns {} of a retry, at most {} held",
            budget.ratio(),
            budget.held_at_most()
        )
    });
    let budget = budget.unwrap_or_default();
    let paused = match policy.when_paused() {
        WhenPaused::Wait => "",
        WhenPaused::Fail => "; waits for no open circuit",
    };
    match policy.pace() {
        Pace::Once => format!("sent once, {one} at most, {total} in total{paused}"),
        Pace::Waiting => {
            format!("{attempts} attempts of {one}, {total} in total{waits}{budget}{paused}")
        }
        Pace::Rescheduled => {
            format!("{attempts} runs of {one} within {total}, rescheduled{waits}{budget}{paused}")
        }
    }
}

fn waits(waits: Waits) -> String {
    let (base, cap) = (shown(waits.base()), shown(waits.cap()));
    format!("; waits from {base} doubling up to {cap}, {} jitter", waits.jitter_word())
}

fn exhausted(then: &WhenExhausted) -> String {
    match then {
        WhenExhausted::Fail => "a clear failure".to_owned(),
        WhenExhausted::Pending { horizon } => {
            format!("pending: settled with the same key within {}", shown(*horizon))
        }
        WhenExhausted::LastGood { fresh_for, stale_for } => format!(
            "the last good answer: fresh for {}, shown as old for {}, then none",
            shown(*fresh_for),
            shown(*stale_for)
        ),
        WhenExhausted::Degraded => "a poorer answer, marked as such".to_owned(),
        WhenExhausted::Call { dependency, time } => {
            format!("{dependency} is asked, for {} at most", shown(*time))
        }
        WhenExhausted::DeadLetter { redrive } => {
            format!("a dead letter, to be redriven within {}", shown(*redrive))
        }
        WhenExhausted::Drop => "dropped, and counted".to_owned(),
    }
}

fn numbers(
    file: &PolicyFile,
    dependency: &Dependency,
    policy: &Policy,
    worst: &Worst,
) -> Vec<(&'static str, String)> {
    let undeclared = || "not declared".to_owned();
    let rate = calls_per_second(file, dependency);
    let capacity = dependency.terms().capacity_per_second;
    let percent = |share: f64| format!("{} %", short(share * 100.0));
    let load = rate.zip(capacity).map(|(rate, capacity)| percent(rate / capacity));
    vec![
        ("longest time", format!("{} of {}", shown(worst.time), shown(policy.total()))),
        ("sends per call, no budgets", short(worst.sends_without_budgets)),
        ("sends per call, with budgets", short(worst.sends_with_budgets)),
        ("sends per call, all fail", short(worst.sends_when_nothing_succeeds)),
        ("safe utilisation", percent(worst.safe_utilisation())),
        ("utilisation", load.unwrap_or_else(undeclared)),
        ("calls per second", rate.map_or_else(undeclared, short)),
        ("capacity per second", capacity.map_or_else(undeclared, short)),
        ("processes", file.service().processes().to_string()),
    ]
}
