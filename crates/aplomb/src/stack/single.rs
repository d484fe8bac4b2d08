//! One operation.

use std::fmt;
use std::sync::Arc;

use aplomb_circuit_breaker::Handle as BreakerHandle;
use aplomb_core::Dice;
use aplomb_idempotency::{KeyLayer, Random};
use aplomb_retry::Budget;
use tower_layer::{Identity, Layer};

use super::around::{Answered, Answers, Around, Bare, Calls, Whole};
use super::observe::ObserveCalls;
use super::operation::{Attempt, Operation, Plan};
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
pub struct Stack<K = Random, O = (), A = Bare, T = Identity> {
    policy: Arc<Policy>,
    shared: Shared,
    keys: KeyLayer<K>,
    observer: O,
    around: A,
    attempts: T,
    dice: Dice,
    owner: Option<Arc<str>>,
}

impl Stack {
    /// The layers of this policy, with a [breaker](BreakerTerms::default) and without a limit of
    /// calls in flight.
    pub fn new(policy: impl Into<Arc<Policy>>) -> Self {
        let policy = policy.into();
        let mut shared = Shared::new(policy.mode());
        shared.pay(&policy);
        shared.tune(Some(BreakerTerms::default()), None);
        Self {
            policy,
            shared,
            keys: KeyLayer::random(),
            observer: (),
            around: Bare,
            attempts: Identity::new(),
            dice: Dice::from_entropy(),
            owner: None,
        }
    }
}

impl<K, O> Stack<K, O> {
    /// The layers of one operation of a policy file, on what its dependency's calls share.
    #[cfg(feature = "reqwest-middleware")]
    pub(crate) fn shares(self, shared: &Shared) -> Self {
        Self { shared: shared.clone(), ..self }
    }
}

impl<K, O, A, T> Stack<K, O, A, T> {
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

    /// Throws these dice in all its layers, for instance seeded ones. Random keys are made of others.
    pub fn dice(mut self, dice: Dice) -> Self {
        self.dice = dice;
        self
    }

    /// Names the service whose retries these are on its requests; unnamed by default.
    pub fn owner(mut self, service: impl Into<Arc<str>>) -> Self {
        self.owner = Some(service.into());
        self
    }

    /// Where the policy names a key, requests without one get this instead of a random one.
    ///
    /// A random key holds for the sends of one call. What must survive this process is derived from
    /// what the work is about, or written on the request beforehand.
    pub fn keys<L>(self, keys: KeyLayer<L>) -> Stack<L, O, A, T> {
        let Self { policy, shared, observer, around, attempts, dice, owner, .. } = self;
        Stack { policy, shared, keys, observer, around, attempts, dice, owner }
    }

    /// Tells `observer` what all its layers do.
    pub fn observe<P: ObserveCalls>(self, observer: P) -> Stack<K, P, A, T> {
        let Self { policy, shared, keys, around, attempts, dice, owner, .. } = self;
        Stack { policy, shared, keys, observer, around, attempts, dice, owner }
    }

    /// Puts a layer around each attempt, its deadline included and the circuit breaker not: what
    /// looks at every send. Its service must be ready whenever the one inside is.
    pub fn attempts<L>(self, layer: L) -> Stack<K, O, A, L> {
        let Self { policy, shared, keys, observer, around, dice, owner, .. } = self;
        Stack { policy, shared, keys, observer, around, attempts: layer, dice, owner }
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

    fn around<B>(self, around: impl FnOnce(A) -> B) -> Stack<K, O, B, T> {
        let Self { policy, shared, keys, observer, around: inner, attempts, dice, owner } = self;
        Stack { policy, shared, keys, observer, around: around(inner), attempts, dice, owner }
    }
}

impl<K, O, A: Answers, T> Stack<K, O, A, T> {
    /// Lets `fallback` answer when a call fails finally, unless the policy says `fail`, `drop` or
    /// `dead-letter`: see the crate `aplomb-fallback`.
    pub fn fallback<F>(self, fallback: F) -> Stack<K, O, Answered<A, F>, T> {
        self.around(|inner| Answered::new(inner, fallback, None))
    }

    /// Answers with the last good answer when a read fails finally and the policy says `last-good`.
    #[cfg(feature = "last-good")]
    pub fn last_good(self) -> Stack<K, O, super::around::Remembered<A>, T> {
        self.around(|inner| super::around::Remembered::new(inner, |_, kept| kept))
    }

    /// Keeps requests that finally failed as letters, when the policy says `dead-letter`. A deferred
    /// job comes back as often, after such waits, as the policy says.
    #[cfg(feature = "dead-letter")]
    pub fn dead_letters<L, C, P>(
        self,
        layer: aplomb_dead_letter::DeadLetterLayer<L, C, P>,
    ) -> Stack<K, O, super::letters::Lettered<A, L, C, P>, T> {
        self.around(|inner| super::letters::Lettered::new(inner, layer))
    }
}

impl<K, O, A: Calls, T> Stack<K, O, A, T> {
    /// Puts a layer around all others, made of the observer: what hears of a call as a whole.
    pub fn calls<L, F>(self, make: F) -> Stack<K, O, Whole<A, F>, T>
    where
        F: Fn(&O) -> L,
    {
        self.around(|inner| Whole::new(inner, make))
    }
}

impl<S, K, O, A, T> Layer<S> for Stack<K, O, A, T>
where
    K: Clone,
    O: ObserveCalls,
    T: Layer<Attempt<S, O>>,
    A: Around<Operation<T::Service, K, O>, O>,
{
    type Service = A::Service;

    fn layer(&self, transport: S) -> A::Service {
        let Self { policy, shared, keys, observer, around, attempts, dice, owner } = self;
        let owner = owner.as_ref();
        let plan = Plan { policy, shared, keys, observer, attempts, dice, owner };
        around.around("", policy, observer, plan.around(transport))
    }
}

impl<K, O, A, T> fmt::Debug for Stack<K, O, A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").field("policy", &self.policy).finish_non_exhaustive()
    }
}
