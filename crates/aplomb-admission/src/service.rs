use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_core::{BoxError, Deadline, Dice, HeldPermit, Observe, Permit, Request, time};
use bytes::Bytes;
use tower_service::Service;

use crate::desk::{Admit, Desk};
use crate::event::AdmissionEvent;
use crate::future::{OutboundFuture, ResponseFuture};
use crate::work::{Held, Hold, Later, Work};

/// Everything that a service of this layer needs.
pub(crate) struct Shared<O> {
    pub(crate) desk: Arc<Desk>,
    pub(crate) retry_after: Duration,
    pub(crate) dice: Dice,
    pub(crate) observer: O,
}

/// A server that takes on no more than it can do in time. Made by
/// [`AdmissionLayer::new`](crate::AdmissionLayer::new).
pub struct Admission<S, O = ()> {
    pub(crate) inner: S,
    pub(crate) shared: Arc<Shared<O>>,
}

impl<S, B, R, O> Service<http::Request<B>> for Admission<S, O>
where
    S: Service<http::Request<B>, Response = http::Response<R>> + Clone,
    R: From<Bytes>,
    O: Observe<AdmissionEvent>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, http::Request<B>, O>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let work = self.shared.begin(&mut self.inner, request, lend);
        ResponseFuture { work, shared: Arc::clone(&self.shared) }
    }
}

/// A client of one dependency that has no more than so many calls in flight. Made by
/// [`AdmissionLayer::outbound`](crate::AdmissionLayer::outbound).
pub struct Bulkhead<S, O = ()> {
    pub(crate) inner: S,
    pub(crate) shared: Arc<Shared<O>>,
}

impl<S, Req, O> Service<Req> for Bulkhead<S, O>
where
    S: Service<Req, Error: Into<BoxError>> + Clone,
    Req: Request,
    O: Observe<AdmissionEvent>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = OutboundFuture<S, Req, O>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let work = self.shared.begin(&mut self.inner, request, keep);
        OutboundFuture { work, shared: Arc::clone(&self.shared) }
    }
}

impl<O: Observe<AdmissionEvent>> Shared<O> {
    fn begin<S, Req>(&self, inner: &mut S, mut request: Req, hold: Hold<Req>) -> Work<S, Req>
    where
        S: Service<Req> + Clone,
        Req: Request,
    {
        // Taken also for a call that waits or is rejected: what it holds is given back at once, and
        // not held by whoever waits.
        let clone = inner.clone();
        let mut ready = mem::replace(inner, clone);
        let only_observes = self.desk.state.only_observes();
        match self.desk.admit(&request) {
            Admit::Now(permit) => {
                self.observer.observe(&AdmissionEvent::Admitted { wait: Duration::ZERO });
                let held = hold(permit, &mut request);
                Work::running(ready.call(request), held)
            }
            Admit::Later(waiting) if only_observes => Work::observed(ready.call(request), waiting),
            Admit::Later(waiting) => {
                drop(ready);
                let deadline = Deadline::of(&request, time::now());
                let later = Later { service: inner.clone(), request, deadline, hold };
                Work::waiting(waiting, later)
            }
            Admit::Rejected(rejection) if only_observes => {
                self.observer.observe(&AdmissionEvent::would_have_rejected(&rejection));
                Work::running(ready.call(request), Held::own(None))
            }
            Admit::Rejected(rejection) => Work::rejected(rejection),
        }
    }
}

/// The request carries its permit, so that the work inside may take it along.
fn lend<B>(permit: Permit, request: &mut http::Request<B>) -> Held {
    Held::Lent(HeldPermit::put(permit, request.extensions_mut()))
}

/// The call's future keeps the permit.
fn keep<Req>(permit: Permit, _: &mut Req) -> Held {
    Held::own(Some(permit))
}

impl<S: Clone, O> Clone for Admission<S, O> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S: Clone, O> Clone for Bulkhead<S, O> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S: fmt::Debug, O> fmt::Debug for Admission<S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, shared } = self;
        f.debug_struct("Admission").field("inner", inner).field("desk", &shared.desk).finish()
    }
}

impl<S: fmt::Debug, O> fmt::Debug for Bulkhead<S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, shared } = self;
        f.debug_struct("Bulkhead").field("inner", inner).field("desk", &shared.desk).finish()
    }
}
