//! Every operation of a policy file.

use std::fmt;
use std::sync::Arc;

use aplomb_core::Dice;
#[cfg(feature = "last-good")]
use aplomb_fallback::LastGood;
use aplomb_idempotency::{KeyLayer, Random};
#[cfg(feature = "telemetry")]
use aplomb_telemetry::{AttemptLayer, CallLayer, DependencyMetrics, Metrics, Recorder};
use tower_layer::{Identity, Layer};

use super::around::{Answered, Answers, Around, Bare, Calls, Whole};
use super::handle::Built;
use super::observe::Observers;
use super::operation::{Attempt, Operation, Plan};
use super::routed::Client;
use super::shared::Shared;
use super::single::Stack;
use super::table::{States, Table};
use crate::policy::{Dependency, Operation as Terms, Policy, PolicyFile};

/// A client of every operation of a policy file, in the making.
///
/// Each request goes by the policy of its operation: found by the [name](crate::policy::OperationName)
/// in its extensions, else by authority, method and path. Budget, breaker, limit and pace are those
/// of its dependency, the budget that of its class; they outlive a [reload](super::Handle::apply).
///
/// ```
/// use aplomb::policy::PolicyFile;
/// use tower::service_fn;
/// # use http::{Request, Response}; use http_body_util::Full; use bytes::Bytes;
///
/// let policies = PolicyFile::parse("aplomb.toml", r#"
///     version = 1
///     [service]
///     name = "shop"
///     [dependency.stock]
///     authority = "stock:7001"
///     budget = { ratio = 0.2 }
///     [dependency.stock.operation.look]
///     class = "read"
///     match = "GET /stock/{sku}"
/// "#)?;
/// let client = aplomb::stack::client(policies).service(service_fn(
///     |_: Request<Full<Bytes>>| async {
///         Ok::<_, std::io::Error>(Response::new(Full::<Bytes>::from("5 mugs")))
///     },
/// ));
/// # let _ = client;
/// # Ok::<(), aplomb::policy::Errors>(())
/// ```
///
/// What answers and what keeps letters has one order too, and the other one does not compile:
#[cfg_attr(
    feature = "dead-letter",
    doc = r"
```compile_fail,E0599
# fn build(policies: aplomb::policy::PolicyFile, fallback: aplomb::fallback::Fixed) {
use aplomb::dead_letter::{DeadLetterLayer, MemorySink};

let letters = DeadLetterLayer::new(MemorySink::new());
aplomb::stack::client(policies).dead_letters(letters).fallback(fallback);
# }
```
"
)]
#[derive(Clone)]
#[must_use]
pub struct ClientStack<K = Random, W = (), A = Bare, T = Identity> {
    policies: Arc<PolicyFile>,
    otherwise: Option<Arc<Policy>>,
    keys: KeyLayer<K>,
    observers: W,
    around: A,
    attempts: T,
    dice: Dice,
}

/// A client of every operation of these policies: see [`ClientStack`].
pub fn client(policies: impl Into<Arc<PolicyFile>>) -> ClientStack {
    ClientStack {
        policies: policies.into(),
        otherwise: None,
        keys: KeyLayer::random(),
        observers: (),
        around: Bare,
        attempts: Identity::new(),
        dice: Dice::from_entropy(),
    }
}

impl<K, W, A, T> ClientStack<K, W, A, T> {
    /// Sends requests that are part of no operation by this policy, all with one budget and without
    /// a breaker. Left out, they fail with [`NoOperation`](super::NoOperation) and are not sent.
    pub fn otherwise(mut self, policy: impl Into<Arc<Policy>>) -> Self {
        self.otherwise = Some(policy.into());
        self
    }

    /// Throws these dice in all its layers, for instance seeded ones. Random keys are made of others.
    pub fn dice(mut self, dice: Dice) -> Self {
        self.dice = dice;
        self
    }

    /// Where a policy names a key, requests without one get this instead of a random one.
    ///
    /// A random key holds for the sends of one call. What must survive this process is derived from
    /// what the work is about, or written on the request beforehand.
    pub fn keys<L>(self, keys: KeyLayer<L>) -> ClientStack<L, W, A, T> {
        let Self { policies, otherwise, observers, around, attempts, dice, .. } = self;
        ClientStack { policies, otherwise, keys, observers, around, attempts, dice }
    }

