//! Budgets of others, as they were published.
//!
//! | budget | source |
//! |---|---|
//! | gRPC | gRFC A6, *gRPC Retry Design*, "Throttling Retry Attempts and Hedged RPCs" |
//! | AWS | *AWS SDKs and Tools Reference Guide*, "Retry behavior", standard mode; the constants are those of its SDKs: 500 tokens, 5 a retry, 10 after a timeout, 1 earned |
//! | Finagle | `RetryBudget` and `WindowedAdder` of Finagle: ten seconds, a reserve of ten retries a second, 20 % |

use aplomb_core::{Failure, FailureKind, Ratio};

use crate::units::{SECOND, whole};
use crate::window::Tally;

/// gRPC's throttle: a count of tokens, in thousandths. Retries are sent while more than half are left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrpcThrottle(u32);

/// Its `maxTokens` and `tokenRatio`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrpcTerms {
    most: u32,
    ratio: u32,
}

impl GrpcTerms {
    pub(crate) fn new(tokens: u32, ratio: Ratio) -> Self {
        // The original keeps three digits of the ratio.
        Self { most: tokens * TOKEN, ratio: ratio.millionths() / 1_000 }
    }

    pub(crate) fn full(self) -> GrpcThrottle {
        GrpcThrottle(self.most)
    }
}

impl GrpcThrottle {
    /// Every failure that may be retried costs a token, whether or not it is.
    pub(crate) fn failed(&mut self) {
        self.0 = self.0.saturating_sub(TOKEN);
    }

    pub(crate) fn succeeded(&mut self, terms: GrpcTerms) {
        self.0 = (self.0 + terms.ratio).min(terms.most);
    }

    pub(crate) fn allows(self, terms: GrpcTerms) -> bool {
        self.0 > terms.most / 2
    }

    /// How many failures from now on are retried.
    pub(crate) fn balance(self, terms: GrpcTerms) -> f64 {
        f64::from(self.0.saturating_sub(terms.most / 2)) / f64::from(TOKEN)
    }
}

/// The quota of the AWS SDKs' standard mode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AwsQuota(u16);

impl AwsQuota {
    pub(crate) const FULL: Self = Self(AWS_TOKENS);

    /// What a retry after this failure costs, if there is so much.
    pub(crate) fn withdraw(&mut self, failure: &Failure) -> Option<u8> {
        let cost = if failure.kind == FailureKind::Timeout { AWS_TIMEOUT } else { AWS_RETRY };
        self.0 = self.0.checked_sub(cost.into())?;
        Some(cost)
    }

    /// A call succeeded: at its first try it earns one, else its last retry is given back.
    pub(crate) fn succeeded(&mut self, last_retry: Option<u8>) {
        let earned = last_retry.unwrap_or(AWS_EARNED);
        self.0 = (self.0 + u16::from(earned)).min(AWS_TOKENS);
    }

    pub(crate) fn balance(self) -> f64 {
        f64::from(self.0) / f64::from(AWS_RETRY)
    }
}

/// Finagle's budget: what its calls earned in the last ten seconds, above a reserve.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FinagleBudget(Tally<9>);

#[derive(Clone, Copy, Debug)]
pub(crate) struct FinagleTerms {
    deposit: i32,
    price: i32,
    reserve: i32,
}

impl FinagleTerms {
    pub(crate) fn new(ratio: Ratio, per_second: u32) -> Self {
        let (deposit, price) = match ratio {
            Ratio::ZERO => (0, 1),
            ratio => {
                (FINAGLE_SCALE, i32::try_from(whole(1_000.0 / ratio.as_f64())).unwrap_or(i32::MAX))
            }
        };
        let reserve = i32::try_from(u64::from(per_second) * FINAGLE_SECONDS).unwrap_or(i32::MAX);
        Self { deposit, price, reserve: reserve.saturating_mul(price) }
    }
}

impl FinagleBudget {
    pub(crate) fn deposit(&mut self, terms: &FinagleTerms, now: u64) {
        self.0.expire(now, whole_seconds_beyond_the_first);
        self.0.add(terms.deposit);
    }

    pub(crate) fn withdraw(&mut self, terms: &FinagleTerms, now: u64) -> bool {
        self.0.expire(now, whole_seconds_beyond_the_first);
        let granted = self.sum(terms) >= terms.price;
        if granted {
            self.0.add(-terms.price);
        }
        granted
    }

