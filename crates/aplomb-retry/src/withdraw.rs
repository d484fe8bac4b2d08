use aplomb_core::{Failure, FailureKind, Outcome, Withdraw};

use crate::budget::{Budget, Cost, Sent, Withdrawal};

/// Others draw on the budget of the retries: a redrive of dead letters, a hedge.
impl Withdraw for Budget {
    type Withdrawal = Withdrawal;
    type Sent = Sent;

    fn withdraw(&self, after: &Failure) -> Option<Withdrawal> {
        Budget::withdraw(self, Cost::of(after))
    }

    fn sent(withdrawal: Withdrawal) -> Sent {
        withdrawal.sent()
    }

    /// As after a retry: a key in flight elsewhere, and a call that was held back, have no vote.
    fn settle(sent: Sent, outcome: Outcome) {
        match outcome {
            Outcome::Success => sent.succeeded(),
            Outcome::Neutral => {}
            Outcome::Failure(failure) => {
                if failure.kind != FailureKind::Pending && !failure.held_back {
                    sent.failed();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buy(budget: &impl Withdraw<Sent = Sent, Withdrawal = Withdrawal>) -> Option<Withdrawal> {
        budget.withdraw(&Failure::new(FailureKind::Transient))
    }

    fn settled(outcome: Outcome) -> Budget {
        let budget = Budget::percent(20);
        Budget::settle(Budget::sent(buy(&budget).unwrap()), outcome);
        budget
    }

    #[test]
    fn a_stranger_pays_what_a_retry_pays() {
        let budget = Budget::percent(20);
        let withdrawal = buy(&budget).unwrap();
        assert_eq!(budget.balance().to_string(), "9");
        drop(withdrawal);
        assert_eq!(budget.balance().to_string(), "10");
    }

    #[test]
    fn a_strangers_failure_raises_the_price_for_all() {
        let failed = settled(Outcome::Failure(Failure::new(FailureKind::Transient)));
        assert!(buy(&failed).is_none(), "sixteen is more than nine");
        assert!(buy(&settled(Outcome::Success)).is_some());
    }

    #[test]
    fn what_has_no_vote_leaves_the_price_as_it_is() {
        let pending = Outcome::Failure(Failure::new(FailureKind::Pending));
        for outcome in [Outcome::Neutral, pending, Outcome::Failure(Failure::held_back())] {
            assert!(buy(&settled(outcome)).is_some(), "{outcome:?}");
        }
    }
}
