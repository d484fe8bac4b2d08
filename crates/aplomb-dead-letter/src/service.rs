use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use aplomb_core::{
    Answer, BoxError, Classify, Observe, OperationClass, Replay, ReplayBody, Request as _,
};
use bytes::Buf;
use http::Request;
use http_body::Body;
use tower_service::Service;

use crate::bury::Bury;
use crate::deferred::Deferred;
use crate::event::{DeadLetterEvent, Lacks};
use crate::future::ResponseFuture;
use crate::id::key_of;
use crate::layer::Shared;

/// A service that keeps requests which finally failed. Made by
/// [`DeadLetterLayer`](crate::DeadLetterLayer).
pub struct DeadLetter<S, K, C, O> {
    pub(crate) inner: S,
    pub(crate) shared: Arc<Shared<K, C, O>>,
}

impl<S, B, K, C, O> Service<Request<B>> for DeadLetter<S, K, C, O>
where
    S: Service<Request<B>, Error: Into<BoxError>> + Clone,
    S::Response: Answer + Send + 'static,
    B: ReplayBody<Kept: Send + 'static> + Body<Data: Buf + Send> + Send + 'static,
    K: Bury,
    C: Classify<S::Response> + Send + Sync + 'static,
    O: Observe<DeadLetterEvent> + Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future, S::Response, B, K, C, O>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let clone = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, clone);
        let key = match key_of_deferred(&request) {
            Ok(key) => key,
            Err(lacks) => {
                self.shared.observer.observe(&DeadLetterEvent::Misused { lacks });
                return ResponseFuture::passed(ready.call(request));
            }
        };
        let (call, job) = (request.call(), request.extensions().get().copied());
        let shared = Arc::clone(&self.shared);
        let kept = request.keep(shared.settings.body_cap);
        let deferred = Deferred { kept, key: key.into(), call, job, shared };
        ResponseFuture::deferred(ready.call(request), deferred)
    }
}

/// The key of a request that nobody waits for, or what it lacks.
fn key_of_deferred<B>(request: &Request<B>) -> Result<String, Lacks> {
    if request.class() != OperationClass::Deferred {
        return Err(Lacks::Deferral);
    }
    key_of(request.headers()).ok_or(Lacks::Key)
}

impl<S: Clone, K, C, O> Clone for DeadLetter<S, K, C, O> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S: fmt::Debug, K, C, O> fmt::Debug for DeadLetter<S, K, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter").field("inner", &self.inner).finish_non_exhaustive()
    }
}
