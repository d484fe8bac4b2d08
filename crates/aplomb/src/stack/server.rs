//! The server's side.

use std::fmt;

use aplomb_admission::{AdmissionEvent, AdmissionLayer, Inbound};
use aplomb_core::Observe;
use aplomb_deadline::{DeadlineEvent, DeadlineLayer, InheritLayer};
use tower_layer::{Identity, Layer};

use crate::problem::ProblemLayer;

/// A server's layers, in their one order, for a router or one of its routes.
///
/// Problem responses, then whatever [authenticates](Self::authenticate), then the deadline that the
/// caller has left, [admission](Self::admission), [idempotency](Self::idempotency), the handler.
///
/// Its state lies in this value: a router that applies it again for each route and connection shares
/// it. The service that it makes never fails, as axum's routes and hyper's servers want it.
///
/// ```
/// use aplomb::admission::AdmissionLayer;
/// use aplomb::core::Principal;
/// use aplomb::idempotency::{IdempotencyLayer, MemoryStore};
/// use axum::{Extension, Router, routing::post};
///
/// # async fn reserve() -> &'static str { "reserved" }
/// let app: Router = Router::new().route("/reservations", post(reserve)).layer(
///     aplomb::stack::server()
///         .authenticate(Extension(Principal::new("shop")))
///         .admission(AdmissionLayer::new(64))
///         .idempotency(IdempotencyLayer::new(MemoryStore::new())),
/// );
/// ```
///
/// A transactional idempotency layer goes around its handler and not here: it makes the route
/// itself.
///
/// # Cancellation
///
/// Dropping the response future drops the work inside, but for what idempotency runs to its end.
#[derive(Clone)]
#[must_use]
pub struct ServerStack<U = Identity, D = Identity, I = Identity, O = (), P = ()> {
    problems: ProblemLayer<P>,
    authenticate: U,
    admission: D,
    idempotency: I,
    observer: O,
}

/// A server's layers: see [`ServerStack`].
pub fn server() -> ServerStack {
    ServerStack {
        problems: ProblemLayer::new(),
        authenticate: Identity::new(),
        admission: Identity::new(),
        idempotency: Identity::new(),
        observer: (),
    }
}

impl<U, D, I, O, P> ServerStack<U, D, I, O, P> {
    /// Answers what fails inside by this layer, which keeps its own observer and dice.
    pub fn problems<Q>(self, layer: ProblemLayer<Q>) -> ServerStack<U, D, I, O, Q> {
        let Self { authenticate, admission, idempotency, observer, .. } = self;
        ServerStack { problems: layer, authenticate, admission, idempotency, observer }
    }

    /// Says who is calling, inside the problem responses and outside everything else: a caller who
    /// is nobody takes no place.
    pub fn authenticate<V>(self, layer: V) -> ServerStack<V, D, I, O, P> {
        let Self { problems, admission, idempotency, observer, .. } = self;
        ServerStack { problems, authenticate: layer, admission, idempotency, observer }
    }

    /// Takes on no more than can be done in time. Its events go to this stack's observer.
    pub fn admission<X>(
        self,
        layer: AdmissionLayer<Inbound, X>,
    ) -> ServerStack<U, AdmissionLayer<Inbound, O>, I, O, P>
    where
        O: Clone,
    {
        let Self { problems, authenticate, idempotency, observer, .. } = self;
        let admission = layer.observe(observer.clone());
        ServerStack { problems, authenticate, admission, idempotency, observer }
    }

    /// Runs each key once. It keeps its own observer, and is given whole, with its store.
    pub fn idempotency<J>(self, layer: J) -> ServerStack<U, D, J, O, P> {
        let Self { problems, authenticate, admission, observer, .. } = self;
        ServerStack { problems, authenticate, admission, idempotency: layer, observer }
    }
}

impl<U, I, O, P> ServerStack<U, Identity, I, O, P> {
    /// Tells `observer` what deadline and admission do; before [`admission`](Self::admission), which
    /// takes it along. With `aplomb-telemetry` that is an `OperationMetrics`.
    pub fn observe<X>(self, observer: X) -> ServerStack<U, Identity, I, X, P>
    where
        X: Observe<DeadlineEvent> + Observe<AdmissionEvent> + Clone,
    {
        let Self { problems, authenticate, admission, idempotency, .. } = self;
        ServerStack { problems, authenticate, admission, idempotency, observer }
    }
}

impl<S, U, D, I, O, P> Layer<S> for ServerStack<U, D, I, O, P>
where
    O: Clone,
    I: Layer<S>,
    D: Layer<I::Service>,
    InheritLayer<O>: Layer<D::Service>,
    U: Layer<<InheritLayer<O> as Layer<D::Service>>::Service>,
    ProblemLayer<P>: Layer<U::Service>,
{
    type Service = <ProblemLayer<P> as Layer<U::Service>>::Service;

    fn layer(&self, handler: S) -> Self::Service {
        let once = self.idempotency.layer(handler);
        let admitted = self.admission.layer(once);
        let deadline = DeadlineLayer::inherit().observe(self.observer.clone());
        let known = self.authenticate.layer(deadline.layer(admitted));
        self.problems.layer(known)
    }
}

impl<U, D, I, O, P> fmt::Debug for ServerStack<U, D, I, O, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerStack").finish_non_exhaustive()
    }
}
