//! What a handler's answer means for its key, written down.

use std::time::Duration;

use aplomb_core::Observe;
use bytes::Bytes;
use http::Response;

use crate::claim::Claim;
use crate::keeper::Keeper;
use crate::record::{Held, Lapsed, Record, Settled, State};
use crate::recorded::Mark;
use crate::run::{Reply, Run, Then};
use crate::store::{Commit, Store, StoreError};
use crate::{IdempotencyEvent, Recovered, StoredAnswer, problems};

impl<St, O> Run<St, O>
where
    St: Store,
    O: Observe<IdempotencyEvent> + Send + Sync + 'static,
{
    /// Records what the handler's answer means for the key.
    pub(crate) async fn settle<RB: From<Bytes>>(
        &self,
        claim: &Claim,
        keeper: &mut Keeper,
        reply: Reply<RB>,
    ) -> Response<RB> {
        let held = claim.held();
        let settled = match reply.then {
            Then::Keep(answer) => self.complete(held, claim.seal(answer)).await,
            Then::Release => self.release(held).await,
            Then::Doubt => return self.fail(claim, keeper).await.unwrap_or(reply.response),
            Then::Recorded(mark) => return self.confirm(held, mark, reply.response).await,
            Then::Unrecorded => return self.unrecorded(held).await,
        };
        match settled {
            Ok(Settled::Lost) => self.reread(held).await,
            // Recorded or not, the work was done and its caller is waiting: it gets the true
            // answer. A lease that could not be ended runs out, and then the route's policy rules.
            Ok(Settled::Done) | Err(_) => reply.response,
        }
    }

    /// An earlier claim had its effect, and this is its answer.
    pub(crate) async fn recovered<RB: From<Bytes>>(
        &self,
        claim: &Claim,
        response: &Response<Bytes>,
    ) -> Response<RB> {
        let answer = claim.stored(response);
        match self.complete(claim.held(), answer.clone()).await {
            Ok(Settled::Lost) => self.reread(claim.held()).await,
            Ok(Settled::Done) => {
                self.observe(IdempotencyEvent::Recovered);
                self.replay(answer)
            }
            // The effect stays where the hook found it, so the next caller's hook finds it too.
            Err(_) => self.replay(answer),
        }
    }

    /// Nobody knows whether an earlier claim had its effect.
    pub(crate) async fn doubted<RB: From<Bytes>>(&self, held: Held) -> Response<RB> {
        match self.mark_unknown(held).await {
            Ok(Settled::Lost) => self.reread(held).await,
            Ok(Settled::Done) | Err(_) => self.unknown(),
        }
    }

    async fn complete(&self, held: Held, answer: StoredAnswer) -> Result<Settled, StoreError> {
        let (store, keep) = (&self.shared.store, self.shared.settings.keep);
        let settled = self.persist(|| store.complete(held, &answer, keep)).await?;
        if settled == Settled::Done {
            self.observe(match answer.body() {
                Some(_) => IdempotencyEvent::Completed,
                None => IdempotencyEvent::NotRetained,
            });
        }
        Ok(settled)
    }

    async fn release(&self, held: Held) -> Result<Settled, StoreError> {
        let (store, lease) = (&self.shared.store, self.shared.settings.lease);
        let settled = self.persist(|| store.abandon(held, lease)).await?;
        if settled == Settled::Done {
            self.observe(IdempotencyEvent::Released);
        }
        Ok(settled)
    }

    async fn mark_unknown(&self, held: Held) -> Result<Settled, StoreError> {
        let store = &self.shared.store;
        let settled = self.persist(|| store.mark_unknown(held)).await?;
        if settled == Settled::Done {
            self.observe(IdempotencyEvent::MarkedUnknown);
        }
        Ok(settled)
    }

    /// A handler that ended without an answer, or with one that says nothing. Returns a better one
    /// if there is one: the transaction may have been committed before the handler failed.
    pub(crate) async fn fail<RB: From<Bytes>>(
        &self,
        claim: &Claim,
        keeper: &mut Keeper,
    ) -> Option<Response<RB>> {
        match self.shared.settings.lapsed {
            Lapsed::RunAgain | Lapsed::AtLeastOnce => self.give_back(claim.held()).await,
            Lapsed::Unknown | Lapsed::Recover => self.doubt(claim, keeper).await,
        }
    }

    /// A handler that may or may not have had its effect. Returns what the caller gets instead of
    /// the handler's failure, if it is known better.
    async fn doubt<RB: From<Bytes>>(
        &self,
        claim: &Claim,
        keeper: &mut Keeper,
    ) -> Option<Response<RB>> {
        let found = match &self.shared.settings.recover {
            Some(recover) => {
                keeper.keep(&self.shared, claim.held());
                recover.ask(claim.clone()).await
            }
            None => Recovered::DontKnow,
        };
        match found {
            Recovered::Applied(response) => Some(self.recovered(claim, &response).await),
            Recovered::NotApplied => self.give_back(claim.held()).await,
            Recovered::DontKnow => match self.mark_unknown(claim.held()).await {
                Ok(Settled::Lost) => Some(self.reread(claim.held()).await),
                Ok(Settled::Done) | Err(_) => None,
            },
        }
    }

    /// The handler had no effect, unless the record says otherwise.
    async fn give_back<RB: From<Bytes>>(&self, held: Held) -> Option<Response<RB>> {
        match self.release(held).await {
            Ok(Settled::Lost) => Some(self.reread(held).await),
            Ok(Settled::Done) | Err(_) => None,
        }
    }

    /// A success that the handler says is on record. Where only the handler knows whether the
    /// transaction was committed, the record is asked.
    async fn confirm<RB: From<Bytes>>(
        &self,
        held: Held,
        mark: Mark,
        response: Response<RB>,
    ) -> Response<RB> {
        if mark.fence != held.fence {
            return self.unrecorded(held).await;
        }
        if mark.commit == Commit::Pending {
            match self.persist(|| self.shared.store.get(held.id)).await {
                Err(error) => return self.store_failed(&error),
                Ok(record) if !completed_by(record.as_ref().map(|r| &r.state), held) => {
                    return self.unrecorded(held).await;
                }
                Ok(_) => {}
            }
        }
        self.observe(IdempotencyEvent::Completed);
        response
    }

    async fn unrecorded<RB: From<Bytes>>(&self, held: Held) -> Response<RB> {
        match self.mark_unknown(held).await {
            Ok(Settled::Lost) => self.reread(held).await,
            Ok(Settled::Done) | Err(_) => {
                tracing::error!(id = %held.id, "a transactional handler recorded nothing");
                self.observe(IdempotencyEvent::Unrecorded);
                problems::not_recorded().into_response()
            }
        }
    }

    /// The claim was no longer ours to settle: the record says what to answer.
    async fn reread<RB: From<Bytes>>(&self, held: Held) -> Response<RB> {
        let record = match self.persist(|| self.shared.store.get(held.id)).await {
            Ok(record) => record,
            Err(error) => return self.store_failed(&error),
        };
        // The key was given back and used for something else.
        let is_ours = |record: &Record| record.fingerprint.matches(&self.begin.fingerprint);
        if !record.as_ref().is_none_or(is_ours) {
            return self.mismatch();
        }
        match record.map(|record| record.state) {
            // Our own answer, from a transaction whose commit was in doubt, is no replay.
            Some(State::Completed { fence, answer, .. }) if fence == held.fence => {
                self.observe(IdempotencyEvent::Completed);
                self.first(answer)
            }
            state => self.standing(state),
        }
    }

    pub(crate) async fn persist<T, F, Fut>(&self, step: F) -> Result<T, StoreError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, StoreError>>,
    {
        let failed = |error: &StoreError| self.report(error);
        persist(step, failed).await
    }
}

/// Whether the outcome on record is that of this claim.
pub(crate) fn completed_by(state: Option<&State>, held: Held) -> bool {
    matches!(state, Some(State::Completed { fence, .. }) if *fence == held.fence)
}

/// Takes a step that may be repeated until the store answers, a few times at most, and tells
/// `failed` of each failure but the last.
async fn persist<T, F, Fut>(step: F, failed: impl Fn(&StoreError)) -> Result<T, StoreError>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, StoreError>>,
{
    for wait in WAITS {
        match step().await {
            Ok(done) => return Ok(done),
            Err(error) => failed(&error),
        }
        tokio::time::sleep(wait).await;
    }
    step().await.inspect_err(failed)
}

/// A store that comes back within a second loses no outcome; one that does not must not keep the
/// caller from its answer any longer.
const WAITS: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(750)];
