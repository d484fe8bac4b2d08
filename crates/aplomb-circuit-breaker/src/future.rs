use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use aplomb_core::{BoxError, Classify, Observe};
use pin_project_lite::pin_project;

use crate::error::CircuitOpen;
use crate::event::BreakerEvent;
use crate::guard::Guard;

pin_project! {
    /// The answer of a [`CircuitBreaker`](crate::CircuitBreaker).
    pub struct ResponseFuture<F, K, C, O> {
        // Nothing when the call was rejected.
        #[pin]
        attempt: Option<F>,
        guard: Result<Guard<K, C, O>, CircuitOpen>,
    }
}

impl<F, K, C, O> ResponseFuture<F, K, C, O> {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "most of its cost would be the answer's way out")]
    pub(crate) fn sent(attempt: F, guard: Guard<K, C, O>) -> Self {
        Self { attempt: Some(attempt), guard: Ok(guard) }
    }

    #[inline]
    pub(crate) fn rejected(open: CircuitOpen) -> Self {
        Self { attempt: None, guard: Err(open) }
    }
}

impl<F, R, E, K, C, O> Future for ResponseFuture<F, K, C, O>
where
    F: Future<Output = Result<R, E>>,
    E: Into<BoxError>,
    C: Classify<R>,
    O: for<'a> Observe<BreakerEvent<'a>>,
{
    type Output = Result<R, BoxError>;

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "most of its cost would be the answer's way out")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (Some(attempt), Ok(guard)) = (this.attempt.as_pin_mut(), this.guard.as_mut()) else {
            let open = this.guard.as_ref().err().expect("what was let through was sent");
            return Poll::Ready(Err((*open).into()));
        };
        // Matched before it is looked at: a response is large, and is moved once.
        match guard.inside(|| attempt.poll(cx)) {
            Poll::Pending => {
                guard.waits();
                Poll::Pending
            }
            Poll::Ready(Ok(response)) => {
                let outcome = guard.shared.classify.classify(guard.call, Ok(&response));
                guard.answered(outcome);
                Poll::Ready(Ok(response))
            }
            Poll::Ready(Err(error)) => {
                let error: BoxError = error.into();
                let outcome = guard.shared.classify.classify(guard.call, Err(&*error));
                guard.end(outcome);
                Poll::Ready(Err(error))
            }
        }
    }
}

impl<F, K, C, O> fmt::Debug for ResponseFuture<F, K, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.attempt.is_some() { "sent" } else { "rejected" };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
