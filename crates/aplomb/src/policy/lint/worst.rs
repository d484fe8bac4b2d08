//! Worst cases: the arithmetic that findings and decision sheets share.

use std::collections::BTreeSet;
use std::time::Duration;

use aplomb_core::OperationClass;
use aplomb_retry::Cost;

use super::super::answers::{BudgetTerms, Pace};
use super::super::dependency::{Dependency, Hop};
use super::super::file::PolicyFile;
use super::super::operation::Operation;
use super::super::value::Policy;

/// What one operation costs at worst.
///
/// Sends multiply from hop to hop: three attempts at three hops are 27 sends (Google, *Site
/// Reliability Engineering*, chapter 22). A budget bounds them: over a minute there are no more
/// than the calls, what their successes earn, and what was in store. When nothing succeeds nothing
/// is earned, and the store is what is left (Bronson et al., *Metastable Failures in Distributed
/// Systems*, `HotOS` 2021: a system that sends A times as much while it fails recovers by itself
/// only below 1/A of its capacity).
///
/// ```
/// use aplomb::policy::{PolicyFile, Worst};
///
/// let text = "version = 1\n[service]\nname = 'shop'\n[dependency.stock.operation.look]\nclass = 'read'";
/// let file = PolicyFile::parse("aplomb.toml", text)?;
/// for (dependency, operation) in file.operations() {
///     let worst = Worst::of(&file, dependency, operation);
///     assert!(worst.sends_with_budgets <= worst.sends_without_budgets);
/// }
/// # Ok::<(), aplomb::policy::Errors>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Worst {
    /// Sends of one call, if every budget were endless.
    pub sends_without_budgets: f64,
    /// Sends per call over a minute, budgets and all.
    pub sends_with_budgets: f64,
    /// Sends per call over a minute in which nothing succeeds: A.
    pub sends_when_nothing_succeeds: f64,
    /// The longest that all attempts and waits can take.
    pub time: Duration,
}

impl Worst {
    /// Of one operation of a dependency.
    ///
    /// Looks at all operations of the dependency, since they share its budgets.
    pub fn of(file: &PolicyFile, dependency: &Dependency, operation: &Operation) -> Self {
        Self::with_store(stored_per_call(file, dependency), dependency, operation)
    }

    /// The same, where the retries in store for each call are known.
    pub(crate) fn with_store(store: f64, dependency: &Dependency, operation: &Operation) -> Self {
        let policy = operation.policy();
        let attempts = match policy.pace() {
            // Rescheduled attempts are hours apart: no storm is made of them.
            Pace::Rescheduled => 1.0,
            _ => f64::from(policy.attempts().get()),
        };
        let ratio = policy.budget().map_or(0.0, |terms| terms.ratio().as_f64());
        let hops =
            |sends: fn(&Hop) -> f64| dependency.terms().hops.iter().map(sends).product::<f64>();
        Self {
            sends_without_budgets: attempts * hops(unpaid),
            sends_with_budgets: attempts.min(1.0 + ratio + store) * hops(paid),
            sends_when_nothing_succeeds: attempts.min(1.0 + store) * hops(paid),
            time: longest(policy),
        }
    }

    /// The share of its capacity under which the dependency comes back by itself: 1/A.
    pub fn safe_utilisation(&self) -> f64 {
        1.0 / self.sends_when_nothing_succeeds.max(1.0)
    }
}

fn unpaid(hop: &Hop) -> f64 {
    f64::from(hop.attempts.get())
}

/// Nobody knows what a hop has in store; what it earns is the least that it spends.
fn paid(hop: &Hop) -> f64 {
    match hop.budget {
        Some(ratio) => unpaid(hop).min(1.0 + ratio.as_f64()),
        None => unpaid(hop),
    }
}

/// All attempts take their whole time, and all waits are the longest.
fn longest(policy: &Policy) -> Duration {
    let attempts = policy.attempts().get();
    let waits = policy.waits().map_or(Duration::ZERO, |waits| {
        (1..attempts)
            .map(|retry| waits.longest(retry))
            .fold(Duration::ZERO, Duration::saturating_add)
    });
    policy.attempt_timeout().saturating_mul(attempts).saturating_add(waits)
}

/// When an attempt starts at the earliest, if all before it time out: waits at their shortest.
pub(crate) fn earliest_start(policy: &Policy, attempt: u32) -> Duration {
    let waits = policy.waits();
    let before = (1..attempt).map(|retry| {
        let wait = waits.map_or(Duration::ZERO, |waits| waits.shortest(retry));
        policy.attempt_timeout().saturating_add(wait)
    });
    before.fold(Duration::ZERO, Duration::saturating_add)
}

/// The calls a second that go to a dependency, from all processes together: what it declares, else
/// the sum of what its operations declare, else all that the service takes.
pub(crate) fn calls_per_second(file: &PolicyFile, dependency: &Dependency) -> Option<f64> {
    let own = dependency.terms().calls_per_second;
    let operations = || {
        let rates = dependency.operations().map(Operation::calls_per_second);
        rates.sum::<Option<f64>>().filter(|sum| *sum > 0.0)
    };
    own.or_else(operations).or(file.service().declared_calls_per_second())
}

/// The retries that a full budget affords while all of them fail.
///
/// Told by the budget's own machine: the price of a retry rises while retries fail, and is lowest
/// after one that succeeded.
pub(crate) fn affordable(terms: BudgetTerms) -> u32 {
    let mut account = terms.cap(terms.held_at_most()).terms().open().retry_succeeded();
    let mut retries = 0;
    while let Some((left, _)) = account.withdraw(Cost::ONE) {
        account = left.retry_failed();
        retries += 1;
    }
    retries
}

/// The budgets that every process has for a dependency: one for each class that retries.
pub(crate) fn budgets(dependency: &Dependency) -> Vec<BudgetTerms> {
    let retrying = dependency.operations().map(Operation::policy);
    let mut seen: BTreeSet<OperationClass> = BTreeSet::new();
    let new = retrying.filter_map(|policy| Some((policy.class(), policy.budget()?)));
    new.filter(|(class, _)| seen.insert(*class)).map(|(_, terms)| terms).collect()
}

/// The retries that all processes together can make while nothing succeeds.
pub(crate) fn burst(file: &PolicyFile, dependency: &Dependency) -> f64 {
    let each: u32 = budgets(dependency).into_iter().map(affordable).sum();
    f64::from(each) * f64::from(file.service().processes())
}

/// The same, for each call in the first minute. Nothing is known without a rate.
pub(crate) fn stored_per_call(file: &PolicyFile, dependency: &Dependency) -> f64 {
    let calls = calls_per_second(file, dependency).map(|rate| rate * MINUTE);
    calls.map_or(0.0, |calls| burst(file, dependency) / calls)
}

/// Budgets are judged by the first minute of an outage, as their goals are.
pub(crate) const MINUTE: f64 = 60.0;

#[cfg(test)]
mod tests {
    use aplomb_core::Ratio;

    use super::*;

    #[test]
    fn a_full_budget_affords_a_few_retries_that_fail() {
        // 1, then 4 after a retry that succeeded, then 16, which ten do not hold.
        for (cap, retries) in [(1, 1), (4, 1), (5, 2), (10, 2), (20, 2), (21, 3), (1_000, 64)] {
            let terms = BudgetTerms::earning(Ratio::percent(20)).cap(cap).initial(0);
            assert_eq!(affordable(terms), retries, "cap {cap}");
        }
    }
}
