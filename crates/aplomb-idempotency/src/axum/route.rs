use std::convert::Infallible;

use aplomb_core::Observe;
use axum::routing::{self, MethodFilter, MethodRouter};

use super::RecordingHandler;
use crate::{IdempotencyEvent, IdempotencyLayer, Store, Transactional};

/// Routes of transactional handlers: the layer is on them already.
///
/// ```
/// use aplomb_core::Principal;
/// use aplomb_idempotency::{Claim, IdempotencyLayer, MemoryStore, Recorded, Refusal};
/// use axum::{Extension, Router};
///
/// async fn reserve(claim: Claim) -> Result<Recorded, Refusal> {
///     // .. the effect, its record and the commit ..
/// #   let problem = aplomb_core::Problem::new("/gone", "gone", http::StatusCode::CONFLICT);
/// #   Err(problem.into())
/// }
///
/// let keys = IdempotencyLayer::new(MemoryStore::new()).transactional();
/// let app: Router = Router::new()
///     .route("/reservations", keys.post(reserve))
///     .layer(Extension(Principal::new("shop")));
/// ```
///
/// A handler that may answer a success it did not record does not compile:
///
/// ```compile_fail
/// use aplomb_core::Principal;
/// use aplomb_idempotency::{Claim, IdempotencyLayer, MemoryStore, Recorded, Refusal};
/// use axum::{Extension, Router};
///
/// async fn reserve(claim: Claim) -> Result<&'static str, Refusal> {
///     // .. the effect, and no record of it ..
///     Ok("reserved")
/// }
///
/// let keys = IdempotencyLayer::new(MemoryStore::new()).transactional();
/// let app: Router = Router::new()
///     .route("/reservations", keys.post(reserve))
///     .layer(Extension(Principal::new("shop")));
/// ```
///
/// and neither does the layer around a route that was made without it:
///
/// ```compile_fail
/// use aplomb_idempotency::{Claim, IdempotencyLayer, MemoryStore, Recorded, Refusal};
/// use axum::{Router, routing::post};
///
/// async fn reserve(claim: Claim) -> Result<Recorded, Refusal> {
/// #   let problem = aplomb_core::Problem::new("/gone", "gone", http::StatusCode::CONFLICT);
/// #   Err(problem.into())
/// }
///
/// let keys = IdempotencyLayer::new(MemoryStore::new()).transactional();
/// let app: Router = Router::new().route("/reservations", post(reserve)).route_layer(keys);
/// ```
///
/// An extractor that rejects with a success is the one way left; that is a 500 when it happens.
impl<St, O> IdempotencyLayer<St, O, Transactional>
where
    St: Store,
    O: Observe<IdempotencyEvent> + Send + Sync + 'static,
{
    /// POST goes to this handler, each key once.
    pub fn post<H, T, S>(&self, handler: H) -> MethodRouter<S, Infallible>
    where
        H: RecordingHandler<T, S>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        self.on(MethodFilter::POST, handler)
    }

    /// PATCH goes to this handler, each key once.
    pub fn patch<H, T, S>(&self, handler: H) -> MethodRouter<S, Infallible>
    where
        H: RecordingHandler<T, S>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        self.on(MethodFilter::PATCH, handler)
    }

    /// These methods go to this handler. Those that need no key reach it without a claim.
    pub fn on<H, T, S>(&self, filter: MethodFilter, handler: H) -> MethodRouter<S, Infallible>
    where
        H: RecordingHandler<T, S>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        routing::on(filter, handler).route_layer(self.untyped())
    }
}
