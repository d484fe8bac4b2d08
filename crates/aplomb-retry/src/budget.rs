//! The budget: what the whole process may spend on retries.
//!
//! The price of a retry rises while retries fail. A budget with a fixed price refuses too late: ten
//! thousand clients that each hold ten retries in reserve are a hundred thousand extra calls on a
//! dependency that is down. With a rising price each client asks once, is refused by its own
//! second thought, and finds out cheaply that the dependency is back.

use std::sync::Arc;

use aplomb_core::{Failure, FailureKind, Pushback, Ratio};

use crate::sync::{AtomicU64, Ordering};

/// A retry budget, shared by every clone: keep one for each dependency and class of operation.
///
/// One word of state, changed by compare-and-swap: no lock, no clock, no overdraft.
///
/// ```
/// use aplomb_retry::{Budget, Cost};
///
/// let budget = Budget::percent(20);
/// let withdrawal = budget.withdraw(Cost::ONE).expect("a new budget holds ten");
/// drop(withdrawal); // the attempt was never sent, so nothing was spent
/// assert_eq!(budget.balance(), 10.0);
/// ```
#[derive(Clone, Debug)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    terms: Terms,
    account: AtomicU64,
}

impl Budget {
    /// A budget that earns `percent` retries for each hundred calls that succeed at the first try.
    ///
    /// # Panics
    ///
    /// When `percent` is over 100.
    pub fn percent(percent: u32) -> Self {
        Self::new(Terms::earning(Ratio::percent(percent)))
    }

    /// A budget on these terms.
    pub fn new(terms: Terms) -> Self {
        let account = AtomicU64::new(terms.open().0);
        Self { shared: Arc::new(Shared { terms, account }) }
    }

    /// What this one holds and asks now, on other terms: for policies that change at run time.
    ///
    /// The two are strangers from here on; calls under way settle with the one that they began with.
    #[must_use]
    pub fn on(&self, terms: Terms) -> Self {
        let account = Account(self.shared.account.load(Ordering::Relaxed)).capped(&terms);
        Self { shared: Arc::new(Shared { terms, account: AtomicU64::new(account.0) }) }
    }

    /// A call succeeded at its first try.
    #[inline]
    pub fn deposit(&self) {
        let terms = &self.shared.terms;
        self.update(|account| Some(account.deposit(terms)));
    }

    /// Takes the price of one retry, or refuses.
    ///
    /// Call it when the attempt failed, before the wait. The withdrawal gives itself back when it
    /// is dropped without being [sent](Withdrawal::sent).
    #[inline]
    pub fn withdraw(&self, cost: Cost) -> Option<Withdrawal> {
        let mut paid = 0;
        self.update(|account| {
            let (left, price) = account.withdraw(cost)?;
            paid = price;
            Some(left)
        })?;
        Some(Withdrawal { budget: self.clone(), paid })
    }

    /// How many retries at the lowest price it holds now.
    #[inline]
    pub fn balance(&self) -> f64 {
        Account(self.shared.account.load(Ordering::Relaxed)).balance()
    }

    #[inline]
    fn update(&self, change: impl FnMut(Account) -> Option<Account>) -> Option<()> {
        let mut change = change;
        // The word is all there is: it orders nothing else, so Relaxed is enough.
        self.shared
            .account
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                change(Account(word)).map(|account| account.0)
            })
            .ok()
            .map(|_| ())
    }
}

/// A retry that was paid for. Dropped before it is sent, it returns the money.
///
/// ```
/// use aplomb_core::{Failure, FailureKind};
/// use aplomb_retry::{Budget, Cost, Sent, Withdrawal};
///
/// let cost = Cost::of(&Failure::new(FailureKind::Transient));
/// let budget = Budget::percent(20);
/// let full = budget.balance();
/// let withdrawal: Withdrawal = budget.withdraw(cost).expect("a new budget can pay");
/// assert!(budget.balance() < full);
/// drop(withdrawal); // it was not sent after all
/// assert_eq!(budget.balance(), full);
///
/// let sent: Sent = budget.withdraw(cost).expect("nothing was spent").sent();
/// sent.succeeded();
/// ```
#[derive(Debug)]
#[must_use = "dropped, it is returned to the budget"]
pub struct Withdrawal {
    budget: Budget,
    paid: u32,
}

