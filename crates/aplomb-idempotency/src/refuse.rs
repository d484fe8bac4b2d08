//! Answers that a keyed request gets without its handler.

use std::error::Error;

use aplomb_core::{Observe, Problem, retry_after};
use bytes::Bytes;
use http::{HeaderValue, Response};

use crate::record::State;
use crate::run::Run;
use crate::store::{Store, StoreError};
use crate::{IdempotencyEvent, StoredAnswer, problems};

impl<St, O> Run<St, O>
where
    St: Store,
    O: Observe<IdempotencyEvent> + Send + Sync + 'static,
{
    pub(crate) fn replay<RB: From<Bytes>>(&self, answer: StoredAnswer) -> Response<RB> {
        match self.opened(answer) {
            Ok(answer) => {
                self.observe(IdempotencyEvent::Replayed);
                let mut response = answer.into_response();
                let yes = HeaderValue::from_static("true");
                response.headers_mut().insert(problems::REPLAYED, yes);
                response
            }
            Err(problem) => problem.into_response(),
        }
    }

    /// An answer on record as its first caller gets it.
    pub(crate) fn first<RB: From<Bytes>>(&self, answer: StoredAnswer) -> Response<RB> {
        match self.opened(answer) {
            Ok(answer) => answer.into_response(),
            Err(problem) => problem.into_response(),
        }
    }

    fn opened(&self, answer: StoredAnswer) -> Result<StoredAnswer, Problem> {
        // Without the record's id, which not every store has needed to find it.
        if !answer.is_sealed() {
            return Ok(answer);
        }
        let id = self.begin.identity.id();
        self.shared.settings.sealer.open(id, answer).map_err(|error| {
            tracing::error!(%id, error = &error as &dyn Error, "a stored answer is unreadable");
            self.observe(IdempotencyEvent::Unreadable);
            problems::record_unreadable(Some(id))
        })
    }

    /// What is to be said of a key that stands there, to a caller that has no claim to it.
    pub(crate) fn standing<RB: From<Bytes>>(&self, state: Option<State>) -> Response<RB> {
        match state {
            Some(State::Completed { answer, .. }) => self.replay(answer),
            Some(State::Unknown { .. }) => self.unknown(),
            Some(State::Tombstone { .. }) => self.gone(),
            Some(State::Started(_) | State::Released { .. }) | None => self.in_flight(),
        }
    }

    pub(crate) fn mismatch<RB: From<Bytes>>(&self) -> Response<RB> {
        self.observe(IdempotencyEvent::Mismatch);
        problems::key_reused().into_response()
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
        if error.is_corrupt() {
            return problems::record_unreadable(Some(self.begin.identity.id())).into_response();
        }
        self.come_back(problems::store_unavailable(error))
    }

    fn come_back<RB: From<Bytes>>(&self, problem: Problem) -> Response<RB> {
        let mut response = problem.into_response();
        self.ask_back(&mut response);
        response
    }

    /// Says that what went wrong will pass, and when.
    pub(crate) fn ask_back<RB>(&self, response: &mut Response<RB>) {
        let settings = &self.shared.settings;
        let mut rng = settings.dice.roll();
        retry_after::write(response.headers_mut(), settings.retry_after, &mut rng);
    }

    pub(crate) fn report(&self, error: &StoreError) {
        let id = self.begin.identity.id();
        tracing::warn!(%id, error = error as &dyn Error, "the store failed");
        self.observe(IdempotencyEvent::StoreFailed);
    }
}
