//! The budget of the crate `tower`, told the time instead of reading it.

use aplomb_core::Ratio;

use crate::units::{SECOND, whole};
use crate::window::Tally;

/// On which terms: `tower`'s own arithmetic, in which the price of a retry is a whole number of
/// calls (asking for 0.51 to 0.99 grants 1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct TowerTerms {
    deposit: i32,
    price: i32,
    reserve: i32,
}

impl TowerTerms {
    pub(crate) fn new(ratio: Ratio, per_second: u32) -> Self {
        let (deposit, price) = match ratio {
            Ratio::ZERO => (0, 1),
            ratio => (1, whole(1.0 / ratio.as_f64() + 1e-6)),
        };
        let price = i32::try_from(price).unwrap_or(i32::MAX);
        let reserve = i32::try_from(u64::from(per_second) * WINDOW_SECONDS)
            .unwrap_or(i32::MAX)
            .saturating_mul(price);
        Self { deposit, price, reserve }
    }
}

/// The tally of one client over the last ten seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TowerBudget(Tally<SLOTS>);

impl TowerBudget {
    /// A call begins.
    pub(crate) fn deposit(&mut self, terms: &TowerTerms, now: u64) {
        self.0.expire(now, skipped);
        self.0.add(terms.deposit);
    }

    /// A retry is asked for.
    pub(crate) fn withdraw(&mut self, terms: &TowerTerms, now: u64) -> bool {
        self.0.expire(now, skipped);
        let granted = self.sum(terms) >= terms.price;
        if granted {
            self.0.add(-terms.price);
        }
        granted
    }

    /// How many retries it would grant at once.
    pub(crate) fn balance(&self, terms: &TowerTerms) -> f64 {
        f64::from(self.sum(terms)) / f64::from(terms.price)
    }

    fn sum(&self, terms: &TowerTerms) -> i32 {
        self.0.sum().saturating_add(terms.reserve)
    }
}

/// The original walks on while more than a second is left.
fn skipped(passed: u64) -> u64 {
    passed.div_ceil(SECOND) - 1
}

/// `tower`'s default: ten slots of a second each.
const SLOTS: usize = 10;
const WINDOW_SECONDS: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use aplomb_core::Rng;
    use std::time::Duration;
    use tower::retry::budget::{Budget, TpsBudget};

    #[tokio::test(start_paused = true)]
    async fn it_grants_what_the_original_grants() {
        for (seed, percent, floor, step) in [
            (1, 20, 10, 300),
            (2, 20, 0, 900),
            (3, 75, 1, 30),
            (4, 100, 3, 2_500),
            (5, 1, 2, 5),
            (6, 0, 1, 700),
            (7, 20, 2, 30_000),
        ] {
            let ratio = Ratio::percent(percent);
            let terms = TowerTerms::new(ratio, floor);
            #[expect(clippy::cast_possible_truncation, reason = "what the original takes")]
            let original = TpsBudget::new(Duration::from_secs(10), floor, ratio.as_f64() as f32);
            let (mut ours, mut now, mut rng) = (TowerBudget::default(), 0, Rng::seeded(seed));
            let mut granted = 0;
            for op in 0..5_000 {
                let passed = rng.below(step);
                tokio::time::advance(Duration::from_millis(passed)).await;
                now += passed * (SECOND / 1000);
                if rng.below(2) == 0 {
                    original.deposit();
                    ours.deposit(&terms, now);
                } else {
                    let expected = original.withdraw();
                    granted += u32::from(expected);
                    assert_eq!(ours.withdraw(&terms, now), expected, "step {op} of {seed}");
                }
            }
            assert!(granted > 0, "the original grants something");
        }
    }
}
