use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aplomb_core::{Answer, owner};
use http::HeaderValue;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// Tells a server's callers when the retries below it are exhausted.
///
/// Put it directly around a handler that calls other services through
/// [`RetryLayer`](crate::RetryLayer). When such a call failed finally (attempts, time or budget ran
/// out, or the hop below said so itself) and the handler answers with a 429 or a 5xx, the answer
/// carries `x-should-retry: false`, and no hop above tries again what was tried enough.
///
/// It sees the calls that are made while the handler is polled; what a handler spawns, it does not
/// see. Dropping the future leaves nothing behind.
///
/// ```
/// use aplomb_retry::ExhaustionLayer;
/// use tower::{ServiceBuilder, service_fn};
///
/// let handler = ServiceBuilder::new()
///     .layer(ExhaustionLayer::new())
///     .service(service_fn(|_: http::Request<()>| async {
///         Ok::<_, std::convert::Infallible>(http::Response::new(()))
///     }));
/// # let _ = handler;
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ExhaustionLayer {}

impl ExhaustionLayer {
    /// The layer. It has no settings: it only ever takes retries away.
    pub const fn new() -> Self {
        Self {}
    }
}

impl<S> Layer<S> for ExhaustionLayer {
    type Service = Exhaustion<S>;

    fn layer(&self, inner: S) -> Exhaustion<S> {
        Exhaustion { inner }
    }
}

/// A service that says when the retries below it are exhausted. Made by [`ExhaustionLayer`].
#[derive(Clone, Debug)]
pub struct Exhaustion<S> {
    inner: S,
}

impl<S, Req> Service<Req> for Exhaustion<S>
where
    S: Service<Req>,
    S::Response: Answer,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ExhaustionFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let (inner, exhausted) = owner::watch(|| self.inner.call(request));
        ExhaustionFuture { inner, exhausted }
    }
}

pin_project! {
    /// The answer of an [`Exhaustion`] service.
    pub struct ExhaustionFuture<F> {
        #[pin]
        inner: F,
        exhausted: bool,
    }
}

impl<F, R, E> Future for ExhaustionFuture<F>
where
    F: Future<Output = Result<R, E>>,
    R: Answer,
{
    type Output = Result<R, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (polled, exhausted) = owner::watch(|| this.inner.poll(cx));
        *this.exhausted |= exhausted;
        let mut response = ready!(polled)?;
        let status = response.status();
        if *this.exhausted && (status.is_server_error() || status == 429) {
            let no = HeaderValue::from_static("false");
            response.headers_mut().insert(owner::SHOULD_RETRY, no);
        }
        Poll::Ready(Ok(response))
    }
}

impl<F> fmt::Debug for ExhaustionFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExhaustionFuture")
            .field("exhausted", &self.exhausted)
            .finish_non_exhaustive()
    }
}
