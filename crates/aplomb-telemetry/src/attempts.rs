use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aplomb_core::{
    Answer, BoxError, Call, Classify, Deadline, HttpClassifier, Outcome, Request, owner, time,
};
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use tracing::{Span, field::Empty};

use crate::story;

/// A span for each attempt, in OpenTelemetry's words for an HTTP client: goes inside the retries,
/// around the attempt's deadline.
///
/// | field | value |
/// |---|---|
/// | `http.request.method` | the method, `_OTHER` if it is none of HTTP's own |
/// | `server.address`, `server.port` | where it goes |
/// | `http.request.resend_count` | how often the call was sent before, if it was |
/// | `http.response.status_code` | what was answered |
/// | `error.type` | that status if it is an error's, else how it failed: `unsent`, `timeout`, `transient`, `held_back`, `cancelled`… |
///
/// Neither path nor query nor any header stands in it: they may name people, or hold secrets.
///
/// # The trace goes on
///
/// A `traceparent` on the request is passed on unchanged by every attempt: retries keep headers. On a
/// request without one, [`traceparent`](Self::traceparent) writes that of the attempt's own span, so
/// that all attempts are in one trace and each has a span id of its own.
///
/// Dropping the response future drops the attempt, and its span says `cancelled`, or `timeout` when a
/// deadline had passed.
#[derive(Clone)]
#[must_use]
pub struct AttemptLayer<C = HttpClassifier> {
    classify: C,
    traceparent: Option<Arc<TraceParent>>,
}

/// Says the W3C `traceparent` of a span, if its subscriber gave it one.
type TraceParent = dyn Fn(&Span) -> Option<HeaderValue> + Send + Sync;

impl AttemptLayer {
    /// The layer. It keeps no state.
    pub fn new() -> Self {
        Self { classify: HttpClassifier, traceparent: None }
    }
}

impl Default for AttemptLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> AttemptLayer<C> {
    /// Writes the `traceparent` that `of` says of an attempt's span, unless the request has one.
    ///
    /// `examples/otel.rs` shows it with `tracing-opentelemetry`.
    pub fn traceparent(
        mut self,
        of: impl Fn(&Span) -> Option<HeaderValue> + Send + Sync + 'static,
    ) -> Self {
        self.traceparent = Some(Arc::new(of));
        self
    }

    /// Lets `classify` decide what an error means.
    pub fn classify<D>(self, classify: D) -> AttemptLayer<D> {
        AttemptLayer { classify, traceparent: self.traceparent }
    }
}

impl<S, C: Clone> Layer<S> for AttemptLayer<C> {
    type Service = Attempts<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        Attempts { inner, layer: self.clone() }
    }
}

impl<C> fmt::Debug for AttemptLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptLayer").finish_non_exhaustive()
    }
}

/// A service whose calls have a span each. Made by [`AttemptLayer`].
#[derive(Clone, Debug)]
pub struct Attempts<S, C = HttpClassifier> {
    inner: S,
    layer: AttemptLayer<C>,
}

impl<S, Req, C> Service<Req> for Attempts<S, C>
where
    S: Service<Req, Error: Into<BoxError>>,
    S::Response: Answer,
    Req: Request,
    C: Classify<S::Response> + Clone,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = AttemptFuture<S::Future, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Req) -> Self::Future {
        let span = span(&request);
        if let Some(of) = &self.layer.traceparent {
            if !request.headers().contains_key(TRACEPARENT) {
                if let Some(parent) = of(&span) {
                    request.headers_mut().insert(TRACEPARENT, parent);
                }
            }
        }
        let call = request.call();
        let inner = span.in_scope(|| self.inner.call(request));
        let classify = self.layer.classify.clone();
        AttemptFuture { inner, ending: Ending { span, call, is_over: false }, classify }
    }
}

fn span(request: &impl Request) -> Span {
    let method = method(request.method());
    let attempt = story::attempt().unwrap_or_else(|| owner::attempt(request.headers()));
    // Signed numbers: OpenTelemetry has no others, and its bridge writes those as text.
    let server = request.authority().and_then(|authority| authority.parse::<Authority>().ok());
    tracing::info_span!(
        target: "aplomb::attempt",
        "attempt",
        otel.name = method,
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = method,
        http.request.resend_count = Some(i64::from(attempt.number() - 1)).filter(|count| *count > 0),
        http.response.status_code = Empty,
        server.address = server.as_ref().map(Authority::host),
        server.port = server.as_ref().and_then(Authority::port_u16).map(i64::from),
        "error.type" = Empty,
    )
}

/// A method that a stranger made up would be one more value for whoever groups by it.
fn method(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS
        | Method::TRACE
        | Method::CONNECT => method.as_str(),
        _ => "_OTHER",
    }
}

pin_project! {
    /// The answer of an [`Attempts`] service.
    #[derive(Debug)]
    pub struct AttemptFuture<F, C = HttpClassifier> {
        #[pin]
        inner: F,
        ending: Ending,
        classify: C,
    }
}

#[derive(Debug)]
struct Ending {
    span: Span,
    call: Call,
    is_over: bool,
}

impl<F, C, R, E> Future for AttemptFuture<F, C>
where
    F: Future<Output = Result<R, E>>,
    R: Answer,
    E: Into<BoxError>,
    C: Classify<R>,
{
    type Output = Result<R, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = this.ending.span.in_scope(|| this.inner.poll(cx));
        let result = ready!(result).map_err(Into::into);
        this.ending.is_over = true;
        match &result {
            Ok(response) => this.ending.answered(response.status()),
            Err(error) => {
                let seen = Err(&**error as &(dyn Error + 'static));
                this.ending.failed(kind(this.classify.classify(this.ending.call, seen)));
            }
        }
        Poll::Ready(result)
    }
}

/// How an error failed, in a word. Its own words may tell too much.
fn kind(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Failure(failure) if failure.held_back => "held_back",
        Outcome::Failure(failure) => failure.kind.as_str(),
        Outcome::Success | Outcome::Neutral => "_OTHER",
    }
}

impl Ending {
    fn answered(&self, status: StatusCode) {
        self.span.record("http.response.status_code", i64::from(status.as_u16()));
        if status.is_client_error() || status.is_server_error() {
            self.failed(status.as_str());
        }
    }

    fn failed(&self, kind: &str) {
        self.span.record("error.type", kind);
        self.span.record("otel.status_code", "ERROR");
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let late = Deadline::current().is_some_and(|deadline| deadline.is_over(time::now()));
        self.failed(if late { "timeout" } else { "cancelled" });
    }
}

/// Where W3C Trace Context says which trace a request is part of.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
