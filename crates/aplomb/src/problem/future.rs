use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aplomb_core::{BoxError, Observe};
use bytes::Bytes;
use http::Response;
use pin_project_lite::pin_project;

use super::answer;
use super::layer::{ProblemEvent, ProblemLayer};

pin_project! {
    /// The answer of [`Problems`](crate::Problems).
    pub struct ProblemFuture<F, O> {
        #[pin]
        state: State<F>,
        layer: Arc<ProblemLayer<O>>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Unready { error: Option<BoxError> },
        Calling { #[pin] inner: F },
    }
}

impl<F, O> ProblemFuture<F, O> {
    pub(super) fn new(inner: F, layer: Arc<ProblemLayer<O>>) -> Self {
        Self { state: State::Calling { inner }, layer }
    }

    pub(super) fn unready(error: BoxError, layer: Arc<ProblemLayer<O>>) -> Self {
        Self { state: State::Unready { error: Some(error) }, layer }
    }
}

impl<F, B, E, O> Future for ProblemFuture<F, O>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    B: From<Bytes>,
    O: Observe<ProblemEvent>,
{
    type Output = Result<Response<B>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (error, event): (_, fn(_) -> _) = match this.state.project() {
            StateProj::Unready { error } => {
                (error.take().expect("a call is answered once"), ProblemEvent::Unready)
            }
            StateProj::Calling { inner } => match ready!(inner.poll(cx)) {
                Ok(response) => return Poll::Ready(Ok(response)),
                Err(error) => (error.into(), ProblemEvent::Failed),
            },
        };
        let response = answer::to(error, &this.layer.dice);
        this.layer.observer.observe(&event(response.status()));
        Poll::Ready(Ok(response))
    }
}

impl<F, O> fmt::Debug for ProblemFuture<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProblemFuture").finish_non_exhaustive()
    }
}
