use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use aplomb_core::{BoxError, Call, Classify, Observe};
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
        call: Call,
        guard: Result<Guard<K, C, O>, CircuitOpen>,
    }
}

impl<F, K, C, O> ResponseFuture<F, K, C, O> {
    #[inline]
    pub(crate) fn sent(attempt: F, call: Call, guard: Guard<K, C, O>) -> Self {
        Self { attempt: Some(attempt), call, guard: Ok(guard) }
    }

    pub(crate) fn rejected(open: CircuitOpen, call: Call) -> Self {
        Self { attempt: None, call, guard: Err(open) }
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

    #[inline]
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
                let outcome = guard.shared.classify.classify(*this.call, Ok(&response));
                guard.end(outcome);
                Poll::Ready(Ok(response))
            }
            Poll::Ready(Err(error)) => {
                let error: BoxError = error.into();
                let outcome = guard.shared.classify.classify(*this.call, Err(&*error));
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
