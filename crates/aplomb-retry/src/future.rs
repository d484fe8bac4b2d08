use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aplomb_core::{Answer, BoxError, Classify, Observe, Replay};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tower_service::Service;

use crate::event::RetryEvent;
use crate::running::{Next, Running, Settled};

pin_project! {
    /// The answer of a [`Retry`](crate::Retry).
    pub struct ResponseFuture<S, Req, C, O>
    where
        S: Service<Req>,
        S::Response: Answer,
        Req: Replay,
    {
        call: Running<Req::Kept, C, O>,
        #[pin]
        state: State<S::Future, Req, <S::Response as Answer>::Rest>,
        service: S,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, Req, B> {
        Calling { #[pin] attempt: F },
        // Only a call that failed waits, so only it pays for the room.
        Waiting { waiting: Pin<Box<Waiting<Req, B>>> },
        Readying { next: Option<Box<Next<Req>>> },
    }
}

pin_project! {
    /// The wait between two attempts.
    struct Waiting<Req, B> {
        #[pin]
        wait: Sleep,
        #[pin]
        rest: Option<B>,
        drained: usize,
        next: Option<Box<Next<Req>>>,
    }
}

impl<S, Req, C, O> ResponseFuture<S, Req, C, O>
where
    S: Service<Req>,
    S::Response: Answer,
    Req: Replay,
{
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "most of its cost would be what is kept's way out")]
    pub(crate) fn new(attempt: S::Future, service: S, call: Running<Req::Kept, C, O>) -> Self {
        Self { call, state: State::Calling { attempt }, service }
    }
}

impl<S, Req, C, O> Future for ResponseFuture<S, Req, C, O>
where
    S: Service<Req>,
    S::Response: Answer<Rest: Body>,
    S::Error: Into<BoxError>,
    Req: Replay,
    C: Classify<S::Response>,
    O: Observe<RetryEvent>,
{
    type Output = Result<S::Response, BoxError>;

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "most of its cost would be the answer's way out")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Calling { attempt } => {
                    // Matched before it is looked at: a response is large, and is moved once.
                    let (failure, result) = match ready!(attempt.poll(cx)) {
                        Ok(mut response) => match this.call.look(Ok(&mut response)) {
                            None => return Poll::Ready(Ok(response)),
                            Some(failure) => (failure, Ok(response)),
                        },
                        Err(error) => {
                            let mut error: BoxError = error.into();
                            match this.call.look::<S::Response>(Err(&mut error)) {
                                None => return Poll::Ready(Err(error)),
                                Some(failure) => (failure, Err(error)),
                            }
                        }
                    };
                    match this.call.fail(failure, result) {
                        Settled::Done(result) => return Poll::Ready(result),
                        Settled::Again { wait, next, rest } => {
                            this.state.set(State::after(wait, next, rest));
                        }
                    }
                }
                StateProj::Waiting { waiting } => {
                    let next = Some(ready!(waiting.as_mut().poll(cx)));
                    this.state.set(State::Readying { next });
                }
                StateProj::Readying { next } => {
                    if let Err(error) = ready!(this.service.poll_ready(cx)) {
                        *next = None;
                        return Poll::Ready(this.call.break_off(error.into()));
                    }
                    let next = next.take().expect("a call is polled no more after it ended");
                    let request = this.call.resend(*next);
                    let attempt = this.service.call(request);
                    this.state.set(State::Calling { attempt });
                }
            }
        }
    }
}

impl<F, Req, B> State<F, Req, B> {
    fn after(wait: Duration, next: Next<Req>, rest: Option<B>) -> Self {
        let next = Some(Box::new(next));
        if wait.is_zero() && rest.is_none() {
            return Self::Readying { next };
        }
        let wait = tokio::time::sleep(wait);
        Self::Waiting { waiting: Box::pin(Waiting { wait, rest, drained: 0, next }) }
    }
}

impl<Req, B: Body> Future for Waiting<Req, B> {
    type Output = Box<Next<Req>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        drain(this.rest, this.drained, cx);
        ready!(this.wait.poll(cx));
        Poll::Ready(this.next.take().expect("a wait ends once"))
    }
}

/// Reads what is left of a response nobody wants while the call waits anyway, so that its
/// connection can be used again (`tests/connections.rs`: at most 2 connections for 60 calls; without
/// it, 61). What is too long, or not there when the wait is over, is dropped.
fn drain<B: Body>(mut rest: Pin<&mut Option<B>>, drained: &mut usize, cx: &mut Context<'_>) {
    while let Some(body) = rest.as_mut().as_pin_mut() {
        match body.poll_frame(cx) {
            Poll::Pending => return,
            Poll::Ready(Some(Ok(frame))) if *drained < DRAIN_MAX => {
                use bytes::Buf;
                // An empty frame counts too, or a stream of them were read for ever.
                *drained += frame.data_ref().map_or(1, |data| data.remaining().max(1));
            }
            Poll::Ready(_) => rest.set(None),
        }
    }
}

impl<S, Req, C, O> fmt::Debug for ResponseFuture<S, Req, C, O>
where
    S: Service<Req>,
    S::Response: Answer,
    Req: Replay,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("attempt", &self.call.attempt())
            .finish_non_exhaustive()
    }
}

/// More than this many bytes of an unwanted response are not worth a connection.
const DRAIN_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn a_response_of_empty_frames_is_not_read_for_ever() {
        struct Empties(usize);
        impl Body for Empties {
            type Data = bytes::Bytes;
            type Error = Infallible;

            fn poll_frame(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Infallible>>> {
                self.0 += 1;
                assert!(self.0 <= DRAIN_MAX + 1, "it is read for ever");
                Poll::Ready(Some(Ok(http_body::Frame::data(bytes::Bytes::new()))))
            }
        }
        let (mut rest, mut drained) = (Some(Empties(0)), 0);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        drain(Pin::new(&mut rest), &mut drained, &mut cx);
        assert!(rest.is_none());
    }
}
