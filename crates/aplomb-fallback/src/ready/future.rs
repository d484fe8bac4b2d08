use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aplomb_core::BoxError;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::missed::Missed;
use crate::ready::is_failure;

pin_project! {
    /// The answer of an [`OrElse`](crate::OrElse).
    pub struct OrElseFuture<A, B>
    where
        B: Service<Request<Missed>>,
    {
        #[pin]
        state: State<A, B::Future>,
        second: B,
        again: Option<Request<Missed>>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<A, B> {
        First { #[pin] answer: A },
        Readying,
        Second { #[pin] answer: B },
    }
}

impl<A, B: Service<Request<Missed>>> OrElseFuture<A, B> {
    pub(crate) fn new(answer: A, second: B, again: Request<Missed>) -> Self {
        Self { state: State::First { answer }, second, again: Some(again) }
    }

    pub(crate) fn second(second: B, request: Request<Missed>) -> Self {
        Self { state: State::Readying, second, again: Some(request) }
    }
}

impl<A, T, E, B> Future for OrElseFuture<A, B>
where
    A: Future<Output = Result<Response<T>, E>>,
    B: Service<Request<Missed>, Response = Response<T>>,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<T>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::First { answer } => match ready!(answer.poll(cx)) {
                    Ok(response) if !is_failure(&response) => return Poll::Ready(Ok(response)),
                    _ => this.state.set(State::Readying),
                },
                StateProj::Readying => {
                    ready!(this.second.poll_ready(cx)).map_err(Into::into)?;
                    let again = this.again.take().expect("the second is called once");
                    let answer = this.second.call(again);
                    this.state.set(State::Second { answer });
                }
                StateProj::Second { answer } => return answer.poll(cx).map_err(Into::into),
            }
        }
    }
}

impl<A, B: Service<Request<Missed>>> fmt::Debug for OrElseFuture<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrElseFuture").finish_non_exhaustive()
    }
}
