use aplomb_backoff::Jitter;

use super::super::duration::shown;
use super::finding::{Code, Finding, Severity};
use super::site::Site;

/// Waits without jitter: callers that fail together come back together.
pub(crate) fn check(site: &Site<'_>) -> Option<Finding> {
    let waits = site.policy().waits()?;
    if waits.jitter() != Jitter::None {
        return None;
    }
    let fleet = site.file.service().processes();
    let what = format!(
        "without jitter every call that failed at one moment comes back at one moment, {} later, \
         from {fleet} {}",
        shown(waits.longest(1)),
        if fleet == 1 { "process" } else { "processes" },
    );
    let mend = "give backoff jitter = \"full\": it spreads best";
    let finding = site.finding((Code::NoJitter, Severity::Error), "backoff", what, mend);
    Some(finding.numbers([
        ("fleet", f64::from(fleet)),
        ("first_wait_seconds", waits.longest(1).as_secs_f64()),
    ]))
}
