//! One keyed request, from the claim to the recorded answer. Nothing here is cancelled when the
//! caller goes.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use aplomb_core::{Observe, Permit};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, response};
use http_body::Body;
use http_body_util::BodyExt;
use tower_service::Service;

use crate::claim::{Claim, Terms};
use crate::disposition::{self, Disposition};
use crate::drain::Entered;
use crate::keeper::Keeper;
use crate::layer::Shared;
use crate::record::{Begin, Begun, Started};
use crate::recorded::{ComeBack, Mark};
use crate::store::{Store, StoreError};
use crate::{IdempotencyEvent, Recovered, StoredAnswer, problems};

pub(crate) struct Run<St, O> {
    pub(crate) shared: Arc<Shared<St, O>>,
    pub(crate) begin: Begin,
}

/// What is held until the handler has ended and its answer is recorded.
pub(crate) struct Hold {
    pub(crate) _running: Entered,
    pub(crate) _permit: Option<Permit>,
}

/// What came of looking a key up.
pub(crate) enum Answered<St, O, RB> {
    With(Response<RB>),
    /// Another run has the key, and this one would wait for it.
    InFlight(Run<St, O>),
}

/// What a handler answered, as far as it could be read.
pub(crate) struct Reply<RB> {
    pub(crate) response: Response<RB>,
    /// What becomes of the key, and the record of it.
    pub(crate) then: Then,
}

pub(crate) enum Then {
    Keep(StoredAnswer),
    Release,
    Doubt,
    Recorded(Mark),
    Unrecorded,
}

/// How the work under a claim ended.
enum Ended<RB> {
    /// The handler answered.
    Replied(Reply<RB>),
    /// The handler did not run: an earlier one had the effect, with this answer.
    Recovered(Response<Bytes>),
    /// The handler did not run: nobody knows whether an earlier one had the effect.
    InDoubt,
}

