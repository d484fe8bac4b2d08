use tower_layer::Layer;

use super::{Transactional, Typed};
use crate::{Idempotency, IdempotencyLayer};

/// A success of a transactional handler is a [`Recorded`](crate::Recorded), which only a store can
/// make:
///
/// ```
/// use std::convert::Infallible;
/// use aplomb_idempotency::{IdempotencyLayer, MemoryStore, Recorded, Refusal};
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{Layer, Service, service_fn};
///
/// async fn reserve(_: Request<Full<Bytes>>) -> Result<Result<Recorded, Refusal>, Infallible> {
///     // .. the effect, its record and the commit ..
/// #   let problem = aplomb_core::Problem::new("/gone", "gone", http::StatusCode::CONFLICT);
/// #   Ok(Err(problem.into()))
/// }
///
/// fn serves(_: impl Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>>) {}
///
/// serves(IdempotencyLayer::new(MemoryStore::new()).transactional().layer(service_fn(reserve)));
/// ```
///
/// A handler that answers with anything else is not served:
///
/// ```compile_fail
/// use std::convert::Infallible;
/// use aplomb_idempotency::{IdempotencyLayer, MemoryStore};
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{Layer, Service, service_fn};
///
/// async fn reserve(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
///     // .. the effect, and no record of it ..
/// #   Ok(Response::new(Full::from("reserved")))
/// }
///
/// fn serves(_: impl Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>>) {}
///
/// serves(IdempotencyLayer::new(MemoryStore::new()).transactional().layer(service_fn(reserve)));
/// ```
impl<S, St, O> Layer<S> for IdempotencyLayer<St, O, Transactional> {
    type Service = Idempotency<Typed<S>, St, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Idempotency::new(Typed::new(inner), self.shared())
    }
}
