use std::sync::Arc;
use std::time::Duration;

use aplomb_admission::{AdmissionEvent, RejectReason};
use aplomb_backoff::BackoffEvent;
use aplomb_circuit_breaker::{BreakerEvent, State};
use aplomb_core::{Attempt, Condition, Observe, Reason};
use aplomb_dead_letter::DeadLetterEvent;
use aplomb_deadline::DeadlineEvent;
use aplomb_fallback::{FallbackEvent, Unanswered};
use aplomb_retry::RetryEvent;

use crate::attempts::AttemptLayer;
use crate::calls::CallLayer;
use crate::catalogue;
use crate::circuits::Circuits;
use crate::letters::Letters;
use crate::maker::Maker;
use crate::recorder::{By, Series};
use crate::report::CallOutcome;
use crate::story::{self, Story};
use crate::would::Would;

/// Counts what the layers around one operation of one dependency do, and tells the feed.
///
/// One value observes all of them: give a clone to each. With its [`CallLayer`] outermost it knows
/// which call an event belongs to. Then a call that a fallback answered is counted as degraded alone,
/// and an answer that did not come in time once, whichever deadline ended it. Without, both the failure
/// of the dependency and the fallback's answer are counted, and each deadline that passes.
///
/// ```
/// use aplomb_telemetry::{AttemptLayer, CallLayer, CallReport, DependencyMetrics, Metrics};
///
/// let metrics = Metrics::register(&prometheus::Registry::new(), None)?;
/// let look: DependencyMetrics = metrics.dependency("stock", "look");
/// // Around all layers, and inside the retries:
/// let calls: CallLayer = look.call_layer().observe(|report: &CallReport| {
///     println!("{}: waited {:?}", report.outcome, report.waited());
/// });
/// let attempts: AttemptLayer = look.attempt_layer();
/// # let _ = (calls, attempts);
/// # Ok::<(), prometheus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DependencyMetrics {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) maker: Maker,
    calls: By<CallOutcome>,
    resent: Series,
    exhausted: Series,
    timeouts: Series,
    attempts: Series,
    waits: Series,
    denied: By<Reason>,
    pauses: Series,
    paced: Series,
    paced_out: Series,
    opened: Series,
    rejected: Series,
    pub(crate) circuits: Circuits,
    not_admitted: By<RejectReason>,
    queued: Series,
    fallbacks: By<Condition>,
    unanswered: By<Unanswered>,
    kept: Series,
    letters: Letters,
    would: By<Would>,
}

