use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use aplomb_core::{BoxError, Classify, Deadline, Observe, Request, time};
use bytes::Bytes;
use http::Response;
use http_body::Body;
use tower_service::Service;

use crate::answer::StandIn;
use crate::event::FallbackEvent;
use crate::future::{Call, ResponseFuture};
use crate::layer::Shared;
use crate::missed::Missed;
use crate::rules::Intent;

/// A service for which another one answers when it fails. Made by
/// [`FallbackLayer`](crate::FallbackLayer).
pub struct Fallback<S, F, C, O> {
    pub(crate) inner: S,
    pub(crate) shared: Arc<Shared<F, C, O>>,
}

impl<S, Req, F, B, C, O> Service<Req> for Fallback<S, F, C, O>
where
    S: Service<Req>,
    S::Response: StandIn,
    S::Error: Into<BoxError>,
    Req: Request,
    F: Service<http::Request<Missed>, Response = Response<B>> + Clone + Send + 'static,
    F::Error: Into<BoxError>,
    F::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    C: Classify<S::Response>,
    O: Observe<FallbackEvent>,
{
    type Response = <S::Response as StandIn>::Output;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future, S::Response, F, C, O>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "most of its cost would be the request's way in")]
    fn call(&mut self, request: Req) -> Self::Future {
        let class = request.call();
        let intent = Intent::of_call(&request, class);
        let deadline = Deadline::of_call(&request, time::now);
        let shared = Arc::clone(&self.shared);
        let is_seen = shared.settings.shows_request || S::Response::NAMES_URI;
        let asked = (is_seen || shared.keeper.is_some()).then(|| copy(&request));
        let keeps = shared.keeper.as_ref().zip(asked.as_ref());
        let watch = keeps.map(|(keeper, asked)| keeper.watch(asked, intent, time::now()));
        // The ready inner service is used by this one call: while a fallback is asked nothing of it
        // is held, neither the service nor its future.
        let answer = self.inner.call(request);
        ResponseFuture::new(answer, Call { asked, class, intent, deadline, watch, shared })
    }
}

/// What the fallback is to see of a request that goes to the service.
#[inline]
fn copy(request: &impl Request) -> http::Request<()> {
    let mut copy = http::Request::new(());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri();
    // Copying an empty map costs as much as all the rest.
    if !request.headers().is_empty() {
        *copy.headers_mut() = request.headers().clone();
    }
    if let Some(extensions) = request.extensions().filter(|all| !all.is_empty()) {
        *copy.extensions_mut() = extensions.clone();
    }
    copy
}

impl<S: Clone, F, C, O> Clone for Fallback<S, F, C, O> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S: fmt::Debug, F, C, O> fmt::Debug for Fallback<S, F, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback").field("inner", &self.inner).finish_non_exhaustive()
    }
}