impl Withdrawal {
    /// The attempt goes out: the money is spent.
    pub fn sent(mut self) -> Sent {
        self.paid = 0;
        Sent { budget: self.budget.clone() }
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        if self.paid > 0 {
            let (budget, paid) = (&self.budget, self.paid);
            budget.update(|account| Some(account.give_back(&budget.shared.terms, paid)));
        }
    }
}

/// A retry under way, which will tell the budget how it went. Dropped untold, it changes nothing.
#[derive(Debug)]
pub struct Sent {
    budget: Budget,
}

impl Sent {
    /// It succeeded: the price falls to the lowest.
    pub fn succeeded(self) {
        self.budget.update(|account| Some(account.retry_succeeded()));
    }

    /// It failed: the price rises.
    pub fn failed(self) {
        self.budget.update(|account| Some(account.retry_failed()));
    }
}

/// On which terms a budget earns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    ratio: u32,
    cap: u32,
    initial: u32,
}

impl Terms {
    /// Earning `ratio` of a retry for each first try that succeeds, holding ten at most and at the
    /// start.
    pub const fn earning(ratio: Ratio) -> Self {
        Self { ratio: ratio.millionths(), cap: 10 * UNIT, initial: 10 * UNIT }
    }

    /// Holding at most so many retries (up to 1,000), which it also holds at the start.
    ///
    /// A cap is stored fuel: multiply it by the number of processes before raising it.
    #[must_use]
    pub const fn cap(mut self, retries: u32) -> Self {
        self.cap = if retries < CAP_MAX { retries } else { CAP_MAX } * UNIT;
        self.initial = self.cap;
        self
    }

    /// Holding so many retries at the start, at most the cap.
    #[must_use]
    pub const fn initial(mut self, retries: u32) -> Self {
        let initial = (if retries < CAP_MAX { retries } else { CAP_MAX }) * UNIT;
        self.initial = if initial < self.cap { initial } else { self.cap };
        self
    }

    /// A new account.
    pub const fn open(&self) -> Account {
        Account::of(self.initial, 0, false)
    }
}

/// The state of a budget as one word: the machine without the atomics.
///
/// The lab steps a million of these; [`Budget`] steps one by compare-and-swap.
///
/// ```
/// use aplomb_core::{Failure, FailureKind, Ratio};
/// use aplomb_retry::{Account, Cost, Terms};
///
/// let terms = Terms::earning(Ratio::percent(20));
/// let account: Account = terms.open();
/// let cost = Cost::of(&Failure::new(FailureKind::Transient));
/// let (poorer, paid) = account.withdraw(cost).expect("a new budget can pay");
/// assert!(poorer.balance() < account.balance());
/// assert_eq!(poorer.give_back(&terms, paid).balance(), account.balance());
/// assert!(poorer.retry_failed().price() > account.price());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account(u64);

impl Account {
    /// After a call that succeeded at its first try: it earns, and the price halves.
    #[must_use]
    #[inline]
    pub const fn deposit(self, terms: &Terms) -> Self {
        let earned = self.held() + terms.ratio;
        let held = if earned < terms.cap { earned } else { terms.cap };
        Self::of(held, self.doublings().saturating_sub(1), self.last_retry_succeeded())
    }

    /// After paying for a retry, with what was paid in millionths; `None` when it cannot.
    #[must_use]
    #[inline]
    pub const fn withdraw(self, cost: Cost) -> Option<(Self, u32)> {
        let price = cost.0 << self.doublings();
        match self.held().checked_sub(price) {
            Some(held) => {
                Some((Self::of(held, self.doublings(), self.last_retry_succeeded()), price))
            }
            None => None,
        }
    }

    /// After a retry that succeeded: the price is the lowest again.
    #[must_use]
    #[inline]
    pub const fn retry_succeeded(self) -> Self {
        Self::of(self.held(), 0, true)
    }

