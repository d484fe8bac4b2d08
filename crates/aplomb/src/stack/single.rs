//! One operation.

use std::fmt;
use std::sync::Arc;

use aplomb_circuit_breaker::Handle as BreakerHandle;
use aplomb_idempotency::{KeyLayer, Random};
use aplomb_retry::Budget;
use tower_layer::Layer;

use super::around::{Answered, Answers, Around, Bare};
use super::observe::ObserveCalls;
use super::operation::Operation;
use super::shared::Shared;
use crate::policy::{BreakerTerms, InFlight, Policy};

/// The layers of one policy, in their one order, around any client.
///
/// It is a [`Layer`]: everything made from this value or its clones shares one budget, one breaker,
/// one limit and one pace.
///
/// ```
/// use aplomb::core::OperationClass;
/// use aplomb::policy::Policy;
/// use aplomb::stack::Stack;
/// use tower::{ServiceBuilder, service_fn};
/// # use http::{Request, Response}; use http_body_util::Full; use bytes::Bytes;
///
/// let look = Policy::preset(OperationClass::Read).build()?;
/// let client = ServiceBuilder::new()
///     .layer(Stack::new(look))
///     .service(service_fn(|_: Request<Full<Bytes>>| async {
///         Ok::<_, std::io::Error>(Response::new(Full::<Bytes>::from("5 mugs")))
///     }));
/// # let _ = client;
/// # Ok::<(), aplomb::policy::Unanswered>(())
/// ```
///
/// What is still open is no policy, and a stack has no place for it:
///
/// ```compile_fail,E0277
/// use aplomb::core::OperationClass;
/// use aplomb::policy::Policy;
/// use aplomb::stack::Stack;
///
/// let stack = Stack::new(Policy::preset(OperationClass::KeyedWrite));
/// ```
///
/// Nor has it one for retries that nothing pays for: it makes its own of a policy, whose retries
/// always have a budget, and takes no other.
///
/// ```compile_fail,E0061
/// use aplomb::RetryLayer;
///
/// let retry = RetryLayer::new();
/// ```
///
/// # Errors
///
/// Its error is a `BoxError`; [`cause`](aplomb_core::cause) finds in it whatever a layer or the
/// transport says.
///
/// # Cancellation
///
/// Dropping the response future drops the attempt or the wait that it is in, and gives back what
/// was held for it.
#[derive(Clone)]
#[must_use]
pub struct Stack<K = Random, O = (), A = Bare> {
    policy: Arc<Policy>,
    shared: Shared,
    keys: KeyLayer<K>,
    observer: O,
    around: A,
}

impl Stack {
    /// The layers of this policy, with a [breaker](BreakerTerms::default) and without a limit of
    /// calls in flight.
    pub fn new(policy: impl Into<Arc<Policy>>) -> Self {
        let policy = policy.into();
        let mut shared = Shared::new(policy.mode());
        shared.pay(&policy);
        shared.tune(Some(BreakerTerms::default()), None);
        Self { policy, shared, keys: KeyLayer::random(), observer: (), around: Bare }
    }
}

impl<K, O, A> Stack<K, O, A> {
    /// Opens by these terms, or has no breaker. What the old one knew is lost.
    pub fn breaker(mut self, terms: impl Into<Option<BreakerTerms>>) -> Self {
        let in_flight = self.shared.limit();
        self.shared.tune(None, in_flight);
        self.shared.tune(terms.into(), in_flight);
        self
    }

    /// No more than so many calls are in flight at a time.
    pub fn in_flight(mut self, in_flight: InFlight) -> Self {
        let breaker = self.shared.breaker_terms();
        self.shared.tune(breaker, Some(in_flight));
        self
    }

    /// Where the policy names a key, requests without one get this instead of a random one.
    ///
    /// A random key holds for the sends of one call. What must survive this process is derived from
    /// what the work is about, or written on the request beforehand.
    pub fn keys<L>(self, keys: KeyLayer<L>) -> Stack<L, O, A> {
        let Self { policy, shared, observer, around, .. } = self;
        Stack { policy, shared, keys, observer, around }
    }

    /// Tells `observer` what all its layers do.
    pub fn observe<P: ObserveCalls>(self, observer: P) -> Stack<K, P, A> {
        let Self { policy, shared, keys, around, .. } = self;
        Stack { policy, shared, keys, observer, around }
    }

    /// What its retries are paid from; none when the policy has only one attempt.
    pub fn budget(&self) -> Option<Budget> {
        self.shared.budget(self.policy.class()).cloned()
    }

    /// What an operator holds in hand of its breaker.
    pub fn breaker_handle(&self) -> Option<BreakerHandle>
    where
        O: ObserveCalls,
    {
        let breaker = self.shared.breaker()?.clone();
        Some(breaker.observe(self.observer.clone()).handle())
    }

    /// Its policy.
    pub const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }
}

impl<K, O, A: Answers> Stack<K, O, A> {
    /// Lets `fallback` answer when a call fails finally, unless the policy says `fail`, `drop` or
    /// `dead-letter`: see the crate `aplomb-fallback`.
    pub fn fallback<F>(self, fallback: F) -> Stack<K, O, Answered<A, F>> {
        let Self { policy, shared, keys, observer, around } = self;
        Stack { policy, shared, keys, observer, around: Answered::new(around, fallback) }
    }

    /// Answers with the last good answer when a read fails finally and the policy says `last-good`.
    #[cfg(feature = "last-good")]
    pub fn last_good(self) -> Stack<K, O, super::around::Remembered<A>> {
        let Self { policy, shared, keys, observer, around } = self;
        let around = super::around::Remembered::new(around);
        Stack { policy, shared, keys, observer, around }
    }

    /// Keeps requests that finally failed as letters, when the policy says `dead-letter`.
    #[cfg(feature = "dead-letter")]
    pub fn dead_letters<L, C, P>(
        self,
        layer: aplomb_dead_letter::DeadLetterLayer<L, C, P>,
    ) -> Stack<K, O, super::letters::Lettered<A, L, C, P>> {
        let Self { policy, shared, keys, observer, around } = self;
        let around = super::letters::Lettered::new(around, layer);
        Stack { policy, shared, keys, observer, around }
    }
}

impl<S, K, O, A> Layer<S> for Stack<K, O, A>
where
    K: Clone,
    O: ObserveCalls,
    A: Around<Operation<S, K, O>, O>,
{
    type Service = A::Service;

    fn layer(&self, transport: S) -> A::Service {
        let Self { policy, shared, keys, observer, around } = self;
        let operation = Operation::new(policy, shared, keys, observer, transport);
        around.around("", policy, observer, operation)
    }
}

impl<K, O, A> fmt::Debug for Stack<K, O, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").field("policy", &self.policy).finish_non_exhaustive()
    }
}