impl DependencyMetrics {
    pub(crate) fn new(maker: Maker) -> Self {
        let with = |metric, more: &str| maker.of_call_with(metric, more);
        let one = |metric| maker.of_call(metric);
        let shared = Shared {
            calls: By::each(CallOutcome::ALL, |of| with(&catalogue::CALLS, of.as_str())),
            resent: one(&catalogue::RESENT),
            exhausted: one(&catalogue::EXHAUSTED),
            timeouts: one(&catalogue::TIMEOUTS),
            attempts: one(&catalogue::ATTEMPTS),
            waits: one(&catalogue::WAITS),
            denied: By::each(Reason::ALL, |of| with(&catalogue::DENIED, of.as_str())),
            pauses: one(&catalogue::PAUSES),
            paced: one(&catalogue::PACED),
            paced_out: one(&catalogue::PACED_OUT),
            opened: one(&catalogue::OPENED),
            rejected: one(&catalogue::REJECTED),
            circuits: Circuits::new(maker.clone()),
            not_admitted: By::each(RejectReason::ALL, |of| {
                with(&catalogue::NOT_ADMITTED, of.as_str())
            }),
            queued: one(&catalogue::QUEUED),
            fallbacks: By::each(Condition::ALL, |of| with(&catalogue::FALLBACKS, of.as_str())),
            unanswered: By::each(&UNANSWERED, |of| with(&catalogue::UNANSWERED, of.as_str())),
            kept: one(&catalogue::KEPT),
            letters: Letters::new(&maker),
            would: By::each(&Would::ALL, |would| would.series(&maker)),
            maker,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Knows which call each event belongs to: goes around all layers of this operation.
    pub fn call_layer(&self) -> CallLayer {
        CallLayer::new(self.clone())
    }

    /// A span for each attempt: goes inside the retries, around the attempt's deadline.
    pub fn attempt_layer(&self) -> AttemptLayer {
        AttemptLayer::new()
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Tells the calls of this operation from those of others.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.shared).addr()
    }

    pub(crate) fn count(&self, outcome: CallOutcome) {
        self.shared.calls.one_more(outcome);
    }

    /// A call ended like this, as far as the retries know: counted now, unless its story goes on.
    fn ended(&self, outcome: CallOutcome, reason: Option<Reason>) {
        let told = story::tell(self.id(), |story| {
            story.ended(outcome);
            story.reason = reason;
        });
        if told.is_none() {
            self.count(outcome);
        }
    }

    /// Two deadlines of one call end one attempt, or none that waits to be sent.
    fn timed_out(&self) {
        if story::tell(self.id(), Story::timed_out).unwrap_or(true) {
            self.shared.timeouts.one_more();
        }
    }

    fn sent(&self, attempt: Attempt) {
        self.shared.attempts.write(attempt.number().into());
    }

    fn refused(&self, attempt: Attempt, reason: Reason) {
        self.sent(attempt);
        self.shared.denied.one_more(reason);
        if matches!(reason, Reason::Attempts | Reason::Time | Reason::Budget) {
            self.shared.exhausted.one_more();
        }
        self.ended(CallOutcome::Failed, Some(reason));
    }
}

impl Observe<RetryEvent> for DependencyMetrics {
    fn observe(&self, event: &RetryEvent) {
        let Shared { waits, resent, would, maker, .. } = self.shared();
        match *event {
            RetryEvent::Waiting { failed, failure, wait } => {
                waits.write(wait.as_secs_f64());
                story::tell(self.id(), |story| story.failed(failed, failure, Ok(wait)));
            }
            RetryEvent::Resent { attempt } => {
                // The send after those that were held back is the first one.
                if !attempt.is_first() {
                    resent.one_more();
                }
                story::tell(self.id(), |story| story.resent(attempt));
            }
            RetryEvent::Done { attempt, success } => {
                self.sent(attempt);
                self.ended(CallOutcome::of(attempt, success), None);
            }
            RetryEvent::Refused { attempt, failure, reason } => {
                story::tell(self.id(), |story| story.failed(attempt, failure, Err(reason)));
                self.refused(attempt, reason);
            }
            RetryEvent::WouldRetry { failed, failure, wait } => {
                would.one_more(Would::Retry);
                self.sent(failed);
                // What it would have done is told as such; what it did is end here.
                story::tell(self.id(), |story| story.would_retry(failed, failure, wait));
                self.ended(CallOutcome::Failed, None);
            }
            RetryEvent::Abandoned { attempt, timed_out } => {
                self.sent(attempt);
                let outcome = if timed_out { CallOutcome::Failed } else { CallOutcome::Abandoned };
                self.ended(outcome, None);
            }
            _ => {}
        }
        maker.tell(|| event.into());
    }
}

impl Observe<DeadlineEvent> for DependencyMetrics {
    fn observe(&self, event: &DeadlineEvent) {
        match *event {
            DeadlineEvent::Exceeded => self.timed_out(),
            // Nobody else tells of a call that was late before anything was sent.
            DeadlineEvent::Unsent => {
                story::tell(self.id(), |story| {
                    story.outcome.get_or_insert(CallOutcome::Failed);
                });
            }
            DeadlineEvent::WouldHaveExceeded | DeadlineEvent::WouldNotHaveSent => {
                self.shared.would.one_more(Would::End);
            }
            _ => {}
        }
        self.shared.maker.tell(|| event.into());
    }
}

impl Observe<BackoffEvent> for DependencyMetrics {
    fn observe(&self, event: &BackoffEvent) {
        let Shared { pauses, paced, paced_out, would, maker, .. } = self.shared();
        match *event {
            BackoffEvent::Paused { .. } => pauses.one_more(),
            BackoffEvent::Waiting { wait } => {
                paced.write(wait.as_secs_f64());
                story::tell(self.id(), |story| story.paced += wait);
            }
            BackoffEvent::WouldWait { .. } => would.one_more(Would::Pace),
            BackoffEvent::Refused { .. } => paced_out.one_more(),
            _ => {}
        }
        maker.tell(|| event.into());
    }
}

impl Observe<BreakerEvent<'_>> for DependencyMetrics {
    fn observe(&self, event: &BreakerEvent<'_>) {
        let Shared { opened, rejected, circuits, would, maker, .. } = self.shared();
        circuits.hear(event);
        match *event {
            BreakerEvent::Changed { change, enforced, .. } => {
                let opens = change.to == State::Open && change.from != State::Open;
                match (opens, enforced) {
                    (true, true) => opened.one_more(),
                    (true, false) => would.one_more(Would::Open),
                    (false, _) => {}
                }
                story::tell(self.id(), |story| story.circuit = Some(change.to));
            }
            BreakerEvent::Rejected { enforced, .. } => {
                if enforced {
                    rejected.one_more();
                } else {
                    would.one_more(Would::Reject);
                }
                story::tell(self.id(), |story| story.circuit = Some(State::Open));
            }
            _ => {}
        }
        maker.tell(|| event.into());
    }
}

