//! Every operation of a policy file.

use std::fmt;
use std::sync::Arc;

use aplomb_idempotency::{KeyLayer, Random};
use tower_layer::Layer;

use super::around::{Answered, Answers, Around, Bare};
use super::handle::Built;
use super::observe::Observers;
use super::operation::Operation;
use super::routed::Client;
use super::table::Table;
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
pub struct ClientStack<K = Random, W = (), A = Bare> {
    policies: Arc<PolicyFile>,
    otherwise: Option<Arc<Policy>>,
    keys: KeyLayer<K>,
    observers: W,
    around: A,
}

/// A client of every operation of these policies: see [`ClientStack`].
pub fn client(policies: impl Into<Arc<PolicyFile>>) -> ClientStack {
    let (keys, policies) = (KeyLayer::random(), policies.into());
    ClientStack { policies, otherwise: None, keys, observers: (), around: Bare }
}

impl<K, W, A> ClientStack<K, W, A> {
    /// Sends requests that are part of no operation by this policy, all with one budget and without
    /// a breaker. Left out, they fail with [`NoOperation`](super::NoOperation) and are not sent.
    pub fn otherwise(mut self, policy: impl Into<Arc<Policy>>) -> Self {
        self.otherwise = Some(policy.into());
        self
    }

    /// Where a policy names a key, requests without one get this instead of a random one.
    ///
    /// A random key holds for the sends of one call. What must survive this process is derived from
    /// what the work is about, or written on the request beforehand.
    pub fn keys<L>(self, keys: KeyLayer<L>) -> ClientStack<L, W, A> {
        let Self { policies, otherwise, observers, around, .. } = self;
        ClientStack { policies, otherwise, keys, observers, around }
    }

    /// Tells these observers, one for each operation, what all layers do.
    pub fn observe<X: Observers>(self, observers: X) -> ClientStack<K, X, A> {
        let Self { policies, otherwise, keys, around, .. } = self;
        ClientStack { policies, otherwise, keys, observers, around }
    }
}

impl<K, W, A: Answers> ClientStack<K, W, A> {
    /// Lets `fallback` answer when a call fails finally, for operations whose policy says neither
    /// `fail` nor `drop` nor `dead-letter`: see the crate `aplomb-fallback`.
    pub fn fallback<F>(self, fallback: F) -> ClientStack<K, W, Answered<A, F>> {
        let Self { policies, otherwise, keys, observers, around } = self;
        let around = Answered::new(around, fallback);
        ClientStack { policies, otherwise, keys, observers, around }
    }

    /// Answers with the last good answer when a read fails finally, for operations whose policy says
    /// `last-good`.
    #[cfg(feature = "last-good")]
    pub fn last_good(self) -> ClientStack<K, W, super::around::Remembered<A>> {
        let Self { policies, otherwise, keys, observers, around } = self;
        let around = super::around::Remembered::new(around);
        ClientStack { policies, otherwise, keys, observers, around }
    }

    /// Keeps requests that finally failed as letters, for operations whose policy says
    /// `dead-letter`.
    #[cfg(feature = "dead-letter")]
    pub fn dead_letters<L, C, P>(
        self,
        layer: aplomb_dead_letter::DeadLetterLayer<L, C, P>,
    ) -> ClientStack<K, W, super::letters::Lettered<A, L, C, P>> {
        let Self { policies, otherwise, keys, observers, around } = self;
        let around = super::letters::Lettered::new(around, layer);
        ClientStack { policies, otherwise, keys, observers, around }
    }
}

impl<K, W, A> ClientStack<K, W, A>
where
    K: Clone + Send + Sync + 'static,
    W: Observers,
    A: Send + Sync + 'static,
{
    /// The client, around this transport. A clone of it shares everything.
    pub fn service<S>(self, transport: S) -> Client<A::Service>
    where
        S: Clone + Send + Sync + 'static,
        A: Around<Operation<S, K, W::Observer>, W::Observer>,
        A::Service: Send + Sync + 'static,
    {
        let Self { policies, otherwise, keys, observers, around } = self;
        let otherwise = otherwise.map(|policy| {
            let stack = super::Stack::new(policy).breaker(None).keys(keys.clone());
            let stack = stack.observe(observers.of("otherwise", "otherwise"));
            let operation = stack.layer(transport.clone());
            let observer = observers.of("otherwise", "otherwise");
            around.around("otherwise", stack.policy(), &observer, operation)
        });
        let build = move |file: &Arc<PolicyFile>, states: &mut super::table::States| {
            let make = |dependency: &Dependency, terms: &Terms, shared: &super::shared::Shared| {
                let (of, name, policy) = (dependency.name(), terms.name(), terms.policy());
                let observer = observers.of(of, name);
                if let Some(budget) = shared.budget(policy.class()) {
                    observers.budget(of, name, budget);
                }
                let transport = transport.clone();
                let operation = Operation::new(policy, shared, &keys, &observer, transport);
                around.around(&format!("{of}.{name}"), policy, &observer, operation)
            };
            Table::build(Arc::clone(file), states, make)
        };
        Client::new(Built::new(&policies, Box::new(build)), otherwise)
    }
}

impl<K, W, A> fmt::Debug for ClientStack<K, W, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStack")
            .field("policies", &self.policies.name())
            .field("otherwise", &self.otherwise)
            .finish_non_exhaustive()
    }
}
