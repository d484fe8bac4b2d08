//! What is in force, as `GET /policies` shows it.

use std::time::Duration;

use aplomb::backoff::Jitter;
use aplomb::policy::sheet::{Sheet, sheets};
use aplomb::policy::{BreakerTerms, Dependency, Operation, Policy, PolicyFile, Question, Waits};
use serde_json::{Map, Value, json};

use super::follow::InForce;

/// Each policy in force with its six answers and where they are written; and, if the file has a text
/// that is not in force, why not.
pub(crate) fn document(in_force: &InForce, haste: u32) -> Value {
    let file = in_force.file();
    let sheets = sheets(&file);
    let policies: Vec<Value> = file
        .operations()
        .zip(&sheets)
        .map(|((dependency, operation), sheet)| policy(&file, dependency, operation, sheet))
        .collect();
    json!({
        "file": file.name(),
        "service": file.service().name(),
        "not_in_force": in_force.trouble(),
        "rescheduled_faster_by": haste,
        "policies": policies,
    })
}

fn policy(
    file: &PolicyFile,
    dependency: &Dependency,
    operation: &Operation,
    sheet: &Sheet,
) -> Value {
    let (policy, terms) = (operation.policy(), dependency.terms());
    let requests: Vec<_> = operation.patterns().iter().map(ToString::to_string).collect();
    let alerts: Vec<_> = policy.alerts().iter().map(|alert| alert.as_str()).collect();
    let key = policy.key().map(|key| json!({ "from": key.from(), "kept_ms": millis(key.kept()) }));
    let in_flight =
        terms.in_flight.map(|terms| json!({ "limit": terms.limit, "wait_ms": millis(terms.wait) }));
    json!({
        "operation": operation.name(),
        "dependency": dependency.name(),
        "class": policy.class().as_str(),
        "match": requests,
        "mode": policy.mode().as_str(),
        "transient": policy.transient().as_str(),
        "repeat": policy.repeat().as_str(),
        "key": key,
        "owner": policy.owner().name(file.service().name()),
        "attempts": policy.attempts().get(),
        "attempt_timeout_ms": millis(policy.attempt_timeout()),
        "total_ms": millis(policy.total()),
        "backoff": policy.waits().map(waits),
        "budget": budget(policy),
        "circuit": terms.breaker.map(circuit),
        "in_flight": in_flight,
        "when_paused": policy.when_paused().as_str(),
        "when_exhausted": policy.when_exhausted().as_str(),
        "alerts": alerts,
        "answers": answers(sheet),
        "written": written(file.name(), dependency, operation),
    })
}

/// Question by question, in words.
fn answers(sheet: &Sheet) -> Vec<Value> {
    let answer = |(question, answer): &(Question, String)| json!({ "question": question.as_str(), "answer": answer });
    sheet.answers.iter().map(answer).collect()
}

/// Where each value stands that does not come from the preset of its class.
fn written(file: &str, dependency: &Dependency, operation: &Operation) -> Map<String, Value> {
    let of_operation =
        OF_OPERATION.iter().filter_map(|key| Some((*key, operation.written_at(key)?)));
    let shared = OF_DEPENDENCY.iter().filter_map(|key| Some((*key, dependency.written_at(key)?)));
    let place = |(key, at): (&str, _)| (key.to_owned(), format!("{file}:{at}").into());
    of_operation.chain(shared).map(place).collect()
}

fn waits(waits: Waits) -> Value {
    let jitter = match waits.jitter() {
        Jitter::Full => "full",
        Jitter::Equal => "equal",
        Jitter::Decorrelated => "decorrelated",
        _ => "none",
    };
    json!({ "jitter": jitter, "base_ms": millis(waits.base()), "cap_ms": millis(waits.cap()) })
}

fn budget(policy: &Policy) -> Option<Value> {
    policy.budget().map(|terms| {
        json!({
            "earned_percent": terms.ratio().as_f64() * 100.0,
            "held_at_most": terms.held_at_most(),
            "shared_by": policy.class().as_str(),
        })
    })
}

fn circuit(terms: BreakerTerms) -> Value {
    let (first, longest) = terms.open_for;
    json!({
        "opens_at_failed_percent": terms.failure_ratio.as_f64() * 100.0,
        "of_at_least": terms.minimum_calls,
        "in_ms": millis(terms.window),
        "or_failed_in_a_row": terms.failures_in_a_row,
        "or_unsent_in_a_row": terms.unsent_in_a_row,
        "open_ms": { "jitter": "equal", "first": millis(first), "longest": millis(longest) },
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

const OF_OPERATION: [&str; 14] = [
    "class",
    "match",
    "mode",
    "transient",
    "repeat",
    "key",
    "owner",
    "attempts",
    "attempt_timeout",
    "total",
    "backoff",
    "when_paused",
    "when_exhausted",
    "observe",
];
const OF_DEPENDENCY: [&str; 3] = ["budget", "breaker", "in_flight"];
