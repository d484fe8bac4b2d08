use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use aplomb_core::BoxError;
use pin_project_lite::pin_project;
use tower_service::Service;

/// A service with a layer around it, or without: a policy says which, and the type is the same.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a layer is there or it is not")]
pub enum Either<A, B> {
    /// With it.
    Layered(A),
    /// Without it.
    Bare(B),
}

impl<A, B, Req> Service<Req> for Either<A, B>
where
    A: Service<Req, Error: Into<BoxError>>,
    B: Service<Req, Response = A::Response, Error: Into<BoxError>>,
{
    type Response = A::Response;
    type Error = BoxError;
    type Future = EitherFuture<A::Future, B::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Layered(service) => service.poll_ready(cx).map_err(Into::into),
            Self::Bare(service) => service.poll_ready(cx).map_err(Into::into),
        }
    }

    fn call(&mut self, request: Req) -> Self::Future {
        match self {
            Self::Layered(service) => {
                EitherFuture { answer: Answer::Layered { answer: service.call(request) } }
            }
            Self::Bare(service) => {
                EitherFuture { answer: Answer::Bare { answer: service.call(request) } }
            }
        }
    }
}

pin_project! {
    /// The answer of an [`Either`].
    pub struct EitherFuture<A, B> {
        #[pin]
        answer: Answer<A, B>,
    }
}

pin_project! {
    #[project = AnswerProj]
    enum Answer<A, B> {
        Layered { #[pin] answer: A },
        Bare { #[pin] answer: B },
    }
}

impl<A, B, R, E, F> Future for EitherFuture<A, B>
where
    A: Future<Output = Result<R, E>>,
    B: Future<Output = Result<R, F>>,
    E: Into<BoxError>,
    F: Into<BoxError>,
{
    type Output = Result<R, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().answer.project() {
            AnswerProj::Layered { answer } => answer.poll(cx).map_err(Into::into),
            AnswerProj::Bare { answer } => answer.poll(cx).map_err(Into::into),
        }
    }
}

impl<A, B> fmt::Debug for EitherFuture<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EitherFuture").finish_non_exhaustive()
    }
}
