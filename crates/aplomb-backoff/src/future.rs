use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aplomb_core::{BoxError, Call, Classify, Deadline, NotBefore, Observe, time};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};
use tower_service::Service;

use crate::event::BackoffEvent;
use crate::layer::{BackoffLayer, Dependency};
use crate::pace::Generation;
use crate::sync::Ordering;

pin_project! {
    /// The answer of a [`Paced`](crate::Paced) service.
    pub struct ResponseFuture<S, Req, C, O>
    where
        S: Service<Req>,
    {
        #[pin]
        state: State<S, Req, S::Future>,
        call: Call,
        shared: Arc<BackoffLayer<C, O>>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, Req, F> {
        Refused { left: Duration },
        Waiting { #[pin] sleep: Sleep, waiting: Option<Waiting<S, Req>> },
        Readying { waiting: Option<Waiting<S, Req>> },
        Calling { #[pin] attempt: F, generation: Generation },
    }
}

/// A call that waits, with the service that will send it.
struct Waiting<S, Req> {
    request: Req,
    service: S,
    patience: Deadline,
    _waiter: Waiter,
}

impl<S, Req, C, O> ResponseFuture<S, Req, C, O>
where
    S: Service<Req>,
{
    pub(crate) fn sent(
        attempt: S::Future,
        generation: Generation,
        call: Call,
        shared: Arc<BackoffLayer<C, O>>,
    ) -> Self {
        Self { state: State::Calling { attempt, generation }, call, shared }
    }

    pub(crate) fn later(
        request: Req,
        service: S,
        left: Duration,
        patience: Deadline,
        call: Call,
        shared: Arc<BackoffLayer<C, O>>,
    ) -> Self
    where
        O: Observe<BackoffEvent>,
    {
        let Some(waiter) = Waiter::join(&shared.dependency, shared.settings.waiters_max) else {
            shared.observer.observe(&BackoffEvent::Refused { left });
            return Self { state: State::Refused { left }, call, shared };
        };
        let waiting = Waiting { request, service, patience, _waiter: waiter };
        Self { state: waiting.wait(left, &shared), call, shared }
    }
}

impl<S, Req> Waiting<S, Req> {
    fn wait<C, O, F>(self, left: Duration, shared: &BackoffLayer<C, O>) -> State<S, Req, F>
    where
        O: Observe<BackoffEvent>,
    {
        // Those who wait for one instant must not all come back at it.
        let wait = left + shared.dice.roll().up_to(left / 4);
        let now = time::now();
        if wait >= self.patience.remaining(now) {
            shared.observer.observe(&BackoffEvent::Refused { left });
            return State::Refused { left };
        }
        shared.observer.observe(&BackoffEvent::Waiting { wait });
        State::Waiting { sleep: sleep_until(now + wait), waiting: Some(self) }
    }
}

impl<S, Req, C, O> Future for ResponseFuture<S, Req, C, O>
where
    S: Service<Req>,
    S::Error: Into<BoxError>,
    C: Classify<S::Response>,
    O: Observe<BackoffEvent>,
{
    type Output = Result<S::Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Refused { left } => {
                    return Poll::Ready(Err(NotBefore::new(*left).into()));
                }
                StateProj::Waiting { sleep, waiting } => {
                    ready!(sleep.poll(cx));
                    let waited = waiting.take().expect("a wait ends once");
                    // Others may have found meanwhile that it is still too early.
                    let dependency = &this.shared.dependency;
                    let left = dependency.left(dependency.pace(), time::now());
                    let next = if left.is_zero() {
                        State::Readying { waiting: Some(waited) }
                    } else {
                        waited.wait(left, this.shared)
                    };
                    this.state.set(next);
                }
                StateProj::Readying { waiting } => {
                    let service = &mut waiting.as_mut().expect("it is sent once").service;
                    ready!(service.poll_ready(cx)).map_err(Into::into)?;
                    let Waiting { request, mut service, .. } =
                        waiting.take().expect("it is sent once");
                    let generation = this.shared.dependency.pace().generation();
                    let attempt = service.call(request);
                    this.state.set(State::Calling { attempt, generation });
                }
                StateProj::Calling { attempt, generation } => {
                    let result = ready!(attempt.poll(cx)).map_err(Into::into);
                    let seen = match &result {
                        Ok(response) => Ok(response),
                        Err(error) => Err(&**error as &(dyn Error + 'static)),
                    };
                    let outcome = this.shared.classify.classify(*this.call, seen);
                    this.shared.note(*generation, outcome);
                    return Poll::Ready(result);
                }
            }
        }
    }
}

impl<S: Service<Req>, Req, C, O> fmt::Debug for ResponseFuture<S, Req, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("call", &self.call).finish_non_exhaustive()
    }
}

/// A place among the calls that wait, given back when the wait is over or dropped.
struct Waiter(Arc<Dependency>);

impl Waiter {
    fn join(dependency: &Arc<Dependency>, most: usize) -> Option<Self> {
        let room = |waiters| (waiters < most).then_some(waiters + 1);
        let waiters = &dependency.waiters;
        waiters.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        Some(Self(Arc::clone(dependency)))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.waiters.fetch_sub(1, Ordering::Relaxed);
    }
}