/// Of a bulkhead.
impl Observe<AdmissionEvent> for DependencyMetrics {
    fn observe(&self, event: &AdmissionEvent) {
        let Shared { queued, not_admitted, would, maker, .. } = self.shared();
        let waited = |wait: Duration| story::tell(self.id(), |story| story.queued += wait);
        match *event {
            AdmissionEvent::Admitted { wait } => {
                queued.write(wait.as_secs_f64());
                waited(wait);
            }
            AdmissionEvent::Rejected { reason, wait, .. } => {
                not_admitted.one_more(reason);
                waited(wait);
            }
            AdmissionEvent::WouldHaveWaited { .. } => would.one_more(Would::Wait),
            AdmissionEvent::WouldHaveRejected { .. } => would.one_more(Would::NotAdmit),
            _ => {}
        }
        maker.tell(|| event.into());
    }
}

impl Observe<FallbackEvent> for DependencyMetrics {
    fn observe(&self, event: &FallbackEvent) {
        let Shared { fallbacks, unanswered, kept, would, maker, .. } = self.shared();
        match *event {
            FallbackEvent::Used { condition, kind, .. } => {
                fallbacks.one_more(condition);
                let outcome = match kind {
                    Some(_) => CallOutcome::Degraded,
                    None => CallOutcome::Rescued,
                };
                let told = story::tell(self.id(), |story| {
                    story.ended(outcome);
                    story.fallback = Some(condition);
                });
                if told.is_none() {
                    self.count(outcome);
                }
            }
            FallbackEvent::Unanswered { why, .. } => unanswered.one_more(why),
            FallbackEvent::Kept { .. } => kept.one_more(),
            FallbackEvent::WouldAsk { .. } => would.one_more(Would::Ask),
            _ => {}
        }
        maker.tell(|| event.into());
    }
}

impl Observe<DeadLetterEvent> for DependencyMetrics {
    fn observe(&self, event: &DeadLetterEvent) {
        self.shared.letters.hear(event);
        self.shared.maker.tell(|| event.into());
    }
}

const UNANSWERED: [Unanswered; 5] = [
    Unanswered::Nothing,
    Unanswered::Failed,
    Unanswered::Late,
    Unanswered::Full,
    Unanswered::NotPending,
];
