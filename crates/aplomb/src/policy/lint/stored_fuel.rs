use super::super::answers::BudgetTerms;
use super::super::dependency::Dependency;
use super::super::file::PolicyFile;
use super::finding::{Code, Finding, Severity};
use super::site::{about, short};
use super::worst::{MINUTE, affordable, budgets, burst, calls_per_second};

/// Stored fuel × fleet: what full budgets can send in the first minute of an outage.
///
/// A budget that looks small in one process is a storm's fuel in ten thousand.
pub(crate) fn check(file: &PolicyFile, dependency: &Dependency) -> Option<Finding> {
    let calls = calls_per_second(file, dependency)? * MINUTE;
    let budgets = budgets(dependency);
    let burst = burst(file, dependency);
    if burst <= calls * SHARE_MAX {
        return None;
    }
    let fleet = file.service().processes();
    let held: u32 = budgets.iter().map(BudgetTerms::held_at_most).sum();
    let stored = f64::from(held) * f64::from(fleet);
    let what = format!(
        "{fleet} processes hold {} retries when their budgets are full, and can make {} of them \
         while all fail: {} % more than the {} calls of a minute",
        short(stored),
        short(burst),
        short(burst / calls * 100.0),
        short(calls),
    );
    let code = (Code::StoredFuel, Severity::Warning);
    let finding = about(file, dependency, code, "budget", what, mend(&budgets, fleet, calls));
    Some(finding.numbers([
        ("fleet", f64::from(fleet)),
        ("stored_retries", stored),
        ("burst_retries", burst),
        ("calls_per_minute", calls),
        ("share_max", SHARE_MAX),
    ]))
}

/// The largest cap that passes, if any does.
fn mend(budgets: &[BudgetTerms], fleet: u32, calls: f64) -> String {
    let classes = f64::from(u32::try_from(budgets.len()).unwrap_or(u32::MAX));
    let ratio = budgets.first().map(BudgetTerms::ratio).unwrap_or_default();
    let burst = |cap: u32| {
        let each = affordable(BudgetTerms::earning(ratio).cap(cap));
        f64::from(each) * f64::from(fleet) * classes
    };
    let most = budgets.iter().map(BudgetTerms::held_at_most).max().unwrap_or(1);
    let fitting = (1..most).rev().find(|cap| burst(*cap) <= calls * SHARE_MAX);
    match fitting {
        Some(cap) => format!("give the budget cap = {cap}"),
        None => {
            "let one hop behind the fleet own the retries: even a cap of 1 is too much".to_owned()
        }
    }
}

/// 10,000 clients may make 17 % more sends than calls in the first minute of a total outage: the
/// goal that the budget was designed for.
const SHARE_MAX: f64 = 0.17;
