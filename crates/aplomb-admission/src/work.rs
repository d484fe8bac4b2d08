//! One call, from the queue to its end, on either side of the network.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aplomb_core::{Deadline, HeldPermit, Observe, Permit, Request, time};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::desk::{Granted, Waiting};
use crate::event::AdmissionEvent;
use crate::rejection::Rejection;

pin_project! {
    /// A call that runs, waits or does not run.
    pub(crate) struct Work<S, Req>
    where
        S: Service<Req>,
    {
        #[pin]
        state: State<S, Req, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, Req, F> {
        Rejected { rejection: Rejection },
        // Only a call that waits pays for the room.
        Waiting { waiting: Pin<Box<Waiting>>, later: Option<Box<Later<S, Req>>> },
        Readying { granted: Option<Granted>, later: Option<Box<Later<S, Req>>> },
        Running { #[pin] inner: F, held: Held },
        Observed { #[pin] inner: F, waiting: Option<Pin<Box<Waiting>>>, permit: Option<Permit> },
        Over,
    }
}

/// What will be called when there is a permit for it.
pub(crate) struct Later<S, Req> {
    pub(crate) service: S,
    pub(crate) request: Req,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) hold: Hold<Req>,
}

/// How the permit is held while the request runs.
pub(crate) type Hold<Req> = fn(Permit, &mut Req) -> Held;

/// The permit of a call that runs.
pub(crate) enum Held {
    /// Nobody but this future knows it; `None` when the call runs under no limit.
    Own { _permit: Option<Permit> },
    /// The request carries it: the work inside may have taken it along.
    Lent(HeldPermit),
}

impl Held {
    pub(crate) const fn own(permit: Option<Permit>) -> Self {
        Self::Own { _permit: permit }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self::Lent(permit) = self {
            permit.take_back();
        }
    }
}

impl<S: Service<Req>, Req> Work<S, Req> {
    pub(crate) fn rejected(rejection: Rejection) -> Self {
        Self { state: State::Rejected { rejection } }
    }

    pub(crate) fn waiting(waiting: Pin<Box<Waiting>>, later: Later<S, Req>) -> Self {
        Self { state: State::Waiting { waiting, later: Some(Box::new(later)) } }
    }

    pub(crate) fn running(inner: S::Future, held: Held) -> Self {
        Self { state: State::Running { inner, held } }
    }

    /// It runs at once; what the wait would have come to is only watched.
    pub(crate) fn observed(inner: S::Future, waiting: Pin<Box<Waiting>>) -> Self {
        Self { state: State::Observed { inner, waiting: Some(waiting), permit: None } }
    }
}

/// What the inner service answered, unless the call did not run.
type Ended<T, E> = Result<Result<T, E>, Rejection>;

impl<S, Req> Work<S, Req>
where
    S: Service<Req>,
    Req: Request,
{
    pub(crate) fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        observer: &impl Observe<AdmissionEvent>,
    ) -> Poll<Ended<S::Response, S::Error>> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProj::Rejected { rejection } => {
                    let rejection = *rejection;
                    state.set(State::Over);
                    observer.observe(&AdmissionEvent::rejected(&rejection));
                    return Poll::Ready(Err(rejection));
                }
                StateProj::Waiting { waiting, later } => {
                    let next = match ready!(waiting.as_mut().poll(cx)) {
                        Ok(granted) => {
                            State::Readying { granted: Some(granted), later: later.take() }
                        }
                        Err(rejection) => State::Rejected { rejection },
                    };
                    state.set(next);
                }
                StateProj::Readying { granted, later } => {
                    let called = later.as_mut().expect("it is called once");
                    if let Err(error) = ready!(called.service.poll_ready(cx)) {
                        state.set(State::Over);
                        return Poll::Ready(Ok(Err(error)));
                    }
                    let granted = granted.take().expect("it is called once");
                    let later = later.take().expect("it is called once");
                    state.set(later.call(granted, observer));
                }
                StateProj::Running { inner, .. } => {
                    let answer = ready!(inner.poll(cx));
                    // The permit goes back now, not when somebody drops this future.
                    state.set(State::Over);
                    return Poll::Ready(Ok(answer));
                }
                StateProj::Observed { inner, waiting, permit } => {
                    *permit = watch(waiting, cx, observer).or(permit.take());
                    let answer = ready!(inner.poll(cx));
                    state.set(State::Over);
                    return Poll::Ready(Ok(answer));
                }
                StateProj::Over => panic!("a future is polled no more after it ended"),
            }
        }
    }
}

impl<S, Req> Later<S, Req>
where
    S: Service<Req>,
    Req: Request,
{
    fn call(
        mut self,
        Granted { permit, wait }: Granted,
        observer: &impl Observe<AdmissionEvent>,
    ) -> State<S, Req, S::Future> {
        // The inner service may have taken its time to become ready.
        if self.deadline.is_some_and(|deadline| deadline.is_over(time::now())) {
            let rejection = Rejection::expired(self.request.class(), wait);
            return State::Rejected { rejection };
        }
        observer.observe(&AdmissionEvent::Admitted { wait });
        let held = (self.hold)(permit, &mut self.request);
        State::Running { inner: self.service.call(self.request), held }
    }
}

/// Says what a wait would have come to, once.
fn watch(
    waiting: &mut Option<Pin<Box<Waiting>>>,
    cx: &mut Context<'_>,
    observer: &impl Observe<AdmissionEvent>,
) -> Option<Permit> {
    let Poll::Ready(verdict) = waiting.as_mut()?.as_mut().poll(cx) else { return None };
    *waiting = None;
    match verdict {
        Ok(Granted { permit, wait }) => {
            observer.observe(&AdmissionEvent::WouldHaveWaited { wait });
            Some(permit)
        }
        Err(rejection) => {
            observer.observe(&AdmissionEvent::would_have_rejected(&rejection));
            None
        }
    }
}
