//! What pays for the clients' retries.

use aplomb_core::{Failure, Ratio};
use aplomb_retry::{Account, Cost, Terms};

use crate::model::Model;
use crate::peers::{AwsQuota, FinagleBudget, FinagleTerms, GrpcTerms, GrpcThrottle};
use crate::tower::{TowerBudget, TowerTerms};
use crate::units::index;
use crate::words::Funding;

/// The budgets of all clients, one each.
#[derive(Debug)]
pub(crate) enum Budgets {
    None,
    PerCall(Buckets),
    PerSuccess(Buckets),
    Tower(TowerTerms, Vec<TowerBudget>),
    Grpc(GrpcTerms, Vec<GrpcThrottle>),
    Aws(Vec<AwsQuota>),
    Finagle(FinagleTerms, Vec<FinagleBudget>),
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
            Funding::Grpc => {
                let terms = GrpcTerms::new(model.budget_cap, model.ratio);
                Self::Grpc(terms, vec![terms.full(); owners])
            }
            Funding::Aws => Self::Aws(vec![AwsQuota::FULL; owners]),
            Funding::Finagle => {
                let terms = FinagleTerms::new(model.ratio, model.budget_floor);
                Self::Finagle(terms, vec![FinagleBudget::default(); owners])
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
            Self::Finagle(terms, budgets) => at(budgets, owner).deposit(terms, now),
            Self::None | Self::PerSuccess(_) | Self::Grpc(..) | Self::Aws(_) | Self::Aplomb(..) => {
            }
        }
    }

    /// A call succeeded at its first try.
    pub(crate) fn first_try_succeeded(&mut self, owner: u32) {
        match self {
            Self::PerSuccess(buckets) => buckets.deposit(owner),
            Self::Grpc(terms, throttles) => at(throttles, owner).succeeded(*terms),
            Self::Aws(quotas) => at(quotas, owner).succeeded(None),
            Self::Aplomb(terms, accounts) => {
                let account = at(accounts, owner);
                *account = account.deposit(terms);
            }
            Self::None | Self::PerCall(_) | Self::Tower(..) | Self::Finagle(..) => {}
        }
    }

    /// A retry, which was paid for with so much, succeeded.
    pub(crate) fn retry_succeeded(&mut self, owner: u32, paid: u8) {
        match self {
            Self::Grpc(terms, throttles) => at(throttles, owner).succeeded(*terms),
            Self::Aws(quotas) => at(quotas, owner).succeeded(Some(paid)),
            Self::Aplomb(_, accounts) => {
                let account = at(accounts, owner);
                *account = account.retry_succeeded();
            }
            _ => {}
        }
    }

    /// An attempt failed at the dependency, a first one or a retry.
    pub(crate) fn failed(&mut self, owner: u32, is_retry: bool) {
        match self {
            Self::Grpc(_, throttles) => at(throttles, owner).failed(),
            Self::Aplomb(_, accounts) if is_retry => {
                let account = at(accounts, owner);
                *account = account.retry_failed();
            }
            _ => {}
        }
    }

    /// A retry is asked for after this failure: what was paid, if it is granted.
    ///
    /// What was not sent costs aplomb's budget nothing; those of others do not know such failures.
    pub(crate) fn withdraw(
        &mut self,
        owner: u32,
        failure: &Failure,
        cost: Cost,
        now: u64,
    ) -> Option<u8> {
        let granted = match self {
            Self::None => true,
            Self::PerCall(buckets) | Self::PerSuccess(buckets) => buckets.withdraw(owner),
            Self::Tower(terms, budgets) => at(budgets, owner).withdraw(terms, now),
            Self::Grpc(terms, throttles) => at(throttles, owner).allows(*terms),
            Self::Aws(quotas) => return at(quotas, owner).withdraw(failure),
            Self::Finagle(terms, budgets) => at(budgets, owner).withdraw(terms, now),
            Self::Aplomb(_, accounts) => {
                let account = at(accounts, owner);
                let (left, _) = account.withdraw(cost)?;
                *account = left;
                true
            }
        };
        granted.then_some(0)
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
            Self::Grpc(terms, throttles) => throttles[place].balance(*terms),
            Self::Aws(quotas) => quotas[place].balance(),
            Self::Finagle(terms, budgets) => budgets[place].balance(terms),
            Self::Aplomb(_, accounts) => accounts[place].balance(),
        }
    }

    /// Bytes a client.
    pub(crate) fn bytes(model: &Model) -> u64 {
        let bytes = match model.budget {
            Funding::None => 0,
            Funding::PerCall | Funding::PerSuccess => size_of::<u32>(),
            Funding::Tower => size_of::<TowerBudget>(),
            Funding::Grpc => size_of::<GrpcThrottle>(),
            Funding::Aws => size_of::<AwsQuota>(),
            Funding::Finagle => size_of::<FinagleBudget>(),
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
        Self::holding(initial, model.budget_cap, model.ratio, owners)
    }

    /// What pays for hedges: nothing at first, ten at most.
    pub(crate) fn of_hedges(model: &Model) -> Self {
        let owners = if model.hedge_after.is_some() { model.clients } else { 0 };
        Self::holding(0, HEDGES_MAX, model.hedge_ratio, index(owners.into()))
    }

    fn holding(initial: u32, cap: u32, ratio: Ratio, owners: usize) -> Self {
        let held = vec![initial * UNIT; owners];
        Self { earned: ratio.millionths(), cap: cap * UNIT, held }
    }

    pub(crate) fn deposit(&mut self, owner: u32) {
        let held = at(&mut self.held, owner);
        *held = (*held + self.earned).min(self.cap);
    }

    pub(crate) fn withdraw(&mut self, owner: u32) -> bool {
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
const HEDGES_MAX: u32 = 10;
