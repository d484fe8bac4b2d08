//! How a policy comes to be: by answering the six questions.

use std::time::Duration;

use aplomb_core::{Attempts, OperationClass};

use super::answers::{
    Alert, BudgetTerms, Key, Mode, Owner, Repeat, Transient, Waits, WhenExhausted, WhenPaused,
};
use super::question::{Open, Question, Unanswered};
use super::value::Policy;

/// A policy under construction.
///
/// ```
/// use aplomb::policy::Policy;
///
/// let said = Policy::builder().build().unwrap_err().to_string();
/// assert!(said.contains("who owns the retry? (give owner)"), "{said}");
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct PolicyBuilder {
    class: Option<OperationClass>,
    transient: Option<Transient>,
    repeat: Option<Repeat>,
    owner: Option<Owner>,
    attempts: Option<Attempts>,
    attempt_timeout: Option<Duration>,
    total: Option<Duration>,
    waits: Option<Waits>,
    budget: Option<BudgetTerms>,
    when_paused: WhenPaused,
    when_exhausted: Option<WhenExhausted>,
    alerts: Vec<Alert>,
    mode: Mode,
    /// Whether the alerts, or the attempts, are a preset's, which gives way.
    preset_alerts: bool,
    preset_attempts: bool,
    unsafe_method: bool,
}

impl PolicyBuilder {
    /// What kind of operation it is. Left out, the answer to "safe to repeat?" tells it.
    pub const fn class(mut self, class: OperationClass) -> Self {
        self.class = Some(class);
        self
    }

    /// Which failures count as transient.
    pub const fn transient(mut self, transient: Transient) -> Self {
        self.transient = Some(transient);
        self
    }

    /// Whether it is safe to repeat.
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = Some(repeat);
        self
    }

    /// It is safe to repeat with this key, which the dependency honours.
    pub fn key(self, key: Key) -> Self {
        self.repeat(Repeat::WithKey(key))
    }

    /// Who retries it.
    pub fn owner(mut self, owner: Owner) -> Self {
        self.owner = Some(owner);
        self
    }

    /// How many sends a call may have, the first one included.
    ///
    /// # Panics
    ///
    /// When a plain number is 0.
    pub fn attempts(mut self, attempts: impl Into<Attempts>) -> Self {
        self.attempts = Some(attempts.into());
        self.preset_attempts = false;
        self
    }

    /// How long one attempt may take.
    pub const fn attempt_timeout(mut self, time: Duration) -> Self {
        self.attempt_timeout = Some(time);
        self
    }

    /// How long the call may take; for a deferred one, its job's horizon.
    pub const fn total(mut self, time: Duration) -> Self {
        self.total = Some(time);
        self
    }

    /// How long it waits between attempts, with what jitter.
    pub const fn backoff(mut self, waits: Waits) -> Self {
        self.waits = Some(waits);
        self
    }

    /// What its retries are paid from. In a policy file it stands with the dependency, since all
    /// operations of a class share it.
    pub const fn budget(mut self, terms: BudgetTerms) -> Self {
        self.budget = Some(terms);
        self
    }

    /// What a call does that finds the circuit open.
    pub const fn when_paused(mut self, then: WhenPaused) -> Self {
        self.when_paused = then;
        self
    }

    /// What happens when retries fail.
    pub fn when_exhausted(mut self, then: WhenExhausted) -> Self {
        self.when_exhausted = Some(then);
        self
    }

    /// A metric that somebody is told about; may be repeated.
    pub fn alert(mut self, alert: Alert) -> Self {
        if std::mem::take(&mut self.preset_alerts) {
            self.alerts.clear();
        }
        if !self.alerts.contains(&alert) {
            self.alerts.push(alert);
        }
        self
    }

    /// Whether it acts.
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The policy.
    ///
    /// # Errors
    ///
    /// When it leaves questions open; the error names each, and what would answer it.
    pub fn build(self) -> Result<Policy, Unanswered> {
        let open = self.open();
        let class = self.repeat.as_ref().map(|repeat| self.settled_class(repeat));
        let attempts = self.settled_attempts();
        let (Some(class), Some(attempts), []) = (class, attempts, &*open) else {
            return Err(Unanswered::new(open));
        };
        let Self {
            transient: Some(transient),
            repeat: Some(repeat),
            owner: Some(owner),
            attempt_timeout: Some(attempt_timeout),
            total: Some(total),
            when_exhausted: Some(when_exhausted),
            ..
        } = self
        else {
            return Err(Unanswered::new(open));
        };
        // Waits and a budget mean nothing to a call that is sent once.
        let retries = attempts != Attempts::ONE;
        Ok(Policy {
            class,
            transient,
            repeat,
            owner,
            attempts,
            attempt_timeout,
            total,
            waits: self.waits.filter(|_| retries),
            budget: self.budget.filter(|_| retries),
            when_paused: self.when_paused,
            when_exhausted,
            alerts: self.alerts,
            mode: self.mode,
        })
    }

    /// What it does not say.
    pub(crate) fn open(&self) -> Vec<Open> {
        use Question as Q;
        let retries = self.settled_attempts() != Some(Attempts::ONE);
        let key_is_due =
            matches!(self.class, Some(OperationClass::KeyedWrite | OperationClass::Deferred));
        let repeat = if key_is_due { "key" } else { "repeat" };
        let answers = [
            (self.transient.is_some(), Q::Transient, "transient"),
            (self.repeat.is_some(), Q::Repeat, repeat),
            (self.owner.is_some(), Q::Owner, "owner"),
            (self.attempts.is_some(), Q::Policy, "attempts"),
            (self.attempt_timeout.is_some(), Q::Policy, "attempt_timeout"),
            (self.total.is_some(), Q::Policy, "total"),
            (self.waits.is_some() || !retries, Q::Policy, "backoff"),
            (self.budget.is_some() || !retries, Q::Policy, "budget"),
            (self.when_exhausted.is_some(), Q::Exhausted, "when_exhausted"),
            (!self.alerts.is_empty(), Q::Observed, "alert"),
        ];
        let open = answers.into_iter().filter(|(answered, ..)| !answered);
        open.map(|(_, question, missing)| Open::new(question, missing)).collect()
    }

    /// What is said so far is a preset's.
    pub(super) const fn by_preset(mut self) -> Self {
        self.preset_alerts = true;
        self.preset_attempts = true;
        self
    }

    /// The requests it matches are of a method that is not safe to repeat.
    pub(super) const fn of_unsafe_method(mut self) -> Self {
        self.unsafe_method = true;
        self
    }

    /// Whether it was given a class.
    pub(super) const fn has_class(&self) -> bool {
        self.class.is_some()
    }

    /// The waits that it has so far.
    pub(super) const fn waits(&self) -> Option<Waits> {
        self.waits
    }

    /// How many attempts it has: those of a preset only where nothing speaks against a second one.
    /// Attempts that were asked for stand, and the lint speaks.
    fn settled_attempts(&self) -> Option<Attempts> {
        let owned_elsewhere = matches!(self.owner, Some(Owner::Elsewhere(_)));
        let by_method = matches!(self.repeat, Some(Repeat::ByMethod));
        let unsafe_to_repeat =
            self.repeat == Some(Repeat::Never) || by_method && self.unsafe_method;
        let once = self.preset_attempts && (owned_elsewhere || unsafe_to_repeat);
        if once { Some(Attempts::ONE) } else { self.attempts }
    }

    /// The class that it was given, else the one that follows from what may be repeated.
    fn settled_class(&self, repeat: &Repeat) -> OperationClass {
        self.class.unwrap_or(match repeat {
            Repeat::ByMethod if self.unsafe_method => OperationClass::Confirm,
            Repeat::ByMethod | Repeat::Always => OperationClass::Read,
            Repeat::WithKey(_) => OperationClass::KeyedWrite,
            Repeat::Never => OperationClass::Confirm,
        })
    }
}

