use std::sync::Arc;
use std::task::{Context, Poll};

use aplomb_core::BoxError;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

use crate::last_good::LastGood;
use crate::last_good::refreshed::flights::Flights;
use crate::last_good::refreshed::future::{Line, RefreshedFuture, refresh};
use crate::last_good::store::Key;
use crate::missed::Missed;

/// The last good answer, or one from a second source when nothing fresh is kept.
///
/// The source is as good as the first service, a replica say: its good answers are kept as the last
/// good ones. It is asked once for all who want the same at the same time, and they wait for it; each
/// has its own time slice and [place](crate::FallbackLayer::concurrent) in the layer. Only when it fails
/// is a stale answer served, where old is safe. An answer that may not be kept is its caller's alone, so
/// the others ask for their own.
///
/// Dropping a call that asks lets one of those who wait ask in its place.
#[derive(Clone, Debug)]
pub struct Refreshed<S> {
    last_good: LastGood,
    source: S,
    flights: Arc<Flights<Key, Line>>,
}

impl<S> Refreshed<S> {
    pub(crate) fn new(last_good: LastGood, source: S) -> Self {
        Self { last_good, source, flights: Arc::default() }
    }
}

impl<S, B> Service<Request<Missed>> for Refreshed<S>
where
    S: Service<Request<Missed>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = RefreshedFuture;

    // The source is polled ready by the one call that asks it: what is kept needs none of it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Missed>) -> RefreshedFuture {
        let (last_good, source) = (self.last_good.clone(), self.source.clone());
        RefreshedFuture::new(refresh(last_good, source, Arc::clone(&self.flights), request))
    }
}
