use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use aplomb_core::{BoxError, HeldPermit, Observe, Principal, Problem, RouteTemplate};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower_service::Service;

use crate::future::ResponseFuture;
use crate::layer::Shared;
use crate::record::{Begin, Ticket};
use crate::run::{Answered, Run};
use crate::store::Store;
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
    B::Error: Into<BoxError>,
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
            let begin = shared.begin(identity, &parts, &body);
            // From here on it is ours: whoever lent it would take it back when the caller goes.
            let permit = HeldPermit::of(&parts.extensions).and_then(HeldPermit::take);
            let request = Request::from_parts(parts, body.into());
            let run = Run { shared, begin };
            match detach::run(Box::pin(run.answer(ready, request, permit))).await? {
                Answered::With(response) => Ok(response),
                Answered::InFlight(run) => Ok(run.wait(patience).await),
            }
        }))
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
        let route = RouteTemplate::of(&parts.extensions);
        let route = route.as_ref().map_or(uri(parts).path(), RouteTemplate::as_str);
        Ok(Identity::new(scope, parts.method.clone(), route, key))
    }

    fn scope(&self, parts: &Parts) -> Option<Scope> {
        match parts.extensions.get::<Principal>() {
            Some(principal) => Some(Scope::Principal(principal.clone())),
            None => self.settings.global_scope.clone().map(Scope::Global),
        }
    }

    /// The whole body, up to the cap, if it comes in time.
    async fn read<B>(&self, body: B) -> Result<Bytes, Problem>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let cap = self.settings.body_cap;
        if body.size_hint().lower() > cap as u64 {
            return Err(self.too_large());
        }
        // A body that is there already costs no timer.
        let whole = Limited::new(body, cap).collect();
        let Ok(read) = tokio::time::timeout(self.settings.upload, whole).await else {
            self.observer.observe(&IdempotencyEvent::BodyTooSlow);
            return Err(problems::body_too_slow(self.settings.upload));
        };
        match read {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(self.too_large()),
            Err(_) => Err(problems::body_unreadable()),
        }
    }

    fn too_large(&self) -> Problem {
        self.observer.observe(&IdempotencyEvent::BodyTooLarge);
        problems::body_too_large(self.settings.body_cap)
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
