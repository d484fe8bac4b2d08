use std::time::Duration;

use aplomb_core::FailureKind;
use aplomb_retry::RetryEvent;

/// What a client has done over all starts of its host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    /// Calls that were made of it.
    pub(crate) calls: u64,
    /// Requests that it handed to its transport.
    pub(crate) sends: u64,
    /// Those of them that were not the first of their call.
    pub(crate) resends: u64,
    /// The most sends that one call had.
    pub(crate) most_attempts: u32,
    /// The longest that one call took.
    pub(crate) longest: Duration,
    /// Retries that even a budget whose price never rises could not have paid.
    pub(crate) unpaid: u64,
    /// What such a budget would hold, in tenths of a retry.
    balance: u64,
}

impl Meter {
    /// The host starts, with a full budget.
    pub(crate) fn start(&mut self) {
        self.balance = FULL;
    }

    pub(crate) fn hear(&mut self, event: &RetryEvent) {
        match event {
            RetryEvent::Done { attempt, success: true } if attempt.is_first() => self.earn(2),
            RetryEvent::Waiting { failure, .. } => {
                let price = match failure.kind {
                    // The first may be free, where the connection was stale or nothing was sent.
                    FailureKind::Unsent => 0,
                    FailureKind::Timeout => 15,
                    FailureKind::Pending | FailureKind::Throttled => 5,
                    _ => 10,
                };
                self.unpaid += u64::from(price > self.balance);
                self.balance = self.balance.saturating_sub(price);
            }
            // What was paid for and not sent is given back; the dearest, to err on the safe side.
            RetryEvent::Abandoned { .. } => self.earn(15),
            RetryEvent::Resent { attempt } => {
                self.resends += 1;
                self.most_attempts = self.most_attempts.max(attempt.number());
            }
            _ => {}
        }
    }

    fn earn(&mut self, tenths: u64) {
        self.balance = (self.balance + tenths).min(FULL);
    }
}

const FULL: u64 = 100;