    /// After a retry that failed: the price is sixteen times higher, but only four times when the
    /// retry before it succeeded, so that independent failures do not look like an outage.
    #[must_use]
    pub const fn retry_failed(self) -> Self {
        let steps = if self.last_retry_succeeded() { 2 } else { DOUBLINGS_MAX };
        let doublings = self.doublings() + steps;
        let doublings = if doublings < DOUBLINGS_MAX { doublings } else { DOUBLINGS_MAX };
        Self::of(self.held(), doublings, false)
    }

    /// After a retry that was paid for and never sent.
    #[must_use]
    pub const fn give_back(self, terms: &Terms, paid: u32) -> Self {
        let held = self.held().saturating_add(paid);
        let held = if held < terms.cap { held } else { terms.cap };
        Self::of(held, self.doublings(), self.last_retry_succeeded())
    }

    /// On terms that allow it to hold less.
    #[must_use]
    pub const fn capped(self, terms: &Terms) -> Self {
        self.give_back(terms, 0)
    }

    /// How many retries at the lowest price it holds.
    #[inline]
    pub fn balance(self) -> f64 {
        f64::from(self.held()) / f64::from(UNIT)
    }

    /// How many times the lowest price a retry costs now.
    pub const fn price(self) -> u32 {
        1 << self.doublings()
    }

