use super::super::dependency::Dependency;
use super::super::duration::shown;
use super::super::file::PolicyFile;
use super::super::operation::Operation;
use super::finding::{Code, Finding, Severity};
use super::site::about;

/// A breaker whose window is shorter than the timeout.
///
/// Calls that began before an outage fail after it left the window: they are seen one at a time.
pub(crate) fn check(file: &PolicyFile, dependency: &Dependency) -> Option<Finding> {
    let breaker = dependency.terms().breaker?;
    let timeout = |operation: &&Operation| operation.policy().attempt_timeout();
    let slowest = dependency.operations().max_by_key(timeout)?;
    let timeout = timeout(&slowest);
    if breaker.window >= timeout {
        return None;
    }
    let what = format!(
        "the breaker looks back {}, and an attempt of `{}` may take {}: what times out together is \
         no longer seen together",
        shown(breaker.window),
        slowest.name(),
        shown(timeout),
    );
    let mend = format!("give window at least \"{}\", better twice that", shown(timeout));
    let code = (Code::BreakerWindow, Severity::Warning);
    Some(about(file, dependency, code, "breaker", what, mend).numbers([
        ("window_seconds", breaker.window.as_secs_f64()),
        ("attempt_timeout_seconds", timeout.as_secs_f64()),
    ]))
}
