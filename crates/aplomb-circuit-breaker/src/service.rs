use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use aplomb_core::{BoxError, Call, Classify, Observe, Request};
use tower_service::Service;

use crate::event::BreakerEvent;
use crate::future::ResponseFuture;
use crate::guard::{Guard, Shared};
use crate::held::Held;
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

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let Shared { circuits, terms, key, dice, observer, .. } = &*self.shared;
        let call = request.call();
        let admitted = match key.key(&request) {
            None => match circuits.admit_all() {
                // What nearly every call meets.
                Some(held) => return self.send(request, call, held),
                None => circuits.admit(terms, None, dice, observer),
            },
            Some(key) => circuits.admit(terms, Some(&*key), dice, observer),
        };
        match admitted {
            Ok(held) => self.send(request, call, held),
            Err(open) => {
                // What the ready service had reserved for this call goes back at once.
                self.inner = self.inner.clone();
                ResponseFuture::rejected(open, call)
            }
        }
    }
}

impl<S, K, C, O> CircuitBreaker<S, K, C, O> {
    #[inline]
    fn send<Req>(
        &mut self,
        request: Req,
        call: Call,
        held: Held,
    ) -> ResponseFuture<S::Future, K, C, O>
    where
        S: Service<Req>,
    {
        let mut guard = Guard::new(Arc::clone(&self.shared), held);
        let attempt = guard.inside(|| self.inner.call(request));
        ResponseFuture::sent(attempt, call, guard)
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
