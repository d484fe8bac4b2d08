use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_core::{Observe, Problem, Rng, retry_after};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{Event, Everything, Matches, Station, StationLayer};

/// Answers with an error instead of the service. See [`Chaos::errors`](crate::Chaos::errors).
///
/// It belongs outside whatever claims an idempotency key, so that an injected error leaves no
/// record and a retry of it runs.
pub type ErrorsLayer<P = Everything, O = ()> = StationLayer<AtErrors, P, O>;

/// A service that may be answered for with an error.
pub type Errors<S, P = Everything, O = ()> = Station<AtErrors, S, P, O>;

/// Names the station of an [`ErrorsLayer`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AtErrors;

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
        let mut ready = self.take();
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
            StateProject::Fails { fault } => Poll::Ready(Ok(fault.answer())),
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
pub(crate) enum Fault {
    Injected(StatusCode),
    OverCapacity(Rng),
}

impl Fault {
    pub(crate) fn event(&self) -> Event {
        match self {
            Self::Injected(status) => Event::Failed(*status),
            Self::OverCapacity(_) => Event::OverCapacity,
        }
    }

    fn answer<B: From<Bytes>>(&mut self) -> Response<B> {
        match self {
            Self::Injected(status) => {
                let title = "an error was injected on purpose";
                Problem::new("/problems/injected-error", title, *status).into_response()
            }
            Self::OverCapacity(rng) => {
                let (title, status) =
                    ("over the capacity that was set on purpose", StatusCode::SERVICE_UNAVAILABLE);
                let problem = Problem::new("/problems/over-capacity", title, status);
                let mut response = problem.into_response();
                retry_after::write(response.headers_mut(), SOON, rng);
                response
            }
        }
    }
}

/// A capacity is so many calls a second.
const SOON: Duration = Duration::from_secs(1);
