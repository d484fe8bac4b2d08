//! Every metric there is: its name, type, labels, meaning, and the alert that watches it.

/// A metric, as a [`Recorder`](crate::Recorder) sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name, without a prefix.
    pub name: &'static str,
    /// What is done to it.
    pub kind: Kind,
    /// The names of its labels, in the order of their values.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub help: &'static str,
    /// The upper bounds of a histogram's buckets; of others, nothing.
    pub buckets: &'static [f64],
    /// The alert in `docs/alerts/aplomb.yml` that watches it.
    pub alert: Option<&'static str>,
}

/// What is done to a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a backend must know each of them")]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It is set.
    Gauge,
    /// It is told sizes, and counts them by bucket.
    Histogram,
}

impl Kind {
    /// Its word in the text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Metric {
    const fn counter(name: &'static str, labels: &'static [&'static str]) -> Self {
        Self { name, kind: Kind::Counter, labels, help: "", buckets: &[], alert: None }
    }

    const fn gauge(name: &'static str, labels: &'static [&'static str]) -> Self {
        Self { kind: Kind::Gauge, ..Self::counter(name, labels) }
    }

    const fn histogram(name: &'static str, buckets: &'static [f64]) -> Self {
        Self { kind: Kind::Histogram, buckets, ..Self::counter(name, CALL) }
    }

    const fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }

    const fn alert(self, alert: &'static str) -> Self {
        Self { alert: Some(alert), ..self }
    }
}

/// Every metric, in the order of the layers.
pub const METRICS: &[&Metric] = &[
    &CALLS,
    &RESENT,
    &EXHAUSTED,
    &DENIED,
    &ATTEMPTS,
    &WAITS,
    &BALANCE,
    &TIMEOUTS,
    &PAUSES,
    &PACED,
    &PACED_OUT,
    &OPENED,
    &CIRCUITS,
    &REJECTED,
    &NOT_ADMITTED,
    &QUEUED,
    &RUNNING,
    &WAITING,
    &LIMIT,
    &FALLBACKS,
    &UNANSWERED,
    &KEPT,
    &REPLAYS,
    &CONFLICTS,
    &KEYS,
    &LETTERS,
    &LETTER_EVENTS,
    &EXPIRED,
    &PROBLEMS,
    &RELOADS,
    &WOULD_HAVE,
];

pub(crate) const CALLS: Metric = Metric::counter("dependency_calls_total", OUTCOME)
    .help("Calls by how they ended.")
    .alert("AplombRescueIsTheNormalPath");
pub(crate) const RESENT: Metric =
    Metric::counter("retry_attempts_total", CALL).help("Sends after the first.");
pub(crate) const EXHAUSTED: Metric = Metric::counter("retry_exhausted_total", CALL)
    .help("Calls that failed when attempts, time or budget ran out.")
    .alert("AplombRetriesExhausted");
pub(crate) const DENIED: Metric =
    Metric::counter("retry_denied_total", REASON).help("Failed calls that were not sent again.");
pub(crate) const ATTEMPTS: Metric =
    Metric::histogram("retry_attempts_per_call", &[1.0, 2.0, 3.0, 5.0, 8.0])
        .help("Sends of a call.");
pub(crate) const WAITS: Metric =
    Metric::histogram("retry_added_wait_seconds", SECONDS).help("Waits between attempts.");
pub(crate) const BALANCE: Metric = Metric::gauge("retry_budget_balance", CALL)
    .help("Retries that the budget holds, at its lowest price.")
    .alert("AplombRetryBudgetEmpty");
pub(crate) const TIMEOUTS: Metric =
    Metric::counter("dependency_timeout_total", CALL).help("Answers that did not come in time.");
pub(crate) const PAUSES: Metric =
    Metric::counter("backoff_pauses_total", CALL).help("Times that a dependency was left alone.");
pub(crate) const PACED: Metric =
    Metric::histogram("backoff_wait_seconds", SECONDS).help("Waits for a dependency's pause.");
pub(crate) const PACED_OUT: Metric = Metric::counter("backoff_refused_total", CALL)
    .help("Calls not sent since a dependency's pause was too long for them.");
pub(crate) const OPENED: Metric =
    Metric::counter("circuit_breaker_open_total", CALL).help("Transitions of a circuit to open.");
pub(crate) const CIRCUITS: Metric = Metric::gauge("circuit_breaker_state", CIRCUIT)
    .help("Circuits in this state: of a named circuit 1 in one state and 0 in all others.")
    .alert("AplombCircuitOpen");
pub(crate) const REJECTED: Metric = Metric::counter("circuit_breaker_rejected_total", CALL)
    .help("Calls kept from going out by an open circuit.");
pub(crate) const NOT_ADMITTED: Metric = Metric::counter("admission_rejected_total", REASON)
    .help("Calls that were not taken on.")
    .alert("AplombAdmissionRejects");
pub(crate) const QUEUED: Metric = Metric::histogram("admission_wait_seconds", SECONDS)
    .help("Waits of the calls that were taken on.")
    .alert("AplombAdmissionRejects");
pub(crate) const RUNNING: Metric =
    Metric::gauge("admission_running", CALL).help("Calls that run now.");
pub(crate) const WAITING: Metric =
    Metric::gauge("admission_waiting", CALL).help("Calls that wait for a place now.");
pub(crate) const LIMIT: Metric =
    Metric::gauge("admission_limit", CALL).help("Calls that may run at a time.");
pub(crate) const FALLBACKS: Metric =
    Metric::counter("fallback_used_total", REASON).help("Answers from a fallback.");
pub(crate) const UNANSWERED: Metric = Metric::counter("fallback_unanswered_total", REASON)
    .help("Times that a fallback was asked and did not answer.");
pub(crate) const KEPT: Metric = Metric::counter("fallback_kept_total", CALL)
    .help("Writes of unknown outcome for which no fallback was asked.");
pub(crate) const REPLAYS: Metric =
    Metric::counter("idempotency_key_reused_total", OPERATION).help("Answers that were replayed.");
pub(crate) const CONFLICTS: Metric =
    Metric::counter("idempotency_conflicts_total", CONFLICT).help("Keys that were refused.");
pub(crate) const KEYS: Metric =
    Metric::counter("idempotency_events_total", EVENT).help("All that happened to keys.");
pub(crate) const LETTERS: Metric = Metric::counter("dead_letter_messages_total", CALL)
    .help("Letters written for requests that finally failed.")
    .alert("AplombDeadLetters");
pub(crate) const LETTER_EVENTS: Metric =
    Metric::counter("dead_letter_events_total", LETTER).help("All that happened to letters.");
pub(crate) const EXPIRED: Metric = Metric::counter("deadline_expired_total", WHEN)
    .help("Requests whose caller had stopped waiting.");
pub(crate) const PROBLEMS: Metric = Metric::counter("problem_answers_total", STATUS)
    .help("Errors that a server answered as problem details.");
pub(crate) const RELOADS: Metric = Metric::counter("policy_reloads_total", OUTCOME_ALONE)
    .help("New texts of a policy file, by what became of them.");
pub(crate) const WOULD_HAVE: Metric = Metric::counter("would_have_total", WOULD)
    .help("What layers that only observe would have done.");

const CALL: &[&str] = &["dependency", "operation"];
const REASON: &[&str] = &["dependency", "operation", "reason"];
const OUTCOME: &[&str] = &["dependency", "operation", "outcome"];
const OUTCOME_ALONE: &[&str] = &["outcome"];
const CIRCUIT: &[&str] = &["dependency", "operation", "circuit", "state"];
const LETTER: &[&str] = &["dependency", "operation", "event"];
const WOULD: &[&str] = &["dependency", "operation", "layer", "decision"];
const OPERATION: &[&str] = &["operation"];
const CONFLICT: &[&str] = &["operation", "reason"];
const EVENT: &[&str] = &["operation", "event"];
const WHEN: &[&str] = &["operation", "when"];
const STATUS: &[&str] = &["operation", "event", "status"];

/// From 1 ms, the least that a timer knows, doubling to 8 s, longer than anybody waits.
const SECONDS: &[f64] = &[
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096,
    8.192,
];
