use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_core::time::Instant;
use aplomb_core::{BoxError, DegradedKind, time};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::Full;
use tower_service::Service;

use crate::error::Nothing;
use crate::last_good::directives::Directives;
use crate::last_good::freshness::Judged;
use crate::last_good::key::Target;
use crate::last_good::status::cache_status;
use crate::last_good::store::Kept;
use crate::last_good::{LastGood, SafeWhen};
use crate::missed::Missed;
use crate::ready::Told;

impl Service<Request<Missed>> for LastGood {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Ready<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Missed>) -> Self::Future {
        let found = self.found(&request, time::now());
        ready(found.map(|found| self.serve(&found, *request.body())).ok_or_else(|| Nothing.into()))
    }
}

impl LastGood {
    /// What is kept for this request, if it may be served now.
    pub(crate) fn found(&self, request: &Request<Missed>, now: Instant) -> Option<Found> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let answer = self.store.find(&Target::of(request), self.variant(request))?;
        self.by_the_rule(answer, now, request)
    }

    /// Old answers only where old is safe, and what the caller forbids never.
    pub(crate) fn by_the_rule(
        &self,
        answer: Arc<Kept>,
        now: Instant,
        request: &Request<Missed>,
    ) -> Option<Found> {
        let (age, asked) = (answer.age(now), Directives::of(request.headers()));
        let is_too_old = asked.max_age.is_some_and(|most| age > most);
        if asked.no_cache || asked.no_store || is_too_old {
            return None;
        }
        self.by_its_age(answer, now, request)
    }

    /// The same for what was asked for on behalf of this very request: its caller wanted nothing that
    /// was kept, and this was not.
    pub(crate) fn by_its_age(
        &self,
        answer: Arc<Kept>,
        now: Instant,
        request: &Request<Missed>,
    ) -> Option<Found> {
        let age = answer.age(now);
        let is_old_safe = |is_safe: &Arc<SafeWhen>| is_safe(request);
        let judged = answer.rule.judge(age);
        let may_be_served = match judged {
            Judged::Fresh => true,
            Judged::Stale => self.settings.safe_when.as_ref().is_none_or(is_old_safe),
            Judged::TooOld => false,
        };
        may_be_served.then_some(Found { answer, age, judged })
    }

    pub(crate) fn serve(&self, found: &Found, missed: Missed) -> Response<Full<Bytes>> {
        let Found { answer, age, judged } = found;
        let mut response = Response::new(Full::new(answer.body.clone()));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers.clone();
        response.headers_mut().insert(header::AGE, HeaderValue::from(age.as_secs()));
        let status = cache_status(self.settings.name, missed, *age, answer.rule.fresh_for);
        if let Some(status) = status {
            // Caches nearer to the origin have written theirs before it (RFC 9211, section 2).
            response.headers_mut().append(CACHE_STATUS, status);
        }
        let kind = (*judged == Judged::Stale).then_some(DegradedKind::Stale);
        let told = Told { kind, source: "cache", age: Some(*age), is_cached: true };
        response.extensions_mut().insert(told);
        response
    }
}

/// An answer that may be served.
pub(crate) struct Found {
    pub(crate) answer: Arc<Kept>,
    pub(crate) age: Duration,
    pub(crate) judged: Judged,
}

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
