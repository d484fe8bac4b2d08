use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_core::{BoxError, Deadline, Observe, Request, time};
use bytes::Bytes;
use tower_service::Service;

use crate::event::DeadlineEvent;
use crate::future::{InheritFuture, ResponseFuture};

/// A client whose calls end in time. Made by [`DeadlineLayer`](crate::DeadlineLayer).
#[derive(Clone, Debug)]
pub struct WithDeadline<S, O> {
    pub(crate) inner: S,
    pub(crate) time: Duration,
    pub(crate) tell: bool,
    pub(crate) only_observes: bool,
    pub(crate) observer: O,
}

impl<S, Req, O> Service<Req> for WithDeadline<S, O>
where
    S: Service<Req, Error: Into<BoxError>> + Clone,
    Req: Request,
    O: Observe<DeadlineEvent> + Clone,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future, O>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "most of its cost would be the request's way in")]
    fn call(&mut self, mut request: Req) -> Self::Future {
        let now = time::now();
        let mut own = Deadline::after(now, self.time);
        if self.tell {
            // What a relayed request says already may only be shortened.
            own = Deadline::from_wire(request.headers(), now).map_or(own, |said| said.min(own));
        }
        let deadline = Deadline::of(&request, now).map_or(own, |outer| outer.min(own));
        let observer = self.observer.clone();
        if self.only_observes {
            if deadline.is_over(now) {
                observer.observe(&DeadlineEvent::WouldNotHaveSent);
                return ResponseFuture::free(self.inner.call(request), observer);
            }
            return ResponseFuture::watched(self.inner.call(request), deadline, observer);
        }
        if deadline.is_over(now) {
            // What the ready service holds is given back, not kept until the next call.
            self.inner = self.inner.clone();
            return ResponseFuture::unsent(observer);
        }
        if self.tell {
            deadline.write(request.headers_mut(), now);
        }
        let _scope = deadline.enter();
        ResponseFuture::new(self.inner.call(request), deadline, observer)
    }
}

/// A server that stops when its caller does. Made by
/// [`DeadlineLayer::inherit`](crate::DeadlineLayer::inherit).
#[derive(Clone, Debug)]
pub struct Inherit<S, O> {
    pub(crate) inner: S,
    pub(crate) observer: O,
}

impl<S, B, R, O> Service<http::Request<B>> for Inherit<S, O>
where
    S: Service<http::Request<B>, Response = http::Response<R>> + Clone,
    R: From<Bytes>,
    O: Observe<DeadlineEvent> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = InheritFuture<S::Future, O>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let now = time::now();
        let Some(deadline) = Deadline::from_wire(request.headers(), now) else {
            return InheritFuture::unlimited(self.inner.call(request));
        };
        let observer = self.observer.clone();
        if deadline.is_over(now) {
            self.inner = self.inner.clone();
            return InheritFuture::late(observer);
        }
        // It may only shorten what an outer layer set.
        let deadline = Deadline::of(&request, now).map_or(deadline, |outer| outer.min(deadline));
        // A handler may move its work to another task, where nothing is in force.
        request.extensions_mut().insert(deadline);
        let _scope = deadline.enter();
        InheritFuture::new(self.inner.call(request), deadline, observer)
    }
}
