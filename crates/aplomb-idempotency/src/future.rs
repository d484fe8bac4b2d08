use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    /// The answer of an [`Idempotency`](crate::Idempotency) service.
    ///
    /// Dropping it while the body is being read begins nothing. Dropping it later cancels neither
    /// the handler nor the recording of its answer.
    pub struct ResponseFuture<F, R, E> {
        #[pin]
        state: State<F, R, E>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, R, E> {
        Passed { #[pin] inner: F },
        Keyed { work: Work<Result<R, E>> },
        Refused { response: Option<R> },
    }
}

/// Work that can be moved into a task of its own, whatever it consists of.
pub(crate) type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<F, R, E> ResponseFuture<F, R, E> {
    /// The request needs no key.
    pub(crate) fn passed(inner: F) -> Self {
        let state = State::Passed { inner };
        Self { state }
    }

    /// The request has a key.
    pub(crate) fn keyed(work: Work<Result<R, E>>) -> Self {
        let state = State::Keyed { work };
        Self { state }
    }

    /// The request was refused before its body was read.
    pub(crate) fn refused(response: R) -> Self {
        let response = Some(response);
        let state = State::Refused { response };
        Self { state }
    }
}

impl<F: Future<Output = Result<R, E>>, R, E> Future for ResponseFuture<F, R, E> {
    type Output = Result<R, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Passed { inner } => inner.poll(context),
            StateProjection::Keyed { work } => work.as_mut().poll(context),
            StateProjection::Refused { response } => {
                Poll::Ready(Ok(response.take().expect("a future is not polled after it was ready")))
            }
        }
    }
}

impl<F, R, E> fmt::Debug for ResponseFuture<F, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
