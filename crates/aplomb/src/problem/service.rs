use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aplomb_core::{BoxError, Observe};
use bytes::Bytes;
use http::Response;
use tower_service::Service;

use super::future::ProblemFuture;
use super::layer::{ProblemEvent, ProblemLayer};

/// A server that answers instead of failing. Made by [`ProblemLayer`].
pub struct Problems<S, O = ()> {
    pub(super) inner: S,
    // What the service inside failed with when it was asked whether it is ready.
    pub(super) unready: Option<BoxError>,
    pub(super) layer: Arc<ProblemLayer<O>>,
}

impl<S, Req, B, O> Service<Req> for Problems<S, O>
where
    S: Service<Req, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: From<Bytes>,
    O: Observe<ProblemEvent>,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = ProblemFuture<S::Future, O>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.unready = ready!(self.inner.poll_ready(cx)).map_err(Into::into).err();
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let layer = Arc::clone(&self.layer);
        match self.unready.take() {
            Some(error) => ProblemFuture::unready(error, layer),
            None => ProblemFuture::new(self.inner.call(request), layer),
        }
    }
}

impl<S: Clone, O> Clone for Problems<S, O> {
    fn clone(&self) -> Self {
        // Whether a clone is ready, it finds out by itself.
        Self { inner: self.inner.clone(), unready: None, layer: Arc::clone(&self.layer) }
    }
}

impl<S: fmt::Debug, O> fmt::Debug for Problems<S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problems").field("inner", &self.inner).finish_non_exhaustive()
    }
}