    // Bits 0..32 hold millionths of a retry, 32..35 the doublings of the price, 35 whether the last
    // retry succeeded.
    #[inline]
    const fn of(held: u32, doublings: u32, last_retry_succeeded: bool) -> Self {
        Self(held as u64 | (doublings as u64) << 32 | (last_retry_succeeded as u64) << 35)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low half is the balance")]
    #[inline]
    const fn held(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    const fn doublings(self) -> u32 {
        (self.0 >> 32 & 0b111) as u32
    }

    #[inline]
    const fn last_retry_succeeded(self) -> bool {
        self.0 >> 35 & 1 == 1
    }
}

/// What a retry costs before the price rises, by what went before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(u32);

impl Cost {
    /// Nothing.
    pub const FREE: Self = Self(0);
    /// One retry.
    pub const ONE: Self = Self(UNIT);

    /// A timeout costs more, since the server may still be working on it; a server that says when
    /// to come back costs less.
    #[inline]
    pub const fn of(failure: &Failure) -> Self {
        let asked = matches!(failure.pushback, Pushback::After(_));
        match failure.kind {
            FailureKind::Timeout => Self(UNIT / 2 * 3),
            FailureKind::Throttled if asked => Self(UNIT / 2),
            FailureKind::Pending => Self(UNIT / 2),
            _ => Self::ONE,
        }
    }
}

/// One retry at the lowest price, in millionths.
const UNIT: u32 = 1_000_000;
/// The most retries a budget may hold, so that a balance fits half a word.
const CAP_MAX: u32 = 1_000;
/// The price rises to sixteen times the lowest, and no higher.
const DOUBLINGS_MAX: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_new_budget_holds_ten_retries() {
        let budget = Budget::percent(20);
        let withdrawals: Vec<_> = std::iter::from_fn(|| budget.withdraw(Cost::ONE)).collect();
        assert_eq!(withdrawals.len(), 10);
    }

    #[test]
    fn on_other_terms_it_keeps_its_balance_and_its_price() {
        let budget = Budget::percent(20);
        budget.withdraw(Cost::ONE).unwrap().sent().failed();
        let smaller = budget.on(Terms::earning(Ratio::percent(10)).cap(5));
        assert_eq!(smaller.balance().to_string(), "5");
        assert!(smaller.withdraw(Cost::ONE).is_none(), "sixteen is more than five");
        smaller.deposit();
        assert_eq!(smaller.balance().to_string(), "5");
        assert_eq!(budget.balance().to_string(), "9", "the two are strangers");
    }

    #[test]
    fn in_an_outage_a_client_asks_once() {
        let budget = Budget::percent(20);
        budget.withdraw(Cost::ONE).unwrap().sent().failed();
        assert!(budget.withdraw(Cost::ONE).is_none(), "sixteen is more than nine");
    }

    #[test]
    fn a_failure_after_a_success_raises_the_price_gently() {
        let budget = Budget::percent(20);
        budget.withdraw(Cost::ONE).unwrap().sent().succeeded();
        budget.withdraw(Cost::ONE).unwrap().sent().failed();
        assert!(budget.withdraw(Cost::ONE).is_some(), "four is less than eight");
    }

    #[test]
    fn first_tries_that_succeed_halve_the_price() {
        let terms = Terms::earning(Ratio::percent(20));
        let mut account = terms.open().retry_failed();
        let prices: Vec<_> = std::iter::repeat_with(|| {
            account = account.deposit(&terms);
            account.price()
        })
        .take(5)
        .collect();
        assert_eq!(prices, [8, 4, 2, 1, 1]);
    }

    #[test]
    fn an_attempt_that_was_never_sent_costs_nothing() {
        let budget = Budget::percent(20);
        drop(budget.withdraw(Cost::ONE));
        assert_eq!(budget.balance().to_string(), "10");
    }

    #[test]
    fn a_timeout_costs_more_than_a_pushback() {
        let kind = |kind| Cost::of(&Failure::new(kind));
        let told = Failure::new(FailureKind::Throttled).pushback(Pushback::After(SECOND));
        assert_eq!(kind(FailureKind::Timeout), Cost(1_500_000));
        assert_eq!(kind(FailureKind::Transient), Cost::ONE);
        assert_eq!(kind(FailureKind::Throttled), Cost::ONE);
        assert_eq!(Cost::of(&told), Cost(500_000));
        assert_eq!(kind(FailureKind::Pending), Cost(500_000));
    }

    #[test]
    fn the_granted_ratio_is_the_asked_one() {
        // tower's budget truncates: asking for 0.51 to 0.99 grants 1.
        for percent in [1, 10, 20, 51, 75, 99, 100] {
            let terms = Terms::earning(Ratio::percent(percent)).initial(0);
            let mut account = terms.open();
            let mut granted = 0;
            for _ in 0..10_000 {
                account = account.deposit(&terms);
                if let Some((left, _)) = account.withdraw(Cost::ONE) {
                    account = left.retry_succeeded();
                    granted += 1;
                }
            }
            assert_eq!(granted, percent * 100, "of 10,000 calls at {percent} %");
        }
    }

    #[test]
    fn threads_never_overdraw_it() {
        let budget = Budget::new(Terms::earning(Ratio::ZERO).cap(1_000));
        let taken: usize = std::thread::scope(|scope| {
            let thieves: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let sent = std::iter::from_fn(|| budget.withdraw(Cost::ONE)?.sent().into());
                        sent.count()
                    })
                })
                .collect();
            thieves.into_iter().map(|thief| thief.join().unwrap()).sum()
        });
        assert_eq!(taken, 1_000);
    }

    proptest! {
        #[test]
        fn the_books_balance(steps in proptest::collection::vec(0_u8..6, 0..400), ratio in 0_u32..=100) {
            let terms = Terms::earning(Ratio::percent(ratio));
            let mut account = terms.open();
            let (mut paid, mut earned) = (0_u64, 10_u64 * u64::from(UNIT));
            for step in steps {
                let before = account;
                match step {
                    0 => { account = account.deposit(&terms); earned += u64::from(terms.ratio); }
                    1 => account = account.retry_failed(),
                    2 => account = account.retry_succeeded(),
                    _ => if let Some((left, price)) = account.withdraw(Cost::ONE) {
                        prop_assert_eq!(price, UNIT * before.price());
                        account = left;
                        if step == 3 { account = account.give_back(&terms, price) } else { paid += u64::from(price) }
                    } else {
                        prop_assert!(before.held() < UNIT * before.price());
                    }
                }
                prop_assert!(account.held() <= terms.cap, "never over the cap");
                prop_assert!(paid + u64::from(account.held()) <= earned, "never spent unearned");
                prop_assert!([1, 2, 4, 8, 16].contains(&account.price()));
                prop_assert!(step != 1 || account.price() >= before.price());
            }
        }
    }

    const SECOND: std::time::Duration = std::time::Duration::from_secs(1);
}
