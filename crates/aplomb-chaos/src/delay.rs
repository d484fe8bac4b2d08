use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aplomb_core::Observe;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use crate::{Event, Everything, Matches, Station, StationLayer};

/// Makes calls come late to a service. See [`Chaos::delay`](crate::Chaos::delay).
///
/// Around a client it is a slow network, on a server a slow service; to be slow between a claim and
/// its commit, a handler waits by itself: [`Chaos::latency`](crate::Chaos::latency). Dropping the
/// future ends the wait, and the service is not called.
pub type DelayLayer<P = Everything, O = ()> = StationLayer<AtDelay, P, O>;

/// A service that calls may come late to.
pub type Delay<S, P = Everything, O = ()> = Station<AtDelay, S, P, O>;

/// Names the station of a [`DelayLayer`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AtDelay;

impl<S, R, P, O> Service<R> for Delay<S, P, O>
where
    S: Service<R> + Clone,
    P: Matches<R>,
    O: Observe<Event>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = DelayFuture<S, R>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let mut ready = self.take();
        let touched = self.layer.only.matches(&request);
        let state = match touched.then(|| self.layer.chaos.delays()).flatten() {
            Some(wait) => {
                State::Waits { wait: Box::pin(sleep(wait)), call: Some((ready, request)) }
            }
            None => State::Runs { answer: ready.call(request) },
        };
        DelayFuture { state }
    }
}

pin_project! {
    /// The answer, a little later.
    pub struct DelayFuture<S, R>
    where
        S: Service<R>,
    {
        #[pin]
        state: State<S, R, S::Future>,
    }
}

pin_project! {
    #[project = StateProject]
    enum State<S, R, F> {
        // Only a call that waits pays for the room.
        Waits { wait: Pin<Box<Sleep>>, call: Option<(S, R)> },
        Runs { #[pin] answer: F },
    }
}

impl<S: Service<R>, R> Future for DelayFuture<S, R> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProject::Waits { wait, call } => {
                    ready!(wait.as_mut().poll(context));
                    let (mut ready, request) = call.take().expect("a wait ends once");
                    let answer = ready.call(request);
                    state.set(State::Runs { answer });
                }
                StateProject::Runs { answer } => return answer.poll(context),
            }
        }
    }
}

impl<S: Service<R>, R> fmt::Debug for DelayFuture<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DelayFuture").finish_non_exhaustive()
    }
}
