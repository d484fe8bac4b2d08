use super::super::duration::shown;
use super::super::value::Policy;
use super::finding::{Code, Finding, Severity};
use super::site::Site;
use super::worst::earliest_start;

/// Attempts that can never run, when those before them take all their time.
pub(crate) fn check(site: &Site<'_>) -> Option<Finding> {
    let policy = site.policy();
    let first = first(policy)?;
    let (last, total) = (policy.attempts().get(), policy.total());
    let start = earliest_start(policy, first);
    let which = if first == last {
        format!("attempt {first} of {last} never runs")
    } else {
        format!("attempts {first} to {last} never run")
    };
    let what = format!(
        "when the dependency is slow, {which}: {} attempts of {} are over after {} at the \
         earliest, and the call has {}",
        first - 1,
        shown(policy.attempt_timeout()),
        shown(start),
        shown(total),
    );
    let mend =
        format!("give attempts = {}, a longer total or a shorter attempt_timeout", first - 1);
    let code = (Code::AttemptNeverRuns, Severity::Error);
    Some(site.finding(code, "attempts", what, mend).numbers([
        ("attempts", f64::from(last)),
        ("first_that_never_runs", f64::from(first)),
        ("earliest_start_seconds", start.as_secs_f64()),
        ("total_seconds", total.as_secs_f64()),
    ]))
}

/// The first attempt that never runs.
pub(crate) fn first(policy: &Policy) -> Option<u32> {
    // Where not even one attempt has its time, that is told instead.
    if policy.attempt_timeout() > policy.total() {
        return None;
    }
    let mut attempts = 2..=policy.attempts().get();
    attempts.find(|attempt| earliest_start(policy, *attempt) >= policy.total())
}
