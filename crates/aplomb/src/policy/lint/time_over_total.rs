use super::super::answers::Pace;
use super::super::duration::shown;
use super::attempt_never_runs;
use super::finding::{Code, Finding, Severity};
use super::site::Site;

/// Worst-case time against the total.
pub(crate) fn check(site: &Site<'_>) -> Option<Finding> {
    let policy = site.policy();
    let (worst, total) = (site.worst().time, policy.total());
    // Attempts that never run are told by their own code, with their own numbers.
    if worst <= total || attempt_never_runs::first(policy).is_some() {
        return None;
    }
    let one = policy.attempt_timeout();
    let (severity, what, mend) = match policy.pace() {
        _ if one > total => (
            Severity::Error,
            format!("one attempt may take {}, the whole call {}", shown(one), shown(total)),
            format!("give attempt_timeout at most \"{}\"", shown(total)),
        ),
        Pace::Once => return None,
        Pace::Waiting | Pace::Rescheduled => (
            Severity::Warning,
            format!(
                "{} attempts of {} and their waits can take {}; the call has {}, so that the last \
                 attempt is cut short or not made",
                policy.attempts().get(),
                shown(one),
                shown(worst),
                shown(total),
            ),
            format!("give total at least \"{}\", or shorter or fewer attempts", shown(worst)),
        ),
    };
    let finding = site.finding((Code::TimeOverTotal, severity), "total", what, mend);
    Some(finding.numbers([
        ("worst_seconds", worst.as_secs_f64()),
        ("total_seconds", total.as_secs_f64()),
        ("attempt_timeout_seconds", one.as_secs_f64()),
    ]))
}
