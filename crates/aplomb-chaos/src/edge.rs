use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aplomb_core::{BoxError, Observe};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{Chaos, Cut, Event, Everything, Matches, Station, StationLayer};

/// Cuts connections: before anything runs, or after the answer was made; or takes a call and never
/// answers. See [`Chaos::edge`].
///
/// It belongs at the very outside. A hyper server closes the connection when its service fails, so
/// the error must reach it unanswered. Around a client it stands for the network: the inner call
/// completes and its response is lost.
///
/// An answer counts when its head is ready; a request whose future was dropped, or whose service
/// failed, has no answer to lose. A call without an answer ends when its caller hangs up, or when a
/// deadline outside drops it.
pub type EdgeLayer<P = Everything, O = ()> = StationLayer<AtEdge, P, O>;

/// A service whose connections may be cut.
pub type Edge<S, P = Everything, O = ()> = Station<AtEdge, S, P, O>;

/// Names the station of an [`EdgeLayer`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AtEdge;

impl<S, R, P, O> Service<R> for Edge<S, P, O>
where
    S: Service<R> + Clone,
    S::Error: Into<BoxError>,
    P: Matches<R>,
    O: Observe<Event> + Clone,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = EdgeFuture<S::Future, O>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let mut ready = self.take();
        if !self.layer.only.matches(&request) {
            return EdgeFuture { state: State::Runs { answer: ready.call(request), chaos: None } };
        }
        let state = match self.layer.chaos.stops() {
            Some(Event::Hung) => State::Hangs,
            Some(_) => State::Cut { cut: Cut::BEFORE },
            None => {
                let chaos = Some(self.layer.chaos.clone());
                State::Runs { answer: ready.call(request), chaos }
            }
        };
        EdgeFuture { state }
    }
}

pin_project! {
    /// The answer, unless the connection is cut.
    pub struct EdgeFuture<F, O = ()> {
        #[pin]
        state: State<F, O>,
    }
}

pin_project! {
    #[project = StateProject]
    enum State<F, O> {
        Cut { cut: Cut },
        Hangs,
        Runs { #[pin] answer: F, chaos: Option<Chaos<O>> },
    }
}

impl<F, T, E, O> Future for EdgeFuture<F, O>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
    O: Observe<Event>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (answer, chaos) = match self.project().state.project() {
            StateProject::Cut { cut } => return Poll::Ready(Err(cut.reset())),
            // Nobody will wake it: whoever waits for it has to give up.
            StateProject::Hangs => return Poll::Pending,
            StateProject::Runs { answer, chaos } => (answer, chaos),
        };
        let answer = ready!(answer.poll(context)).map_err(Into::into)?;
        match chaos.as_ref().and_then(Chaos::loses_answer) {
            Some(cut) => Poll::Ready(Err(cut.reset())),
            None => Poll::Ready(Ok(answer)),
        }
    }
}

impl<F, O> fmt::Debug for EdgeFuture<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeFuture").finish_non_exhaustive()
    }
}
