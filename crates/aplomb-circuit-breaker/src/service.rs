use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use aplomb_core::{BoxError, Classify, Observe, Request};
use tower_service::Service;

use crate::error::CircuitOpen;
use crate::event::BreakerEvent;
use crate::future::ResponseFuture;
use crate::guard::{Guard, Shared};
use crate::key::Key;

/// A service that is not called while it keeps failing. Made by
/// [`CircuitBreakerLayer`](crate::CircuitBreakerLayer).
pub struct CircuitBreaker<S, K, C, O> {
    pub(crate) inner: S,
    pub(crate) shared: Arc<Shared<K, C, O>>,
}

impl<S, Req, K, C, O> Service<Req> for CircuitBreaker<S, K, C, O>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    Req: Request,
    K: Key<Req>,
    C: Classify<S::Response>,
    O: for<'a> Observe<BreakerEvent<'a>>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future, K, C, O>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "most of its cost would be the request's way in")]
    fn call(&mut self, request: Req) -> Self::Future {
        let Shared { circuits, terms, key, dice, observer, .. } = &*self.shared;
        let admitted = match key.key(&request) {
            // What nearly every call meets comes first.
            None => match circuits.admit_all() {
                Some(held) => Ok(held),
                None => circuits.admit(terms, None, dice, observer),
            },
            Some(key) => circuits.admit(terms, Some(&*key), dice, observer),
        };
        let held = match admitted {
            Ok(held) => held,
            Err(open) => return self.reject(open),
        };
        let mut guard = Guard::new(Arc::clone(&self.shared), request.call(), held);
        let attempt = guard.inside(|| self.inner.call(request));
        ResponseFuture::sent(attempt, guard)
    }
}

impl<S: Clone, K, C, O> CircuitBreaker<S, K, C, O> {
    #[cold]
    fn reject<F>(&mut self, open: CircuitOpen) -> ResponseFuture<F, K, C, O> {
        // What the ready service had reserved for this call goes back at once.
        self.inner = self.inner.clone();
        ResponseFuture::rejected(open)
    }
}

impl<S: Clone, K, C, O> Clone for CircuitBreaker<S, K, C, O> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S: fmt::Debug, K, C, O> fmt::Debug for CircuitBreaker<S, K, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker").field("inner", &self.inner).finish_non_exhaustive()
    }
}
