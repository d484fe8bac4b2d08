use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::Accounted;

/// A service whose typed answers go out as responses.
#[derive(Clone, Debug)]
pub struct Typed<S> {
    inner: S,
}

impl<S> Typed<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for Typed<S>
where
    S: Service<Request<B>>,
    S::Response: Accounted,
    B: From<Bytes>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = TypedFuture<S::Future, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        TypedFuture { inner: self.inner.call(request), body: PhantomData }
    }
}

pin_project! {
    /// The answer of a [`Typed`] service. Dropping it drops the handler's future.
    pub struct TypedFuture<F, B> {
        #[pin]
        inner: F,
        body: PhantomData<fn() -> B>,
    }
}

impl<F, A, E, B> Future for TypedFuture<F, B>
where
    F: Future<Output = Result<A, E>>,
    A: Accounted,
    B: From<Bytes>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answered = ready!(self.project().inner.poll(context));
        Poll::Ready(answered.map(Accounted::into_response))
    }
}

impl<F, B> fmt::Debug for TypedFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedFuture").finish_non_exhaustive()
    }
}