#[cfg(test)]
mod tests {
    use aplomb_backoff::Jitter;
    use aplomb_core::Ratio;

    use super::*;

    fn answered() -> PolicyBuilder {
        let second = Duration::from_secs(1);
        Policy::builder()
            .transient(Transient::Standard)
            .repeat(Repeat::ByMethod)
            .owner(Owner::Here)
            .attempts(2)
            .attempt_timeout(second)
            .total(3 * second)
            .backoff(Waits::new(Jitter::Full, second, second))
            .budget(BudgetTerms::earning(Ratio::percent(10)))
            .when_exhausted(WhenExhausted::Fail)
            .alert(Alert::CALLS)
    }

    #[test]
    fn each_question_left_open_is_named() {
        let without = |forget: fn(&mut PolicyBuilder)| {
            let mut builder = answered();
            forget(&mut builder);
            builder.build().unwrap_err().to_string()
        };
        for (said, question, missing) in [
            (without(|b| b.transient = None), Question::Transient, "transient"),
            (without(|b| b.repeat = None), Question::Repeat, "repeat"),
            (without(|b| b.owner = None), Question::Owner, "owner"),
            (without(|b| b.attempts = None), Question::Policy, "attempts"),
            (without(|b| b.attempt_timeout = None), Question::Policy, "attempt_timeout"),
            (without(|b| b.total = None), Question::Policy, "total"),
            (without(|b| b.waits = None), Question::Policy, "backoff"),
            (without(|b| b.budget = None), Question::Policy, "budget"),
            (without(|b| b.when_exhausted = None), Question::Exhausted, "when_exhausted"),
            (without(|b| b.alerts.clear()), Question::Observed, "alert"),
        ] {
            let expected = format!("the policy leaves open: {question} (give {missing})");
            assert_eq!(said, expected);
        }
        assert!(answered().build().is_ok());
    }

    #[test]
    fn one_attempt_needs_neither_waits_nor_budget() {
        let mut once = answered().attempts(1);
        (once.waits, once.budget) = (None, None);
        let policy = once.build().unwrap();
        assert_eq!((policy.waits(), policy.budget()), (None, None));
        let policy = answered().attempts(1).build().unwrap();
        assert_eq!((policy.waits(), policy.budget()), (None, None), "they mean nothing to it");
    }

    #[test]
    fn an_alert_of_ones_own_takes_the_place_of_the_presets() {
        let preset = || Policy::preset(OperationClass::Read);
        let alert = Alert::CALLS;
        assert_eq!(preset().build().unwrap().alerts(), [Alert::FALLBACKS]);
        assert_eq!(preset().alert(alert).alert(alert).build().unwrap().alerts(), [alert]);
    }

    #[test]
    fn the_class_follows_from_what_may_be_repeated() {
        let key = Key::new("order", Duration::from_secs(60));
        let class = |builder: PolicyBuilder| builder.build().unwrap().class();
        assert_eq!(class(answered()), OperationClass::Read);
        assert_eq!(class(answered().key(key)), OperationClass::KeyedWrite);
        assert_eq!(class(answered().repeat(Repeat::Never)), OperationClass::Confirm);
    }
}
