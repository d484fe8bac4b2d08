use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aplomb_core::{
    Answer, BoxError, Call, CallRecord, Classify, Deadline, HttpClassifier, Observe, Outcome,
    Request, cause, time,
};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use tracing::{Level, Span};

use crate::dependency::DependencyMetrics;
use crate::happening::Note;
use crate::report::{CallOutcome, CallReport};
use crate::story::{Scope, Story};

/// Tells how each call went, as a whole: goes around all layers of an operation.
///
/// It opens a span for the call, counts it once in `dependency_calls_total`, also when it is dropped,
/// and leaves one event behind, the decision record: target `aplomb::call`, at debug level for what
/// succeeded at once, else at info. What the budget held stands in it when the retry layer
/// [keeps records](aplomb_retry::RetryLayer::keep_records).
///
/// What it tells of is what runs in the task of the call: an event of a layer behind a spawned task,
/// such as `tower`'s buffer, is counted, and not in the record.
///
/// Dropping the response future drops the call inside.
#[derive(Clone)]
#[must_use]
pub struct CallLayer {
    metrics: DependencyMetrics,
    observer: Option<Arc<Listener>>,
}

type Listener = dyn Observe<CallReport> + Send + Sync;

impl CallLayer {
    pub(crate) fn new(metrics: DependencyMetrics) -> Self {
        Self { metrics, observer: None }
    }

    /// Tells `observer` the decision record of every call.
    pub fn observe(mut self, observer: impl Observe<CallReport> + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls { inner, layer: self.clone() }
    }
}

impl fmt::Debug for CallLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallLayer").field("metrics", &self.metrics).finish_non_exhaustive()
    }
}

/// A service whose calls are told of. Made by [`CallLayer`].
#[derive(Clone, Debug)]
pub struct Calls<S> {
    inner: S,
    layer: CallLayer,
}

impl<S, Req> Service<Req> for Calls<S>
where
    S: Service<Req, Error: Into<BoxError>>,
    S::Response: Answer,
    Req: Request,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = CallFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let layer = self.layer.clone();
        let maker = &layer.metrics.shared().maker;
        let (dependency, operation) = (&*maker.dependency, &*maker.operation);
        let span = tracing::info_span!(target: "aplomb::call", "call", dependency, operation);
        let mut story = Some(Box::new(Story::new(layer.metrics.id())));
        let call = request.call();
        let inner = span.in_scope(|| {
            let _scope = Scope::enter(&mut story);
            self.inner.call(request)
        });
        CallFuture { inner: Some(inner), told: Told { story, call, span, layer } }
    }
}

pin_project! {
    /// The answer of a [`Calls`] service.
    #[derive(Debug)]
    pub struct CallFuture<F> {
        #[pin]
        inner: Option<F>,
        told: Told,
    }

    impl<F> PinnedDrop for CallFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // What is inside says its last words while its story can still hear them.
            this.told.scoped(|| this.inner.set(None));
            this.told.dropped();
        }
    }
}

/// What is told of a call, until it has been.
#[derive(Debug)]
struct Told {
    story: Option<Box<Story>>,
    call: Call,
    span: Span,
    layer: CallLayer,
}

impl<F, R, E> Future for CallFuture<F>
where
    F: Future<Output = Result<R, E>>,
    R: Answer,
    E: Into<BoxError>,
{
    type Output = Result<R, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = this.told.scoped(|| {
            let inner = this.inner.as_mut().as_pin_mut();
            inner.expect("a call is polled no more after it ended").poll(cx)
        });
        let result = ready!(polled).map_err(Into::into);
        this.told.scoped(|| this.inner.set(None));
        this.told.ended(&result);
        Poll::Ready(result)
    }
}

impl Told {
    fn scoped<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let _entered = self.span.enter();
        let _scope = Scope::enter(&mut self.story);
        work()
    }

    fn ended<R: Answer>(&mut self, result: &Result<R, BoxError>) {
        let Some(story) = self.story.take() else { return };
        let outcome = story.outcome.unwrap_or_else(|| self.judge(result));
        let kept = match result {
            Ok(response) => response.extensions().get::<CallRecord>(),
            Err(error) => cause(&**error),
        };
        self.tell(*story, outcome, kept.cloned());
    }

    /// Without retries nobody has said yet what the answer means.
    fn judge<R: Answer>(&self, result: &Result<R, BoxError>) -> CallOutcome {
        let seen = match result {
            Ok(response) => Ok(response),
            Err(error) => Err(&**error as &(dyn std::error::Error + 'static)),
        };
        match HttpClassifier.classify(self.call, seen) {
            Outcome::Success => CallOutcome::FirstTry,
            Outcome::Neutral => CallOutcome::Neutral,
            Outcome::Failure(_) => CallOutcome::Failed,
        }
    }

    fn dropped(&mut self) {
        let Some(story) = self.story.take() else { return };
        let outcome = story.outcome.unwrap_or_else(|| {
            let late = Deadline::current().is_some_and(|deadline| deadline.is_over(time::now()));
            if late { CallOutcome::Failed } else { CallOutcome::Abandoned }
        });
        self.tell(*story, outcome, None);
    }

    fn tell(&self, mut story: Story, outcome: CallOutcome, kept: Option<CallRecord>) {
        let metrics = &self.layer.metrics;
        metrics.count(outcome);
        metrics.shared().maker.tell(|| {
            let note = Note::of("call", outcome.as_str()).attempt(story.attempt);
            story.reason.map_or(note.clone(), |reason| note.reason(reason.as_str()))
        });
        let quiet = matches!(outcome, CallOutcome::FirstTry | CallOutcome::Neutral);
        let loud = !quiet || tracing::enabled!(target: "aplomb::call", Level::DEBUG);
        if !loud && self.layer.observer.is_none() {
            return;
        }
        story.circuit = story.circuit.or_else(|| metrics.shared().circuits.whole());
        let report = CallReport::new(story, outcome, kept);
        if let Some(observer) = &self.layer.observer {
            observer.observe(&report);
        }
        self.span.in_scope(|| self.write(&report, quiet));
    }

    /// The decision record, as one event.
    fn write(&self, report: &CallReport, quiet: bool) {
        macro_rules! write {
            ($level:expr) => {{
                let maker = &self.layer.metrics.shared().maker;
                let balances = report.balances();
                tracing::event!(
                    target: "aplomb::call",
                    $level,
                    dependency = &*maker.dependency,
                    operation = &*maker.operation,
                    outcome = report.outcome.as_str(),
                    attempts = i64::from(report.attempt.number()),
                    decisions = %report,
                    not_retried = report.reason.map(|reason| reason.as_str()),
                    waited_ms = millis(report.waited()),
                    paced_ms = millis(report.paced),
                    queued_ms = millis(report.queued),
                    budget_before = balances.map(|(before, _)| before),
                    budget_after = balances.map(|(_, after)| after),
                    circuit = report.circuit.map(|state| state.as_str()),
                    fallback = report.fallback.map(|condition| condition.as_str()),
                    "a call ended"
                )
            }};
        }
        if quiet { write!(Level::DEBUG) } else { write!(Level::INFO) }
    }
}

fn millis(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
