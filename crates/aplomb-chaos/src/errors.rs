use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use aplomb_core::{Observe, Problem};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{Chaos, Event, Everything, Matches};

/// Answers with an error instead of the service. See [`Chaos::errors`].
///
/// It belongs outside whatever claims an idempotency key, so that an injected error leaves no
/// record and a retry of it runs.
#[derive(Clone, Debug)]
pub struct ErrorsLayer<P = Everything, O = ()> {
    chaos: Chaos<O>,
    only: P,
}

impl<O> ErrorsLayer<Everything, O> {
    pub(crate) fn new(chaos: Chaos<O>) -> Self {
        Self { chaos, only: Everything }
    }
}

impl<P, O> ErrorsLayer<P, O> {
    /// Touches only the requests for which `only` says yes.
    #[must_use]
    pub fn only<R, F: Fn(&R) -> bool>(self, only: F) -> ErrorsLayer<F, O> {
        ErrorsLayer { chaos: self.chaos, only }
    }
}

impl<S, P: Clone, O: Clone> Layer<S> for ErrorsLayer<P, O> {
    type Service = Errors<S, P, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Errors { inner, layer: self.clone() }
    }
}

/// A service that may be answered for with an error.
#[derive(Clone, Debug)]
pub struct Errors<S, P = Everything, O = ()> {
    inner: S,
    layer: ErrorsLayer<P, O>,
}

impl<S, A, B, P, O> Service<Request<A>> for Errors<S, P, O>
where
    S: Service<Request<A>, Response = Response<B>> + Clone,
    B: From<Bytes>,
    P: Matches<Request<A>>,
    O: Observe<Event>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = ErrorsFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        // Taken also for a request that fails: what it holds is given back at once.
        let clone = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, clone);
        let matches = self.layer.only.matches(&request);
        if let Some(fault) = matches.then(|| self.layer.chaos.fails()).flatten() {
            return ErrorsFuture { state: State::Fails { fault } };
        }
        ErrorsFuture { state: State::Runs { answer: ready.call(request) } }
    }
}

pin_project! {
    /// The answer, or the error instead of it.
    pub struct ErrorsFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProject]
    enum State<F> {
        Fails { fault: Fault },
        Runs { #[pin] answer: F },
    }
}

impl<F, B, E> Future for ErrorsFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: From<Bytes>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProject::Fails { fault } => Poll::Ready(Ok(fault.problem().into_response())),
            StateProject::Runs { answer } => answer.poll(context),
        }
    }
}

impl<F> fmt::Debug for ErrorsFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorsFuture").finish_non_exhaustive()
    }
}

/// What is answered instead of the service.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    Injected(StatusCode),
    OverCapacity,
}

impl Fault {
    pub(crate) fn event(self) -> Event {
        match self {
            Self::Injected(status) => Event::Failed(status),
            Self::OverCapacity => Event::OverCapacity,
        }
    }

    fn problem(self) -> Problem {
        match self {
            Self::Injected(status) => {
                Problem::new("/problems/injected-error", "an error was injected on purpose", status)
            }
            Self::OverCapacity => Problem::new(
                "/problems/over-capacity",
                "over the capacity that was set on purpose",
                StatusCode::SERVICE_UNAVAILABLE,
            ),
        }
    }
}
