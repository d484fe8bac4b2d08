//! The one right order around the calls of one operation.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_admission::Bulkhead;
use aplomb_backoff::Paced;
use aplomb_circuit_breaker::{CircuitBreaker, Together};
use aplomb_core::{Answer, Attempts, BoxError, Dice, Replay};
use aplomb_deadline::{DeadlineLayer, WithDeadline};
use aplomb_idempotency::{KeyLayer, Keyed, MakeKey, Random};
use aplomb_retry::{Budget, Retry, RetryLayer};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::either::Either;
use super::judge::Judge;
use super::observe::ObserveCalls;
use super::prompt::Prompt;
use super::shared::Shared;
use crate::policy::{Owner, Pace, Policy, Repeat, WhenPaused};

/// An attempt with the layers of one policy around it.
///
/// Operations differ in the settings of their layers and not in type, so that a client of many finds
/// the right one without a box. It is always ready: its transport is waited for within the attempt.
pub struct Operation<S, K = Random, O = ()> {
    inner: Total<S, K, O>,
}

/// A transport within the deadline of an attempt: what a stack puts its [layer of
/// attempts](super::ClientStack::attempts) around.
pub type Attempt<S, O> = WithDeadline<Prompt<S>, O>;

// Innermost first.
type Guarded<S, O> = Either<CircuitBreaker<S, Together, Judge, O>, S>;
type Bounded<S, O> = Either<Bulkhead<Guarded<S, O>, O>, Guarded<S, O>>;
type Retried<S, O> = Retry<Paced<Bounded<S, O>, Judge, O>, Judge, O>;
type Named<S, K, O> = Either<Keyed<Retried<S, O>, K>, Retried<S, O>>;
type Total<S, K, O> = WithDeadline<Named<S, K, O>, O>;

/// What an operation is made of, its transport aside.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a, K, O, T> {
    pub(crate) policy: &'a Policy,
    pub(crate) shared: &'a Shared,
    pub(crate) keys: &'a KeyLayer<K>,
    pub(crate) observer: &'a O,
    pub(crate) attempts: &'a T,
    pub(crate) dice: &'a Dice,
    /// Whose retries these are, if anybody is to be told.
    pub(crate) owner: Option<&'a Arc<str>>,
}

impl<K: Clone, O: ObserveCalls, T> Plan<'_, K, O, T> {
    /// Puts the layers around a transport, in their one order.
    pub(crate) fn around<S>(&self, transport: S) -> Operation<T::Service, K, O>
    where
        T: Layer<Attempt<S, O>>,
    {
        let Self { policy, shared, observer, dice, .. } = *self;
        let health = Judge::of_health(policy.transient());
        let attempt = bound(DeadlineLayer::attempt(policy.attempt_timeout()), shared, observer);
        let attempt = self.attempts.layer(attempt.layer(Prompt::new(transport)));
        let guarded = match shared.breaker() {
            Some(breaker) => {
                let breaker = breaker.clone().dice(dice.clone()).classify(health);
                Either::Layered(breaker.observe(observer.clone()).layer(attempt))
            }
            None => Either::Bare(attempt),
        };
        let bounded = match shared.in_flight() {
            Some(in_flight) => {
                let in_flight = in_flight.clone().dice(dice.clone());
                Either::Layered(in_flight.observe(observer.clone()).layer(guarded))
            }
            None => Either::Bare(guarded),
        };
        let pace = shared.pace().clone().dice(dice.clone()).classify(health);
        let pace = match policy.when_paused() {
            WhenPaused::Wait => pace,
            WhenPaused::Fail => pace.wait_at_most(UNNOTICED),
        };
        let retried = self
            .retry()
            .classify(Judge::of_retries(policy.transient()))
            .observe(observer.clone())
            .layer(pace.observe(observer.clone()).layer(bounded));
        let named = match policy.key() {
            // A key is something done to a request, which observing does not do.
            Some(_) if !shared.is_observed() => Either::Layered(self.keys.layer(retried)),
            _ => Either::Bare(retried),
        };
        let total = bound(DeadlineLayer::total(total(policy)), shared, observer);
        Operation { inner: total.layer(named) }
    }

    fn retry(&self) -> RetryLayer {
        let Self { policy, shared, dice, .. } = *self;
        // A call that is sent once asks its budget for nothing.
        let budget = shared.budget(policy.class()).cloned().unwrap_or_else(|| Budget::percent(0));
        // Its time is the deadline's, outside.
        let mut layer = RetryLayer::new(budget).max_attempts(sends(policy)).unlimited_total();
        if let Some(backoff) = policy.backoff() {
            layer = layer.backoff(backoff);
        }
        if policy.when_paused() == WhenPaused::Fail {
            layer = layer.longest_pause(Duration::ZERO);
        }
        layer = match policy.repeat() {
            Repeat::WithKey(_) => layer.honours_keys(),
            Repeat::Always => layer.only_reads(),
            _ => layer,
        };
        if let (Some(owner), true) = (self.owner, retries(policy)) {
            layer = layer.owner(Arc::clone(owner));
        }
        let layer = layer.dice(dice.clone());
        if shared.is_observed() { layer.observe_only() } else { layer }
    }
}

fn bound<O: ObserveCalls>(layer: DeadlineLayer, shared: &Shared, to: &O) -> DeadlineLayer<O> {
    let layer = if shared.is_observed() { layer.observe_only() } else { layer };
    layer.observe(to.clone())
}

/// How many sends one call may have here: those of other owners, and of later runs, are not ours.
fn sends(policy: &Policy) -> Attempts {
    if retries(policy) { policy.attempts() } else { Attempts::ONE }
}

/// Whether a call may be sent again here, while its caller waits.
fn retries(policy: &Policy) -> bool {
    let is_ours = *policy.owner() == Owner::Here && *policy.repeat() != Repeat::Never;
    is_ours && policy.pace() == Pace::Waiting
}

/// How long one call may take; a rescheduled one goes back to its queue after its one attempt.
fn total(policy: &Policy) -> Duration {
    match policy.pace() {
        Pace::Rescheduled => policy.attempt_timeout(),
        _ => policy.total(),
    }
}

impl<S, K, O, Req> Service<Req> for Operation<S, K, O>
where
    S: Service<Req, Response: Answer<Rest: Body>, Error: Into<BoxError>> + Clone,
    K: MakeKey<Req> + Clone,
    O: ObserveCalls,
    Req: Replay,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = <Total<S, K, O> as Service<Req>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        <Total<S, K, O> as Service<Req>>::poll_ready(&mut self.inner, cx)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        self.inner.call(request)
    }
}

impl<S: Clone, K: Clone, O: Clone> Clone for Operation<S, K, O> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<S, K, O> fmt::Debug for Operation<S, K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation").finish_non_exhaustive()
    }
}

/// A pause that a few failures began by chance is over by then, that of an outage has outgrown it; and
/// who waits so long does not notice (J. Nielsen, *Usability Engineering*, 1993: a tenth of a second).
const UNNOTICED: Duration = Duration::from_millis(100);