    /// Tells these observers, one for each operation, what all layers do.
    pub fn observe<X: Observers>(self, observers: X) -> ClientStack<K, X, A, T> {
        let Self { policies, otherwise, keys, around, attempts, dice, .. } = self;
        ClientStack { policies, otherwise, keys, observers, around, attempts, dice }
    }

    /// Puts a layer around each attempt, its deadline included and the circuit breaker not: what
    /// looks at every send. Its service must be ready whenever the one inside is.
    pub fn attempts<L>(self, layer: L) -> ClientStack<K, W, A, L> {
        let Self { policies, otherwise, keys, observers, around, dice, .. } = self;
        ClientStack { policies, otherwise, keys, observers, around, attempts: layer, dice }
    }

    fn around<B>(self, around: impl FnOnce(A) -> B) -> ClientStack<K, W, B, T> {
        let Self { policies, otherwise, keys, observers, around: inner, attempts, dice } = self;
        let around = around(inner);
        ClientStack { policies, otherwise, keys, observers, around, attempts, dice }
    }
}

impl<K, W, A: Answers, T> ClientStack<K, W, A, T> {
    /// Lets `fallback` answer when a call fails finally, for operations whose policy says neither
    /// `fail` nor `drop` nor `dead-letter`: see the crate `aplomb-fallback`.
    pub fn fallback<F>(self, fallback: F) -> ClientStack<K, W, Answered<A, F>, T> {
        self.around(|inner| Answered::new(inner, fallback, None))
    }

    /// The same for one operation alone, such as `stock.look`.
    pub fn fallback_of<F>(
        self,
        operation: impl Into<Box<str>>,
        fallback: F,
    ) -> ClientStack<K, W, Answered<A, F>, T> {
        self.around(|inner| Answered::new(inner, fallback, Some(operation.into())))
    }

    /// Answers with the last good answer when a read fails finally, for operations whose policy says
    /// `last-good`.
    #[cfg(feature = "last-good")]
    pub fn last_good(self) -> ClientStack<K, W, super::around::Remembered<A>, T> {
        self.last_good_as(|_, kept| kept)
    }

    /// The same, with what is kept for an operation (`stock.look`) refined by `refine`: who shares it,
    /// what evicts it. It is asked when an operation is built, and when a reload changes what the
    /// policy says of it; a clone of what it answers can evict.
    #[cfg(feature = "last-good")]
    pub fn last_good_as(
        self,
        refine: impl Fn(&str, LastGood) -> LastGood + Send + Sync + 'static,
    ) -> ClientStack<K, W, super::around::Remembered<A>, T> {
        self.around(|inner| super::around::Remembered::new(inner, refine))
    }

    /// Keeps requests that finally failed as letters, for operations whose policy says
    /// `dead-letter`. A deferred job comes back as often, after such waits, as its policy says.
    #[cfg(feature = "dead-letter")]
    pub fn dead_letters<L, C, P>(
        self,
        layer: aplomb_dead_letter::DeadLetterLayer<L, C, P>,
    ) -> ClientStack<K, W, super::letters::Lettered<A, L, C, P>, T> {
        self.around(|inner| super::letters::Lettered::new(inner, layer))
    }
}

impl<K, W: Observers, A: Calls, T> ClientStack<K, W, A, T> {
    /// Puts a layer around the calls of each operation, outside of all others, made of the
    /// operation's observer: what hears of a call as a whole.
    pub fn calls<L, F>(self, make: F) -> ClientStack<K, W, Whole<A, F>, T>
    where
        F: Fn(&W::Observer) -> L,
    {
        self.around(|inner| Whole::new(inner, make))
    }
}

#[cfg(feature = "telemetry")]
impl<K, W, A: Calls, T> ClientStack<K, W, A, T> {
    /// Tells `metrics` all that happens: each call once, as a whole, with a span; each attempt with a
    /// span of its own; the budgets, and the places of each dependency.
    pub fn telemetry<R: Recorder>(self, metrics: &Metrics<R>) -> Telling<K, R, A> {
        self.observe(metrics.clone())
            .attempts(AttemptLayer::new())
            .calls(DependencyMetrics::call_layer as fn(&DependencyMetrics) -> CallLayer)
    }
}

