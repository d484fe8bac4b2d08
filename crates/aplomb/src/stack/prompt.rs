use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aplomb_core::BoxError;
use pin_project_lite::pin_project;
use tower_service::Service;

/// A transport that is waited for within the call instead of before it.
///
/// Which operation a request is part of, nobody knows before it is there; and a transport that is
/// not ready takes of the attempt's time, where its deadline ends the wait.
#[derive(Clone, Debug)]
pub struct Prompt<S> {
    transport: S,
}

impl<S> Prompt<S> {
    pub(crate) const fn new(transport: S) -> Self {
        Self { transport }
    }
}

impl<S, Req> Service<Req> for Prompt<S>
where
    S: Service<Req, Error: Into<BoxError>> + Clone,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = PromptFuture<S, Req>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let transport = self.transport.clone();
        PromptFuture { state: State::Readying { transport, request: Some(request) } }
    }
}

pin_project! {
    /// The answer of a [`Prompt`] transport.
    pub struct PromptFuture<S, Req>
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
        Readying { transport: S, request: Option<Req> },
        Calling { #[pin] answer: F },
    }
}

impl<S, Req> Future for PromptFuture<S, Req>
where
    S: Service<Req, Error: Into<BoxError>>,
{
    type Output = Result<S::Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProj::Readying { transport, request } => {
                    ready!(transport.poll_ready(cx)).map_err(Into::into)?;
                    let request = request.take().expect("a call is polled no more after it ended");
                    let answer = transport.call(request);
                    state.set(State::Calling { answer });
                }
                StateProj::Calling { answer } => return answer.poll(cx).map_err(Into::into),
            }
        }
    }
}

impl<S, Req> fmt::Debug for PromptFuture<S, Req>
where
    S: Service<Req>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PromptFuture").finish_non_exhaustive()
    }
}
