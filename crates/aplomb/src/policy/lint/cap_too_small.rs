use std::time::Duration;

use super::super::duration::shown;
use super::finding::{Code, Finding, Severity};
use super::site::{Site, short};

/// A backoff too short for the fleet: cap ≥ 2 · (fleet / capacity − timeout).
///
/// One attempt of every process takes the dependency fleet / capacity. The fleet comes back spread
/// over its timeout and its wait, half of the ceiling on average; when that is sooner, each round
/// of retries arrives before the last one is served.
pub(crate) fn check(site: &Site<'_>) -> Option<Finding> {
    let policy = site.policy();
    let waits = policy.waits()?;
    let capacity = site.dependency.terms().capacity_per_second?;
    let fleet = f64::from(site.file.service().processes());
    let served_in = fleet / capacity;
    let needed = 2.0 * (served_in - policy.attempt_timeout().as_secs_f64());
    // The cap itself, where the attempts reach it.
    let widest = waits.longest(policy.attempts().get().saturating_sub(1));
    if widest.as_secs_f64() >= needed {
        return None;
    }
    let needed = Duration::try_from_secs_f64(needed).unwrap_or(Duration::MAX);
    let what = format!(
        "one attempt of {} processes takes the dependency {} to serve; their longest wait is {}, \
         and half of it and the timeout of {} are over before",
        short(fleet),
        shown(Duration::try_from_secs_f64(served_in).unwrap_or(Duration::MAX)),
        shown(widest),
        shown(policy.attempt_timeout()),
    );
    let mend = if waits.cap() < needed {
        format!("give backoff a cap, and a base that reaches it, of at least \"{}\"", shown(needed))
    } else {
        format!("give backoff a base whose last wait is at least \"{}\"", shown(needed))
    };
    let finding = site.finding((Code::CapTooSmall, Severity::Warning), "backoff", what, mend);
    Some(finding.numbers([
        ("fleet", fleet),
        ("capacity_per_second", capacity),
        ("longest_wait_seconds", widest.as_secs_f64()),
        ("needed_seconds", needed.as_secs_f64()),
    ]))
}
