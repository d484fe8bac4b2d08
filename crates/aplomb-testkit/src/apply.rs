use std::sync::Arc;

use aplomb_core::BoxError;
use bytes::Bytes;
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;
use tower_layer::Layer;
use tower_service::Service;

/// The request of every call that the kit makes.
pub type Request = http::Request<Full<Bytes>>;
/// The response of the service that a layer under test is given.
pub type Response = http::Response<Full<Bytes>>;
/// The service that a layer under test is given: the probe, at times behind a concurrency limit
/// or a buffer.
pub type Inner = BoxCloneSyncService<Request, Response, BoxError>;
/// A service made by the layer under test.
pub type Outer = BoxCloneSyncService<Request, http::Response<Answered>, BoxError>;
/// The body of a response that came through the layer under test.
pub(crate) type Answered = UnsyncBoxBody<Bytes, BoxError>;

/// Makes layer values, a new one each time.
pub(crate) type Make = Box<dyn Fn() -> LayerValue>;

/// A layer value of a type that does not matter any more.
#[derive(Clone)]
pub(crate) struct LayerValue(Arc<dyn Apply>);

trait Apply: Send + Sync {
    fn apply(&self, inner: Inner) -> Outer;
    fn copy(&self) -> LayerValue;
}

impl LayerValue {
    pub(crate) fn new<L, S, B>(layer: L) -> Self
    where
        L: Layer<Inner, Service = S> + Clone + Send + Sync + 'static,
        S: Service<Request, Response = http::Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError> + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self(Arc::new(Typed(layer)))
    }

    /// What `Layer::layer` makes.
    pub(crate) fn apply(&self, inner: Inner) -> Outer {
        self.0.apply(inner)
    }

    /// What the layer's own `Clone` makes, not another handle on the same value.
    pub(crate) fn copy(&self) -> Self {
        self.0.copy()
    }
}

struct Typed<L>(L);

impl<L, S, B> Apply for Typed<L>
where
    L: Layer<Inner, Service = S> + Clone + Send + Sync + 'static,
    S: Service<Request, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError> + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    fn apply(&self, inner: Inner) -> Outer {
        let service = self.0.layer(inner);
        let erased = service.map_response(|response| response.map(erase)).map_err(Into::into);
        Outer::new(erased)
    }

    fn copy(&self) -> LayerValue {
        LayerValue::new(self.0.clone())
    }
}

fn erase<B>(body: B) -> Answered
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    UnsyncBoxBody::new(body.map_err(Into::into))
}
