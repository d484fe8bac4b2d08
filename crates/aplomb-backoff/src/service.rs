use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_core::{BoxError, Classify, Deadline, Observe, Request, time};
use tower_service::Service;

use crate::event::BackoffEvent;
use crate::future::ResponseFuture;
use crate::layer::BackoffLayer;

/// A service that leaves its dependency alone when asked to. Made by
/// [`BackoffLayer`](crate::BackoffLayer).
#[derive(Debug)]
pub struct Paced<S, C, O> {
    pub(crate) inner: S,
    pub(crate) shared: Arc<BackoffLayer<C, O>>,
}

impl<S: Clone, C, O> Clone for Paced<S, C, O> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S, Req, C, O> Service<Req> for Paced<S, C, O>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    Req: Request,
    C: Classify<S::Response>,
    O: Observe<BackoffEvent>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = ResponseFuture<S, Req, C, O>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let BackoffLayer { dependency, .. } = &*self.shared;
        let pace = dependency.pace();
        let now = (!pace.is_clear()).then(time::now);
        let left = now.map_or(Duration::ZERO, |now| dependency.left(pace, now));
        let (call, shared) = (request.call(), Arc::clone(&self.shared));
        match now {
            Some(_) if !left.is_zero() && self.shared.settings.only_observes => {
                self.shared.observer.observe(&BackoffEvent::WouldWait { left });
                let clone = self.inner.clone();
                let attempt = mem::replace(&mut self.inner, clone).call(request);
                ResponseFuture::sent(attempt, pace.generation(), call, shared)
            }
            Some(now) if !left.is_zero() => {
                // The ready service is let go: what it holds must not be held while waiting, least
                // of all by a caller that waits for a clone of it.
                self.inner = self.inner.clone();
                let patience = self.shared.patience(Deadline::of(&request, now), now);
                let later = self.inner.clone();
                ResponseFuture::later(request, later, left, patience, call, shared)
            }
            _ => {
                let clone = self.inner.clone();
                let attempt = mem::replace(&mut self.inner, clone).call(request);
                ResponseFuture::sent(attempt, pace.generation(), call, shared)
            }
        }
    }
}
