use super::super::answers::Owner;
use super::finding::{Code, Finding, Severity};
use super::site::Site;

/// Two owners for one dependency: hops that retry, and this service when it does.
///
/// The lowest hop that can retry safely owns simple failures; every other one sends once.
pub(crate) fn check(site: &Site<'_>) -> Option<Finding> {
    let (policy, me) = (site.policy(), site.file.service().name());
    let own = policy.attempts().get();
    let hops = site.dependency.terms().hops.iter().filter(|hop| hop.retries());
    let mut owners: Vec<(&str, u32)> = hops.map(|hop| (&*hop.name, hop.attempts.get())).collect();
    if own > 1 {
        owners.insert(0, (me, own));
    }
    let named = policy.owner().name(me);
    let retries_for_another = own > 1 && *policy.owner() != Owner::Here;
    if retries_for_another && !owners.iter().any(|(name, _)| *name == named) {
        owners.push((named, 0));
    }
    if owners.len() < 2 {
        return None;
    }
    let told = owners.iter().map(|(name, attempts)| match attempts {
        0 => format!("{name} (named the owner)"),
        attempts => format!("{name} ({attempts} attempts)"),
    });
    let told: Vec<String> = told.collect();
    let what = format!("the retries of one call have {} owners: {}", owners.len(), told.join(", "));
    let mend = if retries_for_another {
        format!("leave them to {named} with attempts = 1 here, or name owner = \"{me}\"")
    } else {
        format!("let {named} retry alone, and give the others attempts = 1")
    };
    let count = u32::try_from(owners.len()).unwrap_or(u32::MAX);
    let finding = site.finding((Code::TwoOwners, Severity::Error), "owner", what, mend);
    Some(finding.numbers([("owners", f64::from(count)), ("own_attempts", f64::from(own))]))
}
