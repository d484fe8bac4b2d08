use std::collections::BTreeMap;
use std::iter;

use super::super::answers::WhenExhausted;
use super::super::file::PolicyFile;
use super::finding::{Code, Finding, Severity};
use super::site::{Fallbacks, Site};

/// A fallback that calls the dependency it stands in for, itself or through another one's fallback.
pub(crate) fn check(site: &Site<'_>) -> Option<Finding> {
    let WhenExhausted::Call { dependency, .. } = site.policy().when_exhausted() else {
        return None;
    };
    let home = site.dependency.name();
    let way = way(site.fallbacks, dependency, home)?;
    let what = format!(
        "when {home} fails, its calls go to {}: a fallback must not need what it stands in for",
        way.join(", then "),
    );
    let mend = "fall back on something else: a last good answer, a poorer one made here";
    let finding = site.finding((Code::FallbackLoop, Severity::Error), "when_exhausted", what, mend);
    let steps = u32::try_from(way.len()).unwrap_or(u32::MAX);
    Some(finding.numbers([("steps", f64::from(steps))]))
}

/// Which dependencies each one's fallbacks call.
pub(crate) fn all(file: &PolicyFile) -> Fallbacks<'_> {
    let edges = file.operations().filter_map(|(dependency, operation)| {
        match operation.policy().when_exhausted() {
            WhenExhausted::Call { dependency: next, .. } => Some((dependency.name(), &**next)),
            _ => None,
        }
    });
    let mut all = Fallbacks::new();
    for (from, to) in edges {
        all.entry(from).or_default().insert(to);
    }
    all
}

/// The fallbacks that lead from one dependency to another; none when none do.
fn way<'a>(all: &'a Fallbacks<'a>, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
    // Each dependency that was reached, with the one before it.
    let mut reached = BTreeMap::from([(from, None)]);
    let mut open = vec![from];
    while let Some(last) = open.pop() {
        if last == to {
            let before = |name: &&'a str| reached.get(name).copied().flatten();
            let mut way: Vec<&str> = iter::successors(Some(last), before).collect();
            way.reverse();
            return Some(way);
        }
        for next in all.get(last).into_iter().flatten() {
            if !reached.contains_key(next) {
                reached.insert(next, Some(last));
                open.push(next);
            }
        }
    }
    None
}