impl<St, O> Run<St, O>
where
    St: Store,
    O: Observe<IdempotencyEvent> + Send + Sync + 'static,
{
    /// Claims the key and runs the handler, or answers without it. What it holds it holds for
    /// exactly as long.
    pub(crate) async fn answer<S, B, RB>(
        self,
        ready: S,
        request: Request<B>,
        hold: Hold,
    ) -> Result<Answered<St, O, RB>, S::Error>
    where
        S: Service<Request<B>, Response = Response<RB>>,
        RB: Body<Data = Bytes> + From<Bytes>,
    {
        match self.claim().await {
            Ok(Begun::Claimed(started)) => self.execute(started, ready, request, hold).await,
            begun => Ok(self.without_handler(begun)),
        }
    }

    /// Claims the key where that takes no waiting, so that nobody can go away meanwhile.
    pub(crate) fn claim_now(&self) -> Option<Result<Begun, StoreError>> {
        let begun = self.shared.store.begin_now(&self.begin)?;
        // What may have happened is asked for again, with pauses.
        let is_lost = begun.as_ref().is_err_and(StoreError::is_uncertain);
        (!is_lost).then_some(begun)
    }

    /// A claim whose answer was lost is asked for again, the store knowing its ticket: one that was
    /// given and that nobody knows of would end in doubt, though no handler ran under it.
    async fn claim(&self) -> Result<Begun, StoreError> {
        let begin = || self.shared.store.begin(&self.begin);
        match begin().await {
            Err(error) if error.is_uncertain() => self.persist(begin).await,
            answered => answered,
        }
    }

    /// What is to be said of a key that was not given.
    pub(crate) fn without_handler<RB: From<Bytes>>(
        self,
        begun: Result<Begun, StoreError>,
    ) -> Answered<St, O, RB> {
        Answered::With(match begun {
            Ok(Begun::InFlight) if self.shared.settings.waiting.is_some() => {
                return Answered::InFlight(self);
            }
            Ok(Begun::InFlight | Begun::Claimed(_)) => self.in_flight(),
            Ok(Begun::Replay(answer)) => self.replay(answer),
            Ok(Begun::Mismatch) => self.mismatch(),
            Ok(Begun::Unknown) => self.unknown(),
            Ok(Begun::Gone) => self.gone(),
            Err(error) => self.store_failed(&error),
        })
    }

    /// Runs the handler under the claim that was given.
    pub(crate) async fn execute<S, B, RB>(
        self,
        started: Started,
        ready: S,
        request: Request<B>,
        hold: Hold,
    ) -> Result<Answered<St, O, RB>, S::Error>
    where
        S: Service<Request<B>, Response = Response<RB>>,
        RB: Body<Data = Bytes> + From<Bytes>,
    {
        let _hold = hold;
        self.carry_out(started, ready, request).await.map(Answered::With)
    }

    async fn carry_out<S, B, RB>(
        &self,
        started: Started,
        ready: S,
        request: Request<B>,
    ) -> Result<Response<RB>, S::Error>
    where
        S: Service<Request<B>, Response = Response<RB>>,
        RB: Body<Data = Bytes> + From<Bytes>,
    {
        self.observe(IdempotencyEvent::Claimed);
        let (claim, loss) = Claim::sealing(
            self.begin.identity.clone(),
            started,
            self.terms(),
            self.shared.settings.sealer.clone(),
        );
        let _waking = self.shared.waiters.waking(claim.id());
        let mut keeper = Keeper::new(loss);
        let work = AssertUnwindSafe(self.work(&claim, ready, request)).catch_unwind();
        let mut work = pin!(work);
        let first = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        // The lease is kept until the outcome is recorded, unless there was no time to lose it.
        let ended = match first {
            Poll::Ready(ended) => ended,
            Poll::Pending => {
                keeper.keep(&self.shared, claim.held());
                work.await
            }
        };
        match ended {
            Ok(Ok(Ended::Replied(reply))) => Ok(self.settle(&claim, &mut keeper, reply).await),
            Ok(Ok(Ended::Recovered(response))) => Ok(self.recovered(&claim, &response).await),
            Ok(Ok(Ended::InDoubt)) => Ok(self.doubted(claim.held()).await),
            Ok(Err(error)) => self.fail(&claim, &mut keeper).await.ok_or(error),
            Err(_) => {
                self.observe(IdempotencyEvent::Panicked);
                let failed = self.fail(&claim, &mut keeper).await;
                Ok(failed.unwrap_or_else(|| problems::handler_panicked().into_response()))
            }
        }
    }

    /// Runs the handler, unless it may have had its effect under an earlier claim.
    async fn work<S, B, RB>(
        &self,
        claim: &Claim,
        ready: S,
        mut request: Request<B>,
    ) -> Result<Ended<RB>, S::Error>
    where
        S: Service<Request<B>, Response = Response<RB>>,
        RB: Body<Data = Bytes> + From<Bytes>,
    {
        let recover = self.shared.settings.recover.as_ref().filter(|_| claim.is_after_lapse());
        if let Some(recover) = recover {
            match recover.ask(claim.clone()).await {
                Recovered::Applied(response) => return Ok(Ended::Recovered(response)),
                Recovered::DontKnow => return Ok(Ended::InDoubt),
                Recovered::NotApplied => {}
            }
        }
        request.extensions_mut().insert(claim.clone());
        Ok(Ended::Replied(self.handle(ready, request).await?))
    }

    /// Runs the handler and reads as much of its answer as is going to be kept.
    async fn handle<S, B, RB>(
        &self,
        mut ready: S,
        request: Request<B>,
    ) -> Result<Reply<RB>, S::Error>
    where
        S: Service<Request<B>, Response = Response<RB>>,
        RB: Body<Data = Bytes> + From<Bytes>,
    {
        let mut response = ready.call(request).await?;
        // A layer further out must not take it for its own.
        let mark = response.extensions_mut().remove::<Mark>();
        if response.extensions_mut().remove::<ComeBack>().is_some() {
            self.ask_back(&mut response);
        }
        let settings = &self.shared.settings;
        let (lapsed, errors) = (settings.lapsed, settings.server_errors);
        let then = match disposition::of(response.status(), lapsed, errors, mark.is_some()) {
            Disposition::Keep => return Ok(self.read(response).await),
            Disposition::Release => Then::Release,
            Disposition::Doubt => Then::Doubt,
            Disposition::Recorded => mark.map_or(Then::Unrecorded, Then::Recorded),
            Disposition::Unrecorded => Then::Unrecorded,
        };
        Ok(Reply { response, then })
    }

    /// A body whose length is known and within the cap is read and kept. Any other is a stream: it
    /// goes to the caller as it comes, since waiting for its end could take for ever.
    async fn read<RB>(&self, response: Response<RB>) -> Reply<RB>
    where
        RB: Body<Data = Bytes> + From<Bytes>,
    {
        let cap = self.shared.settings.body_cap;
        let (parts, body) = response.into_parts();
        if body.size_hint().exact().is_none_or(|length| length > cap as u64) {
            let then = Then::Keep(stored(&parts, None, cap));
            let response = Response::from_parts(parts, body);
            return Reply { response, then };
        }
        let Ok(body) = body.collect().await else {
            // The caller gets what every replay will get.
            let answer = stored(&parts, None, cap);
            let response = answer.clone().into_response();
            let then = Then::Keep(answer);
            return Reply { response, then };
        };
        let body = body.to_bytes();
        let then = Then::Keep(stored(&parts, Some(body.clone()), cap));
        let response = Response::from_parts(parts, body.into());
        Reply { response, then }
    }

    fn terms(&self) -> Terms {
        Terms { keep: self.shared.settings.keep, body_cap: self.shared.settings.body_cap }
    }

    pub(crate) fn observe(&self, event: IdempotencyEvent) {
        self.shared.observer.observe(&event);
    }
}

fn stored(parts: &response::Parts, body: Option<Bytes>, cap: usize) -> StoredAnswer {
    StoredAnswer::new(parts.status, &parts.headers, body, cap)
}
