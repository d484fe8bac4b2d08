use aplomb_core::OperationClass;

use super::super::answers::{Repeat, WhenExhausted};
use super::finding::{Code, Finding, Severity};
use super::site::Site;

/// Writes without a key that are sent again, by a retry or later.
pub(crate) fn check(site: &Site<'_>) -> Option<Finding> {
    let policy = site.policy();
    let is_write = match site.operation.patterns() {
        // The method is not known: its class tells.
        [] => matches!(
            policy.class(),
            OperationClass::KeyedWrite | OperationClass::Confirm | OperationClass::Deferred
        ),
        _ => site.operation.has_unsafe_method(),
    };
    if !is_write || !matches!(policy.repeat(), Repeat::ByMethod | Repeat::Never) {
        return None;
    }
    let attempts = policy.attempts().get();
    let (again, then) = match policy.when_exhausted() {
        _ if attempts > 1 => {
            (format!("{attempts} attempts are asked for"), "; at run time it is sent once")
        }
        WhenExhausted::Pending { .. } => ("what is pending is sent again later".to_owned(), ""),
        WhenExhausted::DeadLetter { .. } => ("dead letters are sent again later".to_owned(), ""),
        _ => return None,
    };
    let what = format!("{again}, and nothing keeps a second one from having a second effect{then}");
    let mend =
        "give it key = { from = \"…\", kept = \"24h\" }, or attempts = 1 and a clear failure";
    let finding = site.finding((Code::WriteWithoutKey, Severity::Error), "attempts", what, mend);
    Some(finding.numbers([("attempts", f64::from(attempts))]))
}
