//! Answers that a keyed request gets without its handler.

use std::error::Error;

use aplomb_core::{Observe, Problem};
use bytes::Bytes;
use http::Response;

use crate::run::Run;
use crate::store::{Store, StoreError};
use crate::{IdempotencyEvent, StoredAnswer, problems};

impl<St, O> Run<St, O>
where
    St: Store,
    O: Observe<IdempotencyEvent> + Send + Sync + 'static,
{
    pub(crate) fn replay<RB: From<Bytes>>(&self, answer: StoredAnswer) -> Response<RB> {
        self.observe(IdempotencyEvent::Replayed);
        let mut response = answer.into_response();
        let yes = http::HeaderValue::from_static("true");
        response.headers_mut().insert(problems::REPLAYED, yes);
        response
    }

    pub(crate) fn in_flight<RB: From<Bytes>>(&self) -> Response<RB> {
        self.observe(IdempotencyEvent::InFlight);
        self.come_back(problems::in_flight())
    }

    pub(crate) fn unknown<RB: From<Bytes>>(&self) -> Response<RB> {
        self.observe(IdempotencyEvent::Unknown);
        problems::outcome_unknown(self.begin.identity.id()).into_response()
    }

    pub(crate) fn gone<RB: From<Bytes>>(&self) -> Response<RB> {
        self.observe(IdempotencyEvent::Gone);
        problems::key_retired().into_response()
    }

    pub(crate) fn store_failed<RB: From<Bytes>>(&self, error: &StoreError) -> Response<RB> {
        self.report(error);
        self.come_back(problems::store_unavailable(error))
    }

    fn come_back<RB: From<Bytes>>(&self, problem: Problem) -> Response<RB> {
        let settings = &self.shared.settings;
        problems::come_back(problem, settings.retry_after, &mut settings.dice.roll())
    }

    pub(crate) fn report(&self, error: &StoreError) {
        let id = self.begin.identity.id();
        tracing::warn!(%id, error = error as &dyn Error, "the store failed");
        self.observe(IdempotencyEvent::StoreFailed);
    }
}
