use crate::{Failure, Outcome};

/// A budget that pays for sends beyond the first, whatever layer keeps it.
///
/// Retries are not the only sends that press on a dependency: a redrive of a dead letter and a hedge
/// do too. They draw on the budget of the retries through this trait, without knowing that layer.
///
/// ```
/// use aplomb_core::{Failure, FailureKind, Outcome, Withdraw};
///
/// fn send_once_more<W: Withdraw>(budget: &W, send: impl FnOnce() -> Outcome) -> Option<Outcome> {
///     let withdrawal = budget.withdraw(&Failure::new(FailureKind::Timeout))?;
///     // Whatever keeps it from being sent from here on gives the money back.
///     let sent = W::sent(withdrawal);
///     let outcome = send();
///     W::settle(sent, outcome);
///     Some(outcome)
/// }
/// ```
pub trait Withdraw {
    /// A send that was paid for. Dropped before it is [sent](Self::sent), it returns the money.
    type Withdrawal: Send;
    /// A send under way. Dropped before it is [settled](Self::settle), it changes nothing.
    type Sent: Send;

    /// Takes the price of one more send after this failure, or refuses.
    fn withdraw(&self, after: &Failure) -> Option<Self::Withdrawal>;

    /// The send goes out: the money is spent.
    fn sent(withdrawal: Self::Withdrawal) -> Self::Sent;

    /// Says how the send ended.
    fn settle(sent: Self::Sent, outcome: Outcome);
}
