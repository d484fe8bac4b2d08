//! One keyed request, from the claim to the recorded answer. Nothing here is cancelled when the
//! caller goes.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use aplomb_core::Observe;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, response};
use http_body::Body;
use http_body_util::BodyExt;
use tower_service::Service;

use crate::claim::{Claim, Terms};
use crate::disposition::{self, Disposition};
use crate::keeper::Keeper;
use crate::layer::Shared;
use crate::record::{Begin, Begun, Started};
use crate::recorded::Mark;
use crate::store::{Store, StoreError};
use crate::{IdempotencyEvent, StoredAnswer, problems};

pub(crate) struct Run<St, O> {
    pub(crate) shared: Arc<Shared<St, O>>,
    pub(crate) begin: Begin,
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
    Recorded(Mark),
    Unrecorded,
}

impl<St, O> Run<St, O>
where
    St: Store,
    O: Observe<IdempotencyEvent> + Send + Sync + 'static,
{
    /// Claims the key and runs the handler, or answers without it.
    pub(crate) async fn answer<S, B, RB>(
        self,
        ready: S,
        request: Request<B>,
    ) -> Result<Response<RB>, S::Error>
    where
        S: Service<Request<B>, Response = Response<RB>>,
        RB: Body<Data = Bytes> + From<Bytes>,
    {
        let _running = self.shared.running.enter();
        match self.claim().await {
            Ok(Begun::Claimed(started)) => self.execute(started, ready, request).await,
            Ok(Begun::Replay(answer)) => Ok(self.replay(answer)),
            Ok(Begun::Mismatch) => {
                self.observe(IdempotencyEvent::Mismatch);
                Ok(problems::key_reused().into_response())
            }
            Ok(Begun::InFlight) => Ok(self.in_flight()),
            Ok(Begun::Unknown) => Ok(self.unknown()),
            Ok(Begun::Gone) => Ok(self.gone()),
            Err(error) => Ok(self.store_failed(&error)),
        }
    }

    /// A claim whose answer was lost is asked for once more: the store knows its ticket again.
    async fn claim(&self) -> Result<Begun, StoreError> {
        match self.shared.store.begin(&self.begin).await {
            Err(error) if error.is_uncertain() => self.shared.store.begin(&self.begin).await,
            answered => answered,
        }
    }

    async fn execute<S, B, RB>(
        &self,
        started: Started,
        ready: S,
        mut request: Request<B>,
    ) -> Result<Response<RB>, S::Error>
    where
        S: Service<Request<B>, Response = Response<RB>>,
        RB: Body<Data = Bytes> + From<Bytes>,
    {
        self.observe(IdempotencyEvent::Claimed);
        let (claim, loss) = Claim::new(self.begin.identity.clone(), started, self.terms());
        let held = claim.held();
        request.extensions_mut().insert(claim);
        let handler = AssertUnwindSafe(self.handle(ready, request)).catch_unwind();
        let mut handler = pin!(handler);
        let first = poll_fn(|context| Poll::Ready(handler.as_mut().poll(context))).await;
        // The lease is kept until the outcome is recorded, unless there was no time to lose it.
        let (handled, _keeper) = match first {
            Poll::Ready(handled) => (handled, None),
            Poll::Pending => {
                let keeper = Keeper::of(Arc::clone(&self.shared), held, loss);
                (handler.await, Some(keeper))
            }
        };
        match handled {
            Ok(Ok(reply)) => Ok(self.settle(held, reply).await),
            Ok(Err(error)) => self.fail(held).await.ok_or(error),
            Err(_) => {
                self.observe(IdempotencyEvent::Panicked);
                let problem = problems::handler_panicked;
                Ok(self.fail(held).await.unwrap_or_else(|| problem().into_response()))
            }
        }
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
        let lapsed = self.shared.settings.lapsed;
        let then = match disposition::of(response.status(), lapsed, mark.is_some()) {
            Disposition::Keep => return Ok(self.read(response).await),
            Disposition::Release => Then::Release,
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
