use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aplomb_admission::AdmissionEvent;
use aplomb_backoff::BackoffEvent;
use aplomb_circuit_breaker::{BreakerEvent, Circuit, State};
use aplomb_core::time;
use aplomb_dead_letter::DeadLetterEvent;
use aplomb_deadline::DeadlineEvent;
use aplomb_fallback::FallbackEvent;
use aplomb_idempotency::IdempotencyEvent;
use aplomb_retry::RetryEvent;
use serde::Serialize;

/// Something that a layer did, as a dashboard shows it: small, cheap to clone, without bodies or keys
/// of requests. What says nothing is left out when it is serialised.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Happening {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// The dependency; empty when this service is itself the server.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub dependency: Arc<str>,
    /// The operation.
    pub operation: Arc<str>,
    /// What happened.
    #[serde(flatten)]
    pub note: Note,
}

/// What happened, in the words of metrics and logs.
///
/// ```
/// use aplomb_retry::RetryEvent;
/// use aplomb_core::Attempt;
/// use aplomb_telemetry::Note;
///
/// let note = Note::from(&RetryEvent::Resent { attempt: Attempt::FIRST.next() });
/// assert_eq!((note.layer, note.attempt), ("retry", Some(2)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Note {
    /// The layer.
    pub layer: &'static str,
    /// What it did.
    pub event: &'static str,
    /// Whether it only would have, since it observes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub observed: bool,
    /// The attempt, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Why, or how it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// How long, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// The circuit, by its key; `all` is the one for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit: Option<Arc<str>>,
    /// The state that the circuit is in now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    /// The status that was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

impl Happening {
    pub(crate) fn new(dependency: Arc<str>, operation: Arc<str>, note: Note) -> Self {
        let since = time::wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { at: millis(since), dependency, operation, note }
    }
}

impl Note {
    pub(crate) fn of(layer: &'static str, event: &'static str) -> Self {
        Self { layer, event, ..Self::default() }
    }

    pub(crate) fn reason(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    pub(crate) fn wait(self, wait: Duration) -> Self {
        Self { millis: Some(millis(wait)), ..self }
    }

    pub(crate) fn status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    pub(crate) fn attempt(self, attempt: aplomb_core::Attempt) -> Self {
        Self { attempt: Some(attempt.number()), ..self }
    }

    fn observed(self, observed: bool) -> Self {
        Self { observed, ..self }
    }

    fn circuit(self, circuit: Circuit<'_>) -> Self {
        Self { circuit: Some(circuit.to_string().into()), ..self }
    }
}

impl From<&RetryEvent> for Note {
    fn from(event: &RetryEvent) -> Self {
        let of = |event| Self::of("retry", event);
        match *event {
            RetryEvent::Waiting { failed, failure, wait } => {
                of("waiting").attempt(failed).reason(failure.kind.as_str()).wait(wait)
            }
            RetryEvent::Resent { attempt } => of("resent").attempt(attempt),
            RetryEvent::Done { attempt, success } => {
                of(if success { "succeeded" } else { "neutral" }).attempt(attempt)
            }
            RetryEvent::Refused { attempt, reason, .. } => {
                of("refused").attempt(attempt).reason(reason.as_str())
            }
            RetryEvent::WouldRetry { failed, failure, wait } => {
                let note = of("waiting").observed(true).attempt(failed);
                note.reason(failure.kind.as_str()).wait(wait)
            }
            RetryEvent::Abandoned { attempt, timed_out } => {
                of(if timed_out { "timed_out" } else { "abandoned" }).attempt(attempt)
            }
            _ => of("other"),
        }
    }
}

impl From<&DeadlineEvent> for Note {
    fn from(event: &DeadlineEvent) -> Self {
        let observed =
            matches!(event, DeadlineEvent::WouldHaveExceeded | DeadlineEvent::WouldNotHaveSent);
        Self::of("deadline", when(*event)).observed(observed)
    }
}

/// When time was up.
pub(crate) const fn when(event: DeadlineEvent) -> &'static str {
    match event {
        DeadlineEvent::Exceeded | DeadlineEvent::WouldHaveExceeded => "exceeded",
        DeadlineEvent::Unsent | DeadlineEvent::WouldNotHaveSent => "unsent",
        _ => "other",
    }
}

impl From<&BackoffEvent> for Note {
    fn from(event: &BackoffEvent) -> Self {
        let of = |event| Self::of("backoff", event);
        match *event {
            BackoffEvent::Paused { pause } => of("paused").wait(pause),
            BackoffEvent::Waiting { wait } => of("waiting").wait(wait),
            BackoffEvent::WouldWait { left } => of("waiting").observed(true).wait(left),
            BackoffEvent::Refused { left } => of("refused").wait(left),
            _ => of("other"),
        }
    }
}

impl From<&BreakerEvent<'_>> for Note {
    fn from(event: &BreakerEvent<'_>) -> Self {
        let of = |event| Self::of("circuit_breaker", event);
        match *event {
            BreakerEvent::Changed { circuit, change, enforced } => {
                let note = of("changed").circuit(circuit).observed(!enforced);
                let note = Self { state: Some(change.to.as_str()), ..note };
                if change.to == State::Open { note.wait(change.open_for) } else { note }
            }
            BreakerEvent::Rejected { circuit, retry_after, enforced } => {
                of("rejected").circuit(circuit).observed(!enforced).wait(retry_after)
            }
            BreakerEvent::Forgotten { circuit } => of("forgotten").circuit(circuit),
            _ => of("other"),
        }
    }
}

impl From<&AdmissionEvent> for Note {
    fn from(event: &AdmissionEvent) -> Self {
        let of = |event| Self::of("admission", event);
        match *event {
            AdmissionEvent::Admitted { wait } => of("admitted").wait(wait),
            AdmissionEvent::Rejected { reason, wait, .. } => {
                of("rejected").reason(reason.as_str()).wait(wait)
            }
            AdmissionEvent::WouldHaveWaited { wait } => of("waited").observed(true).wait(wait),
            AdmissionEvent::WouldHaveRejected { reason, wait, .. } => {
                of("rejected").observed(true).reason(reason.as_str()).wait(wait)
            }
            _ => of("other"),
        }
    }
}

impl From<&FallbackEvent> for Note {
    fn from(event: &FallbackEvent) -> Self {
        let of = |event| Self::of("fallback", event);
        match *event {
            FallbackEvent::Used { condition, age, .. } => {
                let note = of("used").reason(condition.as_str());
                age.map_or(note.clone(), |age| note.wait(age))
            }
            FallbackEvent::Unanswered { why, .. } => of("unanswered").reason(why.as_str()),
            FallbackEvent::Kept { condition } => of("kept").reason(condition.as_str()),
            FallbackEvent::WouldAsk { condition } => {
                of("asked").observed(true).reason(condition.as_str())
            }
            _ => of("other"),
        }
    }
}

impl From<&IdempotencyEvent> for Note {
    fn from(event: &IdempotencyEvent) -> Self {
        Self::of("idempotency", event.as_str())
    }
}

impl From<&DeadLetterEvent> for Note {
    fn from(event: &DeadLetterEvent) -> Self {
        let note = Self::of("dead_letter", event.as_str());
        match *event {
            DeadLetterEvent::Rescheduled { kind, wait } => {
                let note = note.wait(wait);
                kind.map_or(note.clone(), |kind| note.reason(kind.as_str()))
            }
            DeadLetterEvent::Stored { cause } | DeadLetterEvent::HandedOver { cause } => {
                note.reason(cause.as_str())
            }
            _ => note,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
