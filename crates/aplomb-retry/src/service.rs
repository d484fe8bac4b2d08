use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use aplomb_core::{
    Answer, Attempts, BoxError, Classify, Deadline, Observe, Replay, Request, owner, time,
};
use http_body::Body;
use tower_service::Service;

use crate::event::RetryEvent;
use crate::future::ResponseFuture;
use crate::layer::{Policy, Settings};
use crate::rules::Rules;
use crate::running::Running;

/// A service that sends a failed request again while its budget allows. Made by
/// [`RetryLayer`](crate::RetryLayer).
#[derive(Debug)]
pub struct Retry<S, C, O> {
    pub(crate) inner: S,
    pub(crate) policy: Arc<Policy<C, O>>,
}

impl<S: Clone, C, O> Clone for Retry<S, C, O> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), policy: Arc::clone(&self.policy) }
    }
}

impl<S, Req, C, O> Service<Req> for Retry<S, C, O>
where
    S: Service<Req> + Clone,
    S::Response: Answer<Rest: Body>,
    S::Error: Into<BoxError>,
    Req: Replay,
    C: Classify<S::Response>,
    O: Observe<RetryEvent>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = ResponseFuture<S, Req, C, O>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "most of its cost would be the request's way in")]
    fn call(&mut self, mut request: Req) -> Self::Future {
        let clone = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, clone);

        let Settings { rules, body_cap, keep_records, owner, only_observes } =
            &self.policy.settings;
        let (call, wants_record) = (request.call(), *keep_records || request.wants_record());
        let budget = self.policy.purse.own(&request);
        if let (Some(owner), false) = (owner, only_observes) {
            claim(&mut request, owner);
        }
        // A call with one attempt keeps nothing for another and does not ask for the time.
        let is_final = rules.attempts == Attempts::ONE;
        let deadline = if is_final { None } else { deadline(rules, &request) };
        let kept = if is_final { None } else { request.keep(*body_cap) };
        let attempt = ready.call(request);
        let (policy, failed, unfinished) = (Arc::clone(&self.policy), None, Some(O::observe as _));
        let call =
            Running { kept, call, deadline, wants_record, budget, policy, failed, unfinished };
        ResponseFuture::new(attempt, ready, call)
    }
}

/// Until when a request that is sent now may be sent again.
#[inline]
fn deadline(rules: &Rules, request: &impl Replay) -> Option<Deadline> {
    let now = time::now();
    rules.deadline(Deadline::of(request, now), now)
}

/// Writes the owner's name on a request, unless somebody has named itself before.
#[cold]
fn claim(request: &mut impl Request, owner: &str) {
    let authority = request.authority();
    if owner::is_owned_elsewhere(request.headers(), authority, Some(owner)) {
        return;
    }
    if let Some(claim) = authority.and_then(|authority| owner::claim(owner, authority)) {
        request.headers_mut().append(owner::RETRY_OWNER, claim);
    }
}
