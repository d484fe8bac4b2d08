use std::sync::Arc;
use std::time::Duration;

use aplomb_backoff::Backoff;
use aplomb_core::{Attempts, Dice, HttpClassifier};
use tower_layer::Layer;

use crate::budgets::Purse;
use crate::rules::Rules;
use crate::service::Retry;

/// Puts retries that spend a budget around a service.
///
/// The budget and the dice are shared by everything made from this value or from its clones,
/// however often a router applies it.
#[derive(Clone, Debug)]
#[must_use]
pub struct RetryLayer<C = HttpClassifier, O = ()> {
    policy: Policy<C, O>,
}

/// What every call of a layer shares.
#[derive(Clone, Debug)]
pub(crate) struct Policy<C, O> {
    pub(crate) settings: Settings,
    pub(crate) purse: Purse,
    pub(crate) dice: Dice,
    pub(crate) classify: C,
    pub(crate) observer: O,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) rules: Rules,
    pub(crate) body_cap: usize,
    pub(crate) keep_records: bool,
    pub(crate) owner: Option<Arc<str>>,
    pub(crate) only_observes: bool,
}

impl RetryLayer {
    /// Retries that spend one [`Budget`](crate::Budget), or one of many
    /// [`Budgets`](crate::Budgets), under the crate's defaults.
    pub fn new(budget: impl Into<Purse>) -> Self {
        let settings = Settings {
            rules: Rules::default(),
            body_cap: BODY_CAP,
            keep_records: false,
            owner: None,
            only_observes: false,
        };
        let (purse, dice) = (budget.into(), Dice::from_entropy());
        let policy = Policy { settings, purse, dice, classify: HttpClassifier, observer: () };
        Self { policy }
    }
}

impl<C, O> RetryLayer<C, O> {
    /// At most so many sends, the first one included.
    ///
    /// # Panics
    ///
    /// When a plain number is 0. [`Attempts::UNLIMITED`] has no bound of its own.
    pub fn max_attempts(mut self, attempts: impl Into<Attempts>) -> Self {
        self.policy.settings.rules.attempts = attempts.into();
        self
    }

    /// No attempt starts that could not finish within this time of the call's beginning.
    ///
    /// Looked at when an attempt fails. It does not cut an attempt short, nor the wait until the
    /// inner service is ready for the next one: that is the deadline layer's work.
    pub fn total(mut self, total: Duration) -> Self {
        self.policy.settings.rules.total = Some(total);
        self
    }

    /// Waits no longer than this for what a layer inside holds back: an open circuit, a dependency
    /// that is left alone. Zero waits for none of them; the caller then hears at once.
    pub fn longest_pause(mut self, pause: Duration) -> Self {
        self.policy.settings.rules.longest_pause = pause;
        self
    }

    /// No bound on the total time but the one that the request inherited.
    pub fn unlimited_total(mut self) -> Self {
        self.policy.settings.rules.total = None;
        self
    }

    /// An attempt that has less time than this left is not started (1 ms by default).
    pub fn least_useful(mut self, time: Duration) -> Self {
        self.policy.settings.rules.least_useful = time;
        self
    }

    /// How long to wait between attempts.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.policy.settings.rules.backoff = backoff;
        self
    }

    /// Declares that the operation runs each idempotency key once, so that a POST or PATCH that
    /// carries one may be repeated.
    pub fn honours_keys(mut self) -> Self {
        self.policy.settings.rules.honours_keys = true;
        self
    }

    /// Declares that the operation only reads, whatever the method of its requests: a POST may then
    /// be repeated without a key.
    pub fn only_reads(mut self) -> Self {
        self.policy.settings.rules.only_reads = true;
        self
    }

    /// Decides and tells, and sends nothing again: a call ends with its first answer, as it came.
    ///
    /// What would have been sent again is paid for, so that the events say what the budget would have
    /// allowed: give it a budget that nobody else spends.
    pub fn observe_only(mut self) -> Self {
        self.policy.settings.only_observes = true;
        self
    }

    /// Bodies longer than so many bytes go out once and are not kept (64 KiB by default).
    pub fn body_cap(mut self, bytes: usize) -> Self {
        self.policy.settings.body_cap = bytes;
        self
    }

    /// Throws these dice, for instance seeded ones.
    pub fn dice(mut self, dice: Dice) -> Self {
        self.policy.dice = dice;
        self
    }

    /// Leaves an [`aplomb_core::CallRecord`] beside every answer. A single call asks for its own
    /// with an [`aplomb_core::KeepRecord`] in its extensions.
    pub fn keep_records(mut self) -> Self {
        self.policy.settings.keep_records = true;
        self
    }

    /// Names this layer the owner of the retries towards whatever it calls, in the header
    /// `x-retry-owner`: layers that pass the request on to the same authority stand down.
    ///
    /// Without a name it owns them too, unless somebody named itself.
    ///
    /// A name that no header can carry (control characters) is not written.
    pub fn owner(mut self, name: impl Into<Arc<str>>) -> Self {
        self.policy.settings.owner = Some(name.into());
        self
    }

    /// Tells `observer` what happens.
    pub fn observe<P>(self, observer: P) -> RetryLayer<C, P> {
        let Policy { settings, purse, dice, classify, .. } = self.policy;
        RetryLayer { policy: Policy { settings, purse, dice, classify, observer } }
    }

    /// Lets `classify` decide what an answer means.
    pub fn classify<D>(self, classify: D) -> RetryLayer<D, O> {
        let Policy { settings, purse, dice, observer, .. } = self.policy;
        RetryLayer { policy: Policy { settings, purse, dice, classify, observer } }
    }
}

impl<S, C: Clone, O: Clone> Layer<S> for RetryLayer<C, O> {
    type Service = Retry<S, C, O>;

    fn layer(&self, inner: S) -> Self::Service {
        // The policy holds handles only: budget and dice are the layer's own, never new ones.
        Retry { inner, policy: Arc::new(self.policy.clone()) }
    }
}

/// The longest body that is kept for the next attempt.
const BODY_CAP: usize = 64 * 1024;
