use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aplomb_core::{BoxError, DeadlineExceeded, Observe, Request, Saturated};
use bytes::Bytes;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::event::AdmissionEvent;
use crate::problems;
use crate::rejection::RejectReason;
use crate::service::Shared;
use crate::work::Work;

pin_project! {
    /// The answer of an [`Admission`](crate::Admission).
    ///
    /// Dropping it while the call waits leaves the queue. Dropping it later drops the work, and gives
    /// its permit back unless the work had taken it along.
    pub struct ResponseFuture<S, Req, O>
    where
        S: Service<Req>,
    {
        #[pin]
        pub(crate) work: Work<S, Req>,
        pub(crate) shared: Arc<Shared<O>>,
    }
}

impl<S, Req, R, O> Future for ResponseFuture<S, Req, O>
where
    S: Service<Req, Response = http::Response<R>>,
    Req: Request,
    R: From<Bytes>,
    O: Observe<AdmissionEvent>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Shared { retry_after, dice, observer, .. } = &**this.shared;
        Poll::Ready(match ready!(this.work.poll(cx, observer)) {
            Ok(answer) => answer,
            Err(rejection) => Ok(problems::response(&rejection, *retry_after, &mut dice.roll())),
        })
    }
}

pin_project! {
    /// The answer of a [`Bulkhead`](crate::Bulkhead).
    ///
    /// Dropping it while the call waits leaves the queue. Dropping it later drops the call and gives
    /// its permit back.
    pub struct OutboundFuture<S, Req, O>
    where
        S: Service<Req>,
    {
        #[pin]
        pub(crate) work: Work<S, Req>,
        pub(crate) shared: Arc<Shared<O>>,
    }
}

impl<S, Req, O> Future for OutboundFuture<S, Req, O>
where
    S: Service<Req, Error: Into<BoxError>>,
    Req: Request,
    O: Observe<AdmissionEvent>,
{
    type Output = Result<S::Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Shared { retry_after, observer, .. } = &**this.shared;
        Poll::Ready(match ready!(this.work.poll(cx, observer)) {
            Ok(answer) => answer.map_err(Into::into),
            // Late when it came: that is its caller's doing, and the deadline's own word for it.
            Err(rejection)
                if rejection.reason == RejectReason::Expired && rejection.wait.is_zero() =>
            {
                Err(DeadlineExceeded::UNSENT.into())
            }
            Err(_) => Err(Saturated::new(*retry_after).into()),
        })
    }
}

impl<S: Service<Req>, Req, O> fmt::Debug for ResponseFuture<S, Req, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<S: Service<Req>, Req, O> fmt::Debug for OutboundFuture<S, Req, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundFuture").finish_non_exhaustive()
    }
}
