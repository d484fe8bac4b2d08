use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aplomb_core::{Answer, BoxError, Classify, Observe, ReplayBody};
use bytes::Buf;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::bury::Bury;
use crate::deferred::{Asking, Deferred, Next};
use crate::event::DeadLetterEvent;

pin_project! {
    /// The answer of a [`DeadLetter`](crate::DeadLetter).
    ///
    /// Dropped before the answer is there, it drops the call. Dropped while a letter is being stored,
    /// the letter may be stored or not: the caller still has the request, and whoever sends it again
    /// stores the same letter.
    pub struct ResponseFuture<F, R, B, K, C, O>
    where
        B: ReplayBody,
    {
        #[pin]
        state: State<F, R, B, K, C, O>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, R, B, K, C, O>
    where
        B: ReplayBody,
    {
        Passed { #[pin] inner: F },
        Calling { #[pin] inner: F, deferred: Option<Deferred<B, K, C, O>> },
        Asking { asking: Asking<R> },
        Ended,
    }
}

impl<F, R, B: ReplayBody, K, C, O> ResponseFuture<F, R, B, K, C, O> {
    /// The layer is not for this request.
    pub(crate) fn passed(inner: F) -> Self {
        Self { state: State::Passed { inner } }
    }

    pub(crate) fn deferred(inner: F, deferred: Deferred<B, K, C, O>) -> Self {
        Self { state: State::Calling { inner, deferred: Some(deferred) } }
    }
}

impl<F, E, R, B, K, C, O> Future for ResponseFuture<F, R, B, K, C, O>
where
    F: Future<Output = Result<R, E>>,
    E: Into<BoxError>,
    R: Answer + Send + 'static,
    B: ReplayBody<Kept: Send + 'static> + Body<Data: Buf + Send> + Send + 'static,
    K: Bury,
    C: Classify<R> + Send + Sync + 'static,
    O: Observe<DeadLetterEvent> + Send + Sync + 'static,
{
    type Output = Result<R, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let done = match state.as_mut().project() {
                StateProj::Passed { inner } => ready!(inner.poll(cx)).map_err(Into::into),
                StateProj::Calling { inner, deferred } => {
                    let result = ready!(inner.poll(cx)).map_err(Into::into);
                    let deferred = deferred.take().expect("an answer comes once");
                    match deferred.answered(result) {
                        Next::Done(result) => result,
                        Next::Ask(asking) => {
                            // What the call holds is given back before the sink is waited for.
                            state.set(State::Asking { asking });
                            continue;
                        }
                    }
                }
                StateProj::Asking { asking } => ready!(asking.as_mut().poll(cx)),
                StateProj::Ended => panic!("a future is not polled after it was ready"),
            };
            state.set(State::Ended);
            return Poll::Ready(done);
        }
    }
}

impl<F, R, B: ReplayBody, K, C, O> fmt::Debug for ResponseFuture<F, R, B, K, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
