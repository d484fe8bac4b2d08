use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aplomb_core::{HeldPermit, Observe, Principal, Problem, RouteTemplate};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, Uri};
use http_body::Body;
use tower_service::Service;

use crate::future::{ResponseFuture, Work};
use crate::layer::Shared;
use crate::record::{Begin, Begun, Ticket};
use crate::run::{Answered, Hold, Run};
use crate::store::Store;
use crate::upload::{self, Unread};
use crate::wait::Patience;
use crate::{Fingerprint, IdempotencyEvent, Identity, Key, Scope, detach, problems};

/// A service that runs each key once: see the [crate's documentation](crate).
pub struct Idempotency<S, St, O = ()> {
    inner: S,
    shared: Arc<Shared<St, O>>,
}

impl<S, St, O> Idempotency<S, St, O> {
    pub(crate) fn new(inner: S, shared: Arc<Shared<St, O>>) -> Self {
        Self { inner, shared }
    }
}

impl<S, St, O, B, RB> Service<Request<B>> for Idempotency<S, St, O>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    St: Store,
    O: Observe<IdempotencyEvent> + Send + Sync + 'static,
    B: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    RB: Body<Data = Bytes> + From<Bytes> + Send + 'static,
{
    type Response = Response<RB>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, Response<RB>, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !needs_key(request.method()) {
            return ResponseFuture::passed(self.inner.call(request));
        }
        // Taken also for a request that is refused: what it holds is given back at once.
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        let (parts, body) = request.into_parts();
        let identity = match self.shared.identify(&parts) {
            Ok(identity) => identity,
            Err(problem) => return ResponseFuture::refused(problem.into_response()),
        };
        let shared = Arc::clone(&self.shared);
        let patience = Patience::of(shared.settings.waiting, &parts);
        ResponseFuture::keyed(Box::pin(async move {
            let body = match shared.read(body).await {
                Ok(body) => body,
                Err(problem) => return Ok(problem.into_response()),
            };
            let run = Run { begin: shared.begin(identity, &parts, &body), shared };
            let answered = match begin(run, ready, parts, body) {
                Begins::Over(answered) => answered,
                Begins::Works(work) => detach::run(work).await?,
            };
            match answered {
                Answered::With(response) => Ok(response),
                // Only one that waits pays for the room.
                Answered::InFlight(run) => Ok(Box::pin(run.wait(patience)).await),
            }
        }))
    }
}

/// What becomes of a request that was read whole.
enum Begins<St, O, RB, E> {
    /// It has its answer.
    Over(Answered<St, O, RB>),
    /// This has to be done to its end.
    Works(Work<Result<Answered<St, O, RB>, E>>),
}

/// A replay out of memory, above all, is answered here and now: nothing is made for a handler that
/// does not run.
fn begin<S, St, O, B, RB>(
    run: Run<St, O>,
    ready: S,
    parts: Parts,
    body: Bytes,
) -> Begins<St, O, RB, S::Error>
where
    S: Service<Request<B>, Response = Response<RB>> + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    St: Store,
    O: Observe<IdempotencyEvent> + Send + Sync + 'static,
    B: From<Bytes> + Send + 'static,
    RB: Body<Data = Bytes> + From<Bytes> + Send + 'static,
{
    let running = run.shared.running.enter();
    // From here on it is ours: whoever lent it would take it back when the caller goes.
    let permit = HeldPermit::of(&parts.extensions).and_then(HeldPermit::take);
    let hold = Hold { _running: running, _permit: permit };
    let request = |parts, body: Bytes| Request::from_parts(parts, body.into());
    match run.claim_now() {
        None => {
            let work = run.answer(ready, request(parts, body), hold);
            Begins::Works(Box::pin(work))
        }
        Some(Ok(Begun::Claimed(started))) => {
            let work = run.execute(started, ready, request(parts, body), hold);
            Begins::Works(Box::pin(work))
        }
        Some(begun) => Begins::Over(run.without_handler(begun)),
    }
}

impl<St, O: Observe<IdempotencyEvent>> Shared<St, O> {
    /// What the request's key names, or why it is refused.
    fn identify(&self, parts: &Parts) -> Result<Identity, Problem> {
        let Some(scope) = self.scope(parts) else {
            tracing::error!("no principal and no global scope: the request is refused");
            self.observer.observe(&IdempotencyEvent::NoScope);
            return Err(problems::no_scope());
        };
        let key = match Key::of(&parts.headers, self.settings.bare) {
            Ok(Some(key)) => key,
            Ok(None) => {
                self.observer.observe(&IdempotencyEvent::BadKey);
                return Err(problems::key_missing());
            }
            Err(error) => {
                self.observer.observe(&IdempotencyEvent::BadKey);
                return Err(problems::key_malformed(error));
            }
        };
        let route: Arc<str> = match RouteTemplate::of(&parts.extensions) {
            Some(route) => route.into(),
            None => uri(parts).path().into(),
        };
        Ok(Identity::new(scope, parts.method.clone(), route, key))
    }

    fn scope(&self, parts: &Parts) -> Option<Scope> {
        match parts.extensions.get::<Principal>() {
            Some(principal) => Some(Scope::Principal(principal.clone())),
            None => self.settings.global_scope.clone().map(Scope::Global),
        }
    }

    /// The whole body, if it comes in time, or why the request is refused.
    async fn read<B: Body<Data = Bytes>>(&self, body: B) -> Result<Bytes, Problem> {
        let cap = self.settings.body_cap;
        let mut whole = pin!(upload::whole(body, cap));
        let read = match poll_fn(|cx| Poll::Ready(whole.as_mut().poll(cx))).await {
            // A body that is there already costs no timer.
            Poll::Ready(read) => read,
            Poll::Pending => {
                let waiting = Box::pin(tokio::time::timeout(self.settings.upload, whole));
                let Ok(read) = waiting.await else {
                    self.observer.observe(&IdempotencyEvent::BodyTooSlow);
                    return Err(problems::body_too_slow(self.settings.upload));
                };
                read
            }
        };
        read.map_err(|why| match why {
            Unread::TooLarge => {
                self.observer.observe(&IdempotencyEvent::BodyTooLarge);
                problems::body_too_large(cap)
            }
            Unread::Broken => problems::body_unreadable(),
        })
    }

    fn begin(&self, identity: Identity, parts: &Parts, body: &[u8]) -> Begin {
        let chosen = &self.settings.fingerprinted;
        Begin {
            identity,
            fingerprint: Fingerprint::of(&parts.method, uri(parts), &parts.headers, chosen, body),
            lease: self.settings.lease,
            lapsed: self.settings.lapsed,
            ticket: Ticket::unique(),
        }
    }
}

/// Where the request went to, whole: axum tells a nested router only what is left of it.
fn uri(parts: &Parts) -> &Uri {
    #[cfg(feature = "axum")]
    if let Some(axum::extract::OriginalUri(uri)) = parts.extensions.get() {
        return uri;
    }
    &parts.uri
}

/// The methods that HTTP itself does not make idempotent and that have an effect.
fn needs_key(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PATCH)
}

impl<S: Clone, St, O> Clone for Idempotency<S, St, O> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.shared))
    }
}

impl<S, St, O> fmt::Debug for Idempotency<S, St, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotency").finish_non_exhaustive()
    }
}
