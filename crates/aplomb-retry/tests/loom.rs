//! Every interleaving of two threads on one budget. Run by `cargo xtask loom`.

#![cfg(aplomb_loom)]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use aplomb_core::Ratio;
use aplomb_retry::{Budget, Cost, Terms};
use loom::thread;

#[test]
fn the_last_retry_is_bought_once() {
    loom::model(|| {
        let budget = Budget::new(Terms::earning(Ratio::ZERO).cap(1));
        let other = budget.clone();
        let racing = thread::spawn(move || spend(&other));
        let mine = spend(&budget);
        assert_eq!(u32::from(racing.join().unwrap()) + u32::from(mine), 1);
        assert_eq!(budget.balance().to_string(), "0");
    });
}

#[test]
fn a_deposit_is_not_lost_to_a_withdrawal() {
    loom::model(|| {
        let budget = Budget::new(Terms::earning(Ratio::ONE).cap(5).initial(1));
        let other = budget.clone();
        let racing = thread::spawn(move || other.deposit());
        assert!(spend(&budget));
        racing.join().unwrap();
        assert_eq!(budget.balance().to_string(), "1");
    });
}

#[test]
fn what_is_given_back_is_there_for_the_next() {
    loom::model(|| {
        let budget = Budget::new(Terms::earning(Ratio::ZERO).cap(2));
        let other = budget.clone();
        let racing = thread::spawn(move || drop(other.withdraw(Cost::ONE)));
        assert!(spend(&budget), "two are there, one at most is held");
        racing.join().unwrap();
        assert_eq!(budget.balance().to_string(), "1");
    });
}

#[test]
fn the_price_never_rises_without_a_failure() {
    loom::model(|| {
        let budget = Budget::percent(20);
        let sent = budget.withdraw(Cost::ONE).unwrap().sent();
        let other = budget.clone();
        let racing = thread::spawn(move || other.deposit());
        sent.succeeded();
        racing.join().unwrap();
        assert!(budget.withdraw(Cost::ONE).is_some());
        assert!((budget.balance() - 9.0).abs() < 1.0);
    });
}

fn spend(budget: &Budget) -> bool {
    budget.withdraw(Cost::ONE).map(|withdrawal| withdrawal.sent()).is_some()
}