/// A stack that tells these metrics all that happens.
#[cfg(feature = "telemetry")]
type Telling<K, R, A> =
    ClientStack<K, Metrics<R>, Whole<A, fn(&DependencyMetrics) -> CallLayer>, AttemptLayer>;

impl<K, W, A, T> ClientStack<K, W, A, T>
where
    K: Clone + Send + Sync + 'static,
    W: Observers,
    A: Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    /// The client, around this transport. A clone of it shares everything.
    pub fn service<S>(self, transport: S) -> Client<A::Service>
    where
        S: Clone + Send + Sync + 'static,
        T: Layer<Attempt<S, W::Observer>> + Clone,
        A: Around<Operation<T::Service, K, W::Observer>, W::Observer>,
        A::Service: Send + Sync + 'static,
    {
        let Self { policies, otherwise, keys, observers, around, attempts, dice } = self;
        let otherwise = otherwise.map(|policy| {
            let observer = observers.of("otherwise", "otherwise");
            let stack = Stack::new(policy).breaker(None).dice(dice.clone());
            let stack =
                stack.keys(keys.clone()).observe(observer.clone()).attempts(attempts.clone());
            let operation = stack.layer(transport.clone());
            around.around("otherwise", stack.policy(), &observer, operation)
        });
        let build = move |file: &Arc<PolicyFile>, states: &mut States| {
            let owner = Arc::from(file.service().name());
            let make = |dependency: &Dependency, terms: &Terms, shared: &Shared| {
                let observer = told(&observers, dependency, terms, shared);
                let (policy, keys) = (terms.policy(), &keys);
                let (observer, attempts, dice) = (&observer, &attempts, &dice);
                let owner = Some(&owner);
                let plan = Plan { policy, shared, keys, observer, attempts, dice, owner };
                let name = format!("{}.{}", dependency.name(), terms.name());
                around.around(&name, policy, observer, plan.around(transport.clone()))
            };
            Table::build(Arc::clone(file), states, make)
        };
        Client::new(Built::new(&policies, Box::new(build)), otherwise)
    }
}

#[cfg(feature = "reqwest-middleware")]
impl<K, W> ClientStack<K, W>
where
    K: Clone + Send + Sync + 'static,
    W: Observers,
{
    /// The stacks of all operations without a transport, for who has another one for each call.
    pub(crate) fn stacks(self) -> Stacks<K, W> {
        let Self { policies, otherwise, keys, observers, dice, .. } = self;
        let stack = move |policy: Arc<Policy>, observer: W::Observer| {
            Stack::new(policy).dice(dice.clone()).keys(keys.clone()).observe(observer)
        };
        let otherwise = otherwise
            .map(|policy| stack(policy, observers.of("otherwise", "otherwise")).breaker(None));
        let build = move |file: &Arc<PolicyFile>, states: &mut States| {
            let owner: Arc<str> = Arc::from(file.service().name());
            let make = |dependency: &Dependency, terms: &Terms, shared: &Shared| {
                let observer = told(&observers, dependency, terms, shared);
                let stack = stack(Arc::clone(terms.policy()), observer);
                stack.shares(shared).owner(Arc::clone(&owner))
            };
            Table::build(Arc::clone(file), states, make)
        };
        (Built::new(&policies, Box::new(build)), otherwise)
    }
}

/// One operation of a client with these keys and observers.
#[cfg(feature = "reqwest-middleware")]
type One<K, W> = Stack<K, <W as Observers>::Observer>;

/// All of them, and what stands in for them.
#[cfg(feature = "reqwest-middleware")]
type Stacks<K, W> = (Built<One<K, W>>, Option<One<K, W>>);

/// Makes the observer of an operation, and tells it what is there to be watched.
fn told<W: Observers>(
    of: &W,
    dependency: &Dependency,
    terms: &Terms,
    shared: &Shared,
) -> W::Observer {
    let (name, operation) = (dependency.name(), terms.name());
    let observer = of.of(name, operation);
    if let Some(budget) = shared.budget(terms.policy().class()) {
        of.budget(name, operation, budget);
    }
    if let (Some(places), false) = (shared.in_flight(), shared.is_observed()) {
        of.in_flight(name, &places.handle());
    }
    observer
}

impl<K, W, A, T> fmt::Debug for ClientStack<K, W, A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStack")
            .field("policies", &self.policies.name())
            .field("otherwise", &self.otherwise)
            .finish_non_exhaustive()
    }
}
