//! The policy of one operation, all six questions answered.

use std::time::Duration;

use aplomb_backoff::Backoff;
use aplomb_core::{Attempts, Call, OperationClass, Safety};

use super::answers::{
    Alert, BudgetTerms, Key, Mode, Owner, Pace, Repeat, Transient, Waits, WhenExhausted, WhenPaused,
};
use super::builder::PolicyBuilder;
use super::preset;

/// How one operation of a dependency is called, and what its failure means.
///
/// Made from a [preset](Self::preset), from [nothing](Self::builder) or from a policy file; each way
/// refuses a policy that leaves one of the six questions open.
///
/// ```
/// use std::time::Duration;
/// use aplomb::core::OperationClass;
/// use aplomb::policy::{Key, Policy};
///
/// let reserve = Policy::preset(OperationClass::KeyedWrite)
///     .key(Key::new("order line", Duration::from_secs(24 * 3600)))
///     .total(Duration::from_secs(2))
///     .build()?;
/// assert_eq!(reserve.attempts().get(), 3);
///
/// let open = Policy::preset(OperationClass::KeyedWrite).build().unwrap_err();
/// assert_eq!(
///     open.to_string(),
///     "the policy leaves open: is the operation safe to repeat? (give key)",
/// );
/// # Ok::<(), aplomb::policy::Unanswered>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(super) class: OperationClass,
    pub(super) transient: Transient,
    pub(super) repeat: Repeat,
    pub(super) owner: Owner,
    pub(super) attempts: Attempts,
    pub(super) attempt_timeout: Duration,
    pub(super) total: Duration,
    pub(super) waits: Option<Waits>,
    pub(super) budget: Option<BudgetTerms>,
    pub(super) when_paused: WhenPaused,
    pub(super) when_exhausted: WhenExhausted,
    pub(super) alerts: Vec<Alert>,
    pub(super) mode: Mode,
}

impl Policy {
    /// A policy that says nothing yet.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// The answers that fit a class of operation, to be refined.
    ///
    /// | class | attempts | one attempt | in total | waits up to | when they fail |
    /// |---|---|---|---|---|---|
    /// | read | 2 | 350 ms | 800 ms | 50 ms | last good answer: fresh 2 s, stale 30 s |
    /// | keyed-write | 3 | 500 ms | 3 s | 50, 100 ms | pending, settled within 12 h |
    /// | confirm | 1, owned by the caller | 2 s | 2 s | | a clear failure |
    /// | deferred | 12, rescheduled | 10 s | 8 h | 1 min, doubling up to 1 h | dead letter, redriven within 7 days |
    /// | best-effort | 2 | 300 ms | 1 s | 100 ms | dropped, counted |
    ///
    /// A keyed write and a deferred operation do not build without their
    /// [`key`](PolicyBuilder::key), unless [`repeat`](PolicyBuilder::repeat) says why none is
    /// needed.
    pub fn preset(class: OperationClass) -> PolicyBuilder {
        preset::of(class)
    }

    /// What kind of operation it is: whose budget it spends, and what is shed first.
    pub const fn class(&self) -> OperationClass {
        self.class
    }

    /// Which failures count as transient.
    pub const fn transient(&self) -> Transient {
        self.transient
    }

    /// Whether the operation is safe to repeat.
    pub const fn repeat(&self) -> &Repeat {
        &self.repeat
    }

    /// The key that makes it safe, if one does.
    pub const fn key(&self) -> Option<&Key> {
        self.repeat.key()
    }

    /// Who retries it.
    pub const fn owner(&self) -> &Owner {
        &self.owner
    }

    /// How many sends a call may have in all, those of later runs included.
    pub const fn attempts(&self) -> Attempts {
        self.attempts
    }

    /// How long one attempt may take.
    pub const fn attempt_timeout(&self) -> Duration {
        self.attempt_timeout
    }

    /// How long the call may take; for a rescheduled one, its job's horizon.
    pub const fn total(&self) -> Duration {
        self.total
    }

    /// How long it waits between attempts; none when there is only one.
    pub const fn waits(&self) -> Option<Waits> {
        self.waits
    }

    /// The same, as the retry layer takes it.
    pub fn backoff(&self) -> Option<Backoff> {
        self.waits.map(|waits| waits.backoff())
    }

    /// What its retries are paid from; none when there is only one attempt.
    pub const fn budget(&self) -> Option<BudgetTerms> {
        self.budget
    }

    /// What a call does that finds the circuit open.
    pub const fn when_paused(&self) -> WhenPaused {
        self.when_paused
    }

    /// What happens when retries fail.
    pub const fn when_exhausted(&self) -> &WhenExhausted {
        &self.when_exhausted
    }

    /// The metrics that somebody is told about.
    pub fn alerts(&self) -> &[Alert] {
        &self.alerts
    }

    /// Whether it acts.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Where a call is between its attempts: a deferred one goes back to its queue.
    pub fn pace(&self) -> Pace {
        match (self.attempts, self.class) {
            (Attempts::ONE, _) => Pace::Once,
            (_, OperationClass::Deferred) => Pace::Rescheduled,
            _ => Pace::Waiting,
        }
    }

    /// Whether this call may be sent again after a failure that might have acted.
    ///
    /// A POST without its key never is, unless the policy says that it only reads. Nor is a call
    /// that says so itself.
    pub const fn may_repeat(&self, call: Call) -> bool {
        if call.once {
            return false;
        }
        match (&self.repeat, call.safety) {
            (Repeat::Never, _) => false,
            (Repeat::Always, _) | (_, Safety::Idempotent) => true,
            (Repeat::WithKey(_), Safety::Unsafe) => call.keyed,
            (_, Safety::Unsafe) => false,
        }
    }

    /// How many sends this call may have while its caller waits.
    ///
    /// One for a POST without its key, whatever the policy, and for a call that is rescheduled.
    pub fn sends(&self, call: Call) -> Attempts {
        let waits = self.pace() == Pace::Waiting;
        if waits && self.may_repeat(call) { self.attempts } else { Attempts::ONE }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;

    #[test]
    fn an_unkeyed_post_is_sent_once_by_every_preset() {
        let key = Key::new("order line", Duration::from_secs(8 * 24 * 3600));
        for class in OperationClass::ALL {
            let policy = Policy::preset(*class).key(key.clone()).build().unwrap();
            for method in [Method::POST, Method::PATCH] {
                let call = Call::of(&method, &HeaderMap::new());
                assert_eq!(policy.sends(call), Attempts::ONE, "{class} {method}");
                assert!(!policy.may_repeat(call), "{class} {method}");
            }
        }
    }

    #[test]
    fn what_is_deferred_is_sent_once_a_run() {
        let key = Key::new("order", Duration::from_secs(8 * 24 * 3600));
        let policy = Policy::preset(OperationClass::Deferred).key(key).build().unwrap();
        let call = Call::of(&Method::PUT, &HeaderMap::new());
        assert_eq!((policy.pace(), policy.sends(call)), (Pace::Rescheduled, Attempts::ONE));
        assert!(policy.may_repeat(call), "by a later run");
    }

    #[test]
    fn what_only_reads_may_be_posted_again() {
        let policy = Policy::preset(OperationClass::Read).repeat(Repeat::Always).build().unwrap();
        let search = Call::of(&Method::POST, &HeaderMap::new());
        assert_eq!(policy.sends(search).get(), 2);
        let never = Policy::preset(OperationClass::Read).repeat(Repeat::Never).build().unwrap();
        assert_eq!(never.sends(Call::of(&Method::GET, &HeaderMap::new())), Attempts::ONE);
    }
}
