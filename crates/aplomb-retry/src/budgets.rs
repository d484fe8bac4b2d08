use std::sync::Arc;

use aplomb_core::{OperationClass, Request};
use dashmap::DashMap;

use crate::budget::{Budget, Terms};

/// A budget for each authority and class of operation, made as they come.
///
/// One client may call many dependencies: an outage of one must not use up what another has earned,
/// nor the retries of background work those that a user waits for. Clones share all of them.
///
/// ```
/// use aplomb_core::{OperationClass, Ratio};
/// use aplomb_retry::{Budgets, Cost, Terms};
///
/// let budgets = Budgets::new(Terms::earning(Ratio::percent(20)).cap(1));
/// let reads = budgets.of("stock:7001", OperationClass::Read);
/// reads.withdraw(Cost::ONE).expect("it holds one").sent().failed();
/// assert_eq!(budgets.of("stock:7001", OperationClass::Read).balance(), 0.0);
/// assert_eq!(budgets.of("ships:7002", OperationClass::Read).balance(), 1.0);
/// ```
#[derive(Clone, Debug)]
pub struct Budgets {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    terms: Terms,
    known: DashMap<Box<str>, Classes>,
    others: Budget,
}

/// The budgets of one authority, in the order of the classes.
type Classes = Box<[Budget]>;

impl Budgets {
    /// Budgets on these terms, each.
    pub fn new(terms: Terms) -> Self {
        let (known, others) = (DashMap::new(), Budget::new(terms));
        Self { shared: Arc::new(Shared { terms, known, others }) }
    }

    /// The budget of one class of operation at one authority.
    ///
    /// At most 1,024 authorities are told apart; all others share one budget. Authorities may be
    /// chosen by strangers, and a map that grows with them is a leak.
    pub fn of(&self, authority: &str, class: OperationClass) -> Budget {
        let Shared { terms, known, others } = &*self.shared;
        if let Some(classes) = known.get(authority) {
            return pick(&classes, class).unwrap_or(others).clone();
        }
        if known.len() >= AUTHORITIES_MAX {
            return others.clone();
        }
        let new = || OperationClass::ALL.iter().map(|_| Budget::new(*terms)).collect();
        let classes = known.entry(authority.into()).or_insert_with(new);
        pick(&classes, class).unwrap_or(others).clone()
    }
}

fn pick(classes: &Classes, class: OperationClass) -> Option<&Budget> {
    classes.get(OperationClass::ALL.iter().position(|of| *of == class)?)
}

/// Where a call's retries are paid from.
///
/// ```
/// use aplomb_core::Ratio;
/// use aplomb_retry::{Budget, Budgets, Purse, RetryLayer, Terms};
///
/// // One budget for all calls, or one for each authority and class of operation.
/// let one: Purse = Budget::percent(20).into();
/// let each: Purse = Budgets::new(Terms::earning(Ratio::percent(20))).into();
/// let layers = [RetryLayer::new(one), RetryLayer::new(each)];
/// # let _ = layers;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Purse {
    /// One budget for all calls.
    One(Budget),
    /// A budget for each authority and class of operation.
    Each(Budgets),
}

impl Purse {
    /// A budget that belongs to this request; none when all share one.
    #[inline]
    pub(crate) fn own(&self, request: &impl Request) -> Option<Budget> {
        match self {
            Self::One(_) => None,
            Self::Each(budgets) => {
                Some(budgets.of(request.authority().unwrap_or_default(), request.class()))
            }
        }
    }

    /// The budget of a call that was given `own`.
    #[inline]
    pub(crate) fn open<'a>(&'a self, own: Option<&'a Budget>) -> &'a Budget {
        match (self, own) {
            (_, Some(own)) => own,
            (Self::One(budget), None) => budget,
            (Self::Each(budgets), None) => &budgets.shared.others,
        }
    }
}

impl From<Budget> for Purse {
    fn from(budget: Budget) -> Self {
        Self::One(budget)
    }
}

impl From<Budgets> for Purse {
    fn from(budgets: Budgets) -> Self {
        Self::Each(budgets)
    }
}

/// More dependencies than any service has, fewer than would hurt.
const AUTHORITIES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cost;
    use aplomb_core::Ratio;

    #[test]
    fn one_dependencys_outage_leaves_the_others_their_budget() {
        let budgets = Budgets::new(Terms::earning(Ratio::percent(20)).cap(1));
        let spent = budgets.of("a", OperationClass::Read).withdraw(Cost::ONE).unwrap().sent();
        spent.failed();
        let left = |authority, class| budgets.of(authority, class).withdraw(Cost::ONE).is_some();
        assert!(!left("a", OperationClass::Read));
        assert!(left("b", OperationClass::Read));
        assert!(left("a", OperationClass::Deferred));
    }

    #[test]
    fn strangers_cannot_make_the_map_grow_for_ever() {
        let budgets = Budgets::new(Terms::earning(Ratio::percent(20)));
        for stranger in 0..10 * AUTHORITIES_MAX {
            budgets.of(&stranger.to_string(), OperationClass::Read);
        }
        assert_eq!(budgets.shared.known.len(), AUTHORITIES_MAX);
    }
}
