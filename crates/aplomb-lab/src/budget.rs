//! What pays for the clients' retries.

use aplomb_core::Failure;
use aplomb_retry::{Account, Cost, Terms};

use crate::model::{Funding, Model};
use crate::tower::{TowerBudget, TowerTerms};
use crate::units::index;

/// The budgets of all clients, one each.
#[derive(Debug)]
pub(crate) enum Budgets {
    None,
    PerCall(Buckets),
    PerSuccess(Buckets),
    Tower(TowerTerms, Vec<TowerBudget>),
    Aplomb(Terms, Vec<Account>),
}

impl Budgets {
    pub(crate) fn new(model: &Model, owners: u64) -> Self {
        let owners = index(owners);
        let initial = model.budget_initial.unwrap_or(model.budget_cap);
        match model.budget {
            Funding::None => Self::None,
            Funding::PerCall => Self::PerCall(Buckets::new(model, owners)),
            Funding::PerSuccess => Self::PerSuccess(Buckets::new(model, owners)),
            Funding::Tower => {
                let terms = TowerTerms::new(model.ratio, model.budget_floor);
                Self::Tower(terms, vec![TowerBudget::default(); owners])
            }
            Funding::Aplomb => {
                let terms = Terms::earning(model.ratio).cap(model.budget_cap).initial(initial);
                Self::Aplomb(terms, vec![terms.open(); owners])
            }
        }
    }

    /// A call is about to be sent.
    pub(crate) fn call_begins(&mut self, owner: u32, now: u64) {
        match self {
            Self::PerCall(buckets) => buckets.deposit(owner),
            Self::Tower(terms, budgets) => at(budgets, owner).deposit(terms, now),
            Self::None | Self::PerSuccess(_) | Self::Aplomb(..) => {}
        }
    }

    /// A call succeeded at its first try.
    pub(crate) fn first_try_succeeded(&mut self, owner: u32) {
        match self {
            Self::PerSuccess(buckets) => buckets.deposit(owner),
            Self::Aplomb(terms, accounts) => {
                let account = at(accounts, owner);
                *account = account.deposit(terms);
            }
            Self::None | Self::PerCall(_) | Self::Tower(..) => {}
        }
    }

    /// A retry succeeded.
    pub(crate) fn retry_succeeded(&mut self, owner: u32) {
        if let Self::Aplomb(_, accounts) = self {
            let account = at(accounts, owner);
            *account = account.retry_succeeded();
        }
    }

    /// A retry failed.
    pub(crate) fn retry_failed(&mut self, owner: u32) {
        if let Self::Aplomb(_, accounts) = self {
            let account = at(accounts, owner);
            *account = account.retry_failed();
        }
    }

    /// A retry is asked for after this failure; only aplomb's budget asks what it was.
    pub(crate) fn withdraw(&mut self, owner: u32, failure: &Failure, now: u64) -> bool {
        match self {
            Self::None => true,
            Self::PerCall(buckets) | Self::PerSuccess(buckets) => buckets.withdraw(owner),
            Self::Tower(terms, budgets) => at(budgets, owner).withdraw(terms, now),
            Self::Aplomb(_, accounts) => {
                let account = at(accounts, owner);
                let Some((left, _)) = account.withdraw(Cost::of(failure)) else {
                    return false;
                };
                *account = left;
                true
            }
        }
    }

    /// How many retries at the lowest price an owner holds; endless without a budget.
    pub(crate) fn balance(&self, owner: u32) -> f64 {
        let place = index(owner.into());
        match self {
            Self::None => f64::INFINITY,
            Self::PerCall(buckets) | Self::PerSuccess(buckets) => {
                f64::from(buckets.held[place]) / f64::from(UNIT)
            }
            Self::Tower(terms, budgets) => budgets[place].balance(terms),
            Self::Aplomb(_, accounts) => accounts[place].balance(),
        }
    }

    /// Bytes a client.
    pub(crate) fn bytes(model: &Model) -> u64 {
        let bytes = match model.budget {
            Funding::None => 0,
            Funding::PerCall | Funding::PerSuccess => size_of::<u32>(),
            Funding::Tower => size_of::<TowerBudget>(),
            Funding::Aplomb => size_of::<Account>(),
        };
        bytes as u64
    }
}

/// Plain buckets, in millionths of a retry.
#[derive(Debug)]
pub(crate) struct Buckets {
    earned: u32,
    cap: u32,
    held: Vec<u32>,
}

impl Buckets {
    fn new(model: &Model, owners: usize) -> Self {
        let initial = model.budget_initial.unwrap_or(model.budget_cap);
        Self {
            earned: model.ratio.millionths(),
            cap: model.budget_cap * UNIT,
            held: vec![initial * UNIT; owners],
        }
    }

    fn deposit(&mut self, owner: u32) {
        let held = at(&mut self.held, owner);
        *held = (*held + self.earned).min(self.cap);
    }

    fn withdraw(&mut self, owner: u32) -> bool {
        let held = at(&mut self.held, owner);
        let left = held.checked_sub(UNIT);
        *held = left.unwrap_or(*held);
        left.is_some()
    }
}

fn at<T>(owners: &mut [T], owner: u32) -> &mut T {
    &mut owners[index(owner.into())]
}

/// One retry.
const UNIT: u32 = 1_000_000;