    pub(crate) fn balance(&self, terms: &FinagleTerms) -> f64 {
        f64::from(self.sum(terms)) / f64::from(terms.price)
    }

    fn sum(&self, terms: &FinagleTerms) -> i32 {
        self.0.sum().saturating_add(terms.reserve)
    }
}

fn whole_seconds_beyond_the_first(passed: u64) -> u64 {
    passed / SECOND - 1
}

const TOKEN: u32 = 1_000;
const AWS_TOKENS: u16 = 500;
const AWS_RETRY: u8 = 5;
const AWS_TIMEOUT: u8 = 10;
const AWS_EARNED: u8 = 1;
const FINAGLE_SCALE: i32 = 1_000;
const FINAGLE_SECONDS: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_counts_as_its_own_test_does() {
        // grpc/test/core/client_channel/retry_throttle_test.cc: 4 tokens, 1.6 a success.
        let terms = GrpcTerms { most: 4_000, ratio: 1_600 };
        let mut throttle = terms.full();
        for (succeeds, left, allows) in [
            (false, 3_000, true),
            (true, 4_000, true),
            (false, 3_000, true),
            (false, 2_000, false),
            (false, 1_000, false),
            (false, 0, false),
            (false, 0, false),
            (true, 1_600, false),
            (true, 3_200, true),
            (true, 4_000, true),
        ] {
            if succeeds {
                throttle.succeeded(terms);
            } else {
                throttle.failed();
            }
            assert_eq!((throttle.0, throttle.allows(terms)), (left, allows));
        }
    }

    #[test]
    fn grpcs_example_of_ten_tokens_retries_four_failures_in_a_row() {
        let terms = GrpcTerms::new(10, Ratio::percent(10));
        let mut throttle = terms.full();
        let retried = std::iter::repeat_with(|| {
            throttle.failed();
            throttle.allows(terms)
        });
        assert_eq!(retried.take_while(|allowed| *allowed).count(), 4);
    }

    #[test]
    fn an_aws_client_holds_a_hundred_retries_or_fifty_after_timeouts() {
        for (kind, retries) in [(FailureKind::Transient, 100), (FailureKind::Timeout, 50)] {
            let (mut quota, failure) = (AwsQuota::FULL, Failure::new(kind));
            let paid = std::iter::from_fn(|| quota.withdraw(&failure));
            assert_eq!(paid.count(), retries);
        }
    }

    #[test]
    fn an_aws_client_earns_one_at_the_first_try_and_has_its_last_retry_back() {
        let mut quota = AwsQuota(0);
        let failure = Failure::new(FailureKind::Transient);
        for _ in 0..5 {
            assert_eq!(quota.withdraw(&failure), None);
            quota.succeeded(None);
        }
        let paid = quota.withdraw(&failure);
        assert_eq!((paid, quota.0), (Some(5), 0));
        quota.succeeded(paid);
        assert_eq!(quota.0, 5);
        let mut full = AwsQuota::FULL;
        full.succeeded(paid);
        assert_eq!(full.0, 500, "never above");
    }

    #[test]
    fn finagles_reserve_is_a_hundred_retries_in_ten_seconds() {
        let terms = FinagleTerms::new(Ratio::percent(20), 10);
        let mut budget = FinagleBudget::default();
        let mut burst = |now: u64| {
            let granted = std::iter::repeat_with(|| budget.withdraw(&terms, now * SECOND));
            granted.take_while(|granted| *granted).count()
        };
        assert_eq!(burst(0), 100);
        assert_eq!(burst(5), 0);
        assert_eq!(burst(11), 100, "what was spent is forgotten");
    }

    #[test]
    fn finagle_grants_one_retry_for_five_calls_of_the_last_ten_seconds() {
        let terms = FinagleTerms::new(Ratio::percent(20), 0);
        let mut budget = FinagleBudget::default();
        for second in 0..10 {
            budget.deposit(&terms, second * SECOND);
        }
        assert_eq!(budget.balance(&terms).to_string(), "2");
        assert!(budget.withdraw(&terms, 9 * SECOND) && budget.withdraw(&terms, 9 * SECOND));
        assert!(!budget.withdraw(&terms, 9 * SECOND));
        let mut idle = FinagleBudget::default();
        (0..5).for_each(|_| idle.deposit(&terms, 0));
        assert!(!idle.withdraw(&terms, 12 * SECOND), "earned too long ago");
    }
}
