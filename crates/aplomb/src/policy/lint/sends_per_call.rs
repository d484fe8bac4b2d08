use super::super::answers::Pace;
use super::finding::{Code, Finding, Severity};
use super::site::{Site, short};

/// Worst-case sends per call across declared hops and layers, with and without budgets.
pub(crate) fn check(site: &Site<'_>) -> Option<Finding> {
    let worst = site.worst();
    let (unpaid, paid) = (worst.sends_without_budgets, worst.sends_with_budgets);
    if unpaid <= SENDS_MAX {
        return None;
    }
    let severity = if paid > SENDS_MAX { Severity::Error } else { Severity::Warning };
    let own =
        if site.policy().pace() == Pace::Waiting { site.policy().attempts().get() } else { 1 };
    let hops = site.dependency.terms().hops.iter();
    let factors = hops.map(|hop| format!(" × {} at {}", hop.attempts, hop.name));
    let what = format!(
        "one call can become {} sends: {own} here{}; {} with budgets; more than {SENDS_MAX} help \
         nobody",
        short(unpaid),
        factors.collect::<String>(),
        short(paid),
    );
    let mend = "let one hop retry and give the others attempts = 1; or give this one fewer";
    let finding = site.finding((Code::SendsPerCall, severity), "attempts", what, mend);
    Some(finding.numbers([
        ("sends_without_budgets", unpaid),
        ("sends_with_budgets", paid),
        ("sends_max", SENDS_MAX),
    ]))
}

/// gRPC takes more attempts for five (gRFC A6, *Validation of retryPolicy*).
const SENDS_MAX: f64 = 5.0;
