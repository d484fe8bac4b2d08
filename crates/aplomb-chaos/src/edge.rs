use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aplomb_core::{BoxError, Observe};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{Chaos, Cut, Event, Everything, Matches};

/// Cuts connections: before anything runs, or after the answer was made. See [`Chaos::edge`].
///
/// It belongs at the very outside. A hyper server closes the connection when its service fails, so
/// the error must reach it unanswered. Around a client it stands for the network: the inner call
/// completes and its response is lost.
///
/// An answer counts when its head is ready; a request whose future was dropped, or whose service
/// failed, has no answer to lose.
#[derive(Clone, Debug)]
pub struct EdgeLayer<P = Everything, O = ()> {
    chaos: Chaos<O>,
    only: P,
}

impl<O> EdgeLayer<Everything, O> {
    pub(crate) fn new(chaos: Chaos<O>) -> Self {
        Self { chaos, only: Everything }
    }
}

impl<P, O> EdgeLayer<P, O> {
    /// Touches only the requests for which `only` says yes.
    #[must_use]
    pub fn only<R, F: Fn(&R) -> bool>(self, only: F) -> EdgeLayer<F, O> {
        EdgeLayer { chaos: self.chaos, only }
    }
}

impl<S, P: Clone, O: Clone> Layer<S> for EdgeLayer<P, O> {
    type Service = Edge<S, P, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Edge { inner, layer: self.clone() }
    }
}

/// A service whose connections may be cut.
#[derive(Clone, Debug)]
pub struct Edge<S, P = Everything, O = ()> {
    inner: S,
    layer: EdgeLayer<P, O>,
}

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
        // Taken also for a connection that is cut: what it holds is given back at once.
        let clone = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, clone);
        let chaos = &self.layer.chaos;
        let touched = self.layer.only.matches(&request);
        if let Some(cut) = touched.then(|| chaos.cuts_before()).flatten() {
            return EdgeFuture { state: State::Cut { cut } };
        }
        let chaos = touched.then(|| chaos.clone());
        let answer = ready.call(request);
        EdgeFuture { state: State::Runs { answer, chaos } }
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
