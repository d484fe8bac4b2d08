//! A layer under test on an axum router.
//!
//! axum applies a layer when a handler becomes a route: for each request while the router is not
//! finalised, for each connection when it is. The layer under test knows neither axum's bodies nor
//! its `Infallible`, so it is applied between two translations, by a layer that axum applies as it
//! does any other.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use aplomb_core::BoxError;
use axum::Router;
use axum::body::Body;
use axum::routing::{Route, any};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;
use tower_layer::Layer;
use tower_service::Service;

use crate::apply::{Inner, LayerValue, Outer, Request, Response};
use crate::probe::Probe;

/// A router with the layer on it, around a handler that calls the probe.
pub(crate) struct Mounted {
    router: Router,
    applications: Arc<AtomicU32>,
}

impl Mounted {
    pub(crate) fn on_route(value: &LayerValue, probe: &Probe) -> Self {
        Self::new(value, probe, Router::route_layer)
    }

    pub(crate) fn on_router(value: &LayerValue, probe: &Probe) -> Self {
        Self::new(value, probe, Router::layer)
    }

    fn new(value: &LayerValue, probe: &Probe, mount: fn(Router, Translated) -> Router) -> Self {
        let probe = probe.clone();
        let handler = any(move |request| handle(probe, request));
        let router = Router::new().route("/", handler.clone()).route("/{*rest}", handler);
        let applications = Arc::default();
        let layer = Translated { value: value.clone(), applications: Arc::clone(&applications) };
        Self { router: mount(router, layer), applications }
    }

    /// The router as it is: the layer is applied for each request.
    pub(crate) fn service(&self) -> Outer {
        from_axum(self.router.clone())
    }

    /// The router as a new connection gets it: the layer is applied once.
    pub(crate) fn connection(&self) -> Outer {
        from_axum(self.router.clone().with_state(()))
    }

    pub(crate) fn applications(&self) -> u32 {
        self.applications.load(Ordering::Relaxed)
    }
}

async fn handle(probe: Probe, request: axum::extract::Request) -> axum::response::Response {
    let inside = async { probe.service().oneshot(collected(request).await?).await };
    match inside.await {
        Ok(response) => response.map(Body::new),
        Err(error) => slip(error),
    }
}

/// Applies the layer value as axum does, in the types of the kit.
#[derive(Clone)]
struct Translated {
    value: LayerValue,
    applications: Arc<AtomicU32>,
}

type AxumService =
    BoxCloneSyncService<axum::extract::Request, axum::response::Response, Infallible>;

impl Layer<Route> for Translated {
    type Service = AxumService;

    fn layer(&self, route: Route) -> AxumService {
        self.applications.fetch_add(1, Ordering::Relaxed);
        into_axum(self.value.apply(into_inner(route)))
    }
}

fn into_inner(route: Route) -> Inner {
    let route = route
        .map_request(|request: Request| request.map(Body::new))
        .map_err(|never| match never {});
    Inner::new(route.and_then(async |response: axum::response::Response| {
        let (parts, body) = unslip(response)?.into_parts();
        let bytes = body.collect().await?.to_bytes();
        Ok::<_, BoxError>(Response::from_parts(parts, Full::from(bytes)))
    }))
}

fn into_axum(outer: Outer) -> AxumService {
    let answering = tower::service_fn(move |request: axum::extract::Request| {
        let outer = outer.clone();
        async move {
            let answered = async { outer.oneshot(collected(request).await?).await };
            Ok(match answered.await {
                Ok(response) => response.map(Body::new),
                Err(error) => slip(error),
            })
        }
    });
    AxumService::new(answering)
}

fn from_axum<S>(router: S) -> Outer
where
    S: Service<Request, Response = axum::response::Response, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let router = router.map_err(|never| match never {});
    Outer::new(router.and_then(async |response| {
        let response = unslip(response)?;
        Ok::<_, BoxError>(response.map(|body| UnsyncBoxBody::new(body.map_err(Into::into))))
    }))
}

async fn collected(request: axum::extract::Request) -> Result<Request, BoxError> {
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await?.to_bytes();
    Ok(Request::from_parts(parts, Full::from(bytes)))
}

/// An error on its way through a router that knows none.
#[derive(Clone)]
struct Slip(Arc<Mutex<Option<BoxError>>>);

fn slip(error: BoxError) -> axum::response::Response {
    let mut response = axum::response::Response::default();
    *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
    let slip = Slip(Arc::new(Mutex::new(Some(error))));
    response.extensions_mut().insert(slip);
    response
}

fn unslip(mut response: axum::response::Response) -> Result<axum::response::Response, BoxError> {
    let Some(Slip(slip)) = response.extensions_mut().remove() else {
        return Ok(response);
    };
    let error = slip.lock().unwrap_or_else(PoisonError::into_inner).take();
    error.map_or(Ok(response), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::layer::layer_fn;

    #[tokio::test]
    async fn a_router_applies_the_layer_for_each_request() {
        for mount in [Mounted::on_route, Mounted::on_router] {
            let mounted = mount(&nothing(), &Probe::new());
            let router = mounted.service();
            let before = mounted.applications();
            for _ in 0..3 {
                router.clone().oneshot(Request::default()).await.unwrap();
            }
            assert_eq!(mounted.applications() - before, 3);
        }
    }

    #[tokio::test]
    async fn a_finalised_router_applies_the_layer_for_each_connection() {
        let mounted = Mounted::on_route(&nothing(), &Probe::new());
        let connections = [mounted.connection(), mounted.connection()];
        let before = mounted.applications();
        for connection in connections {
            connection.clone().oneshot(Request::default()).await.unwrap();
            connection.oneshot(Request::default()).await.unwrap();
        }
        assert!(before >= 2, "once for each connection");
        assert_eq!(mounted.applications(), before, "never for a request");
    }

    fn nothing() -> LayerValue {
        LayerValue::new(layer_fn(|inner: Inner| inner))
    }
}
