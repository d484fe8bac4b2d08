//! Metrics of every aplomb layer, spans of every attempt, one record of every call.
//!
//! A failure path nobody sees is one nobody designed. Layers announce what they do as events; this
//! crate gives them names, here alone. It counts them in the caller's own registry, writes them to
//! `tracing`, and lets a dashboard watch.
//!
//! ```
//! use std::time::Duration;
//! use aplomb_deadline::DeadlineLayer;
//! use aplomb_retry::{Budget, RetryLayer};
//! use aplomb_telemetry::Metrics;
//! use tower::ServiceBuilder;
//! # use bytes::Bytes; use http::{Request, Response}; use http_body_util::Full;
//! # async fn stock(_: Request<Full<Bytes>>) -> std::io::Result<Response<Full<Bytes>>> {
//! #     Ok(Response::default())
//! # }
//!
//! let metrics = Metrics::register(&prometheus::Registry::new(), None)?;
//! let reserve = metrics.dependency("inventory", "reserve");
//! let budget = Budget::percent(20);
//! metrics.watch_budget("inventory", "reserve", &budget);
//!
//! let client = ServiceBuilder::new()
//!     .layer(reserve.call_layer())
//!     .layer(DeadlineLayer::total(Duration::from_secs(3)).observe(reserve.clone()))
//!     .layer(RetryLayer::new(budget).keep_records().observe(reserve.clone()))
//!     .layer(reserve.attempt_layer())
//!     .layer(DeadlineLayer::attempt(Duration::from_millis(500)).observe(reserve.clone()))
//!     .service_fn(stock);
//!
//! let page = metrics.encode()?;
//! assert!(page.contains(r#"retry_attempts_total{dependency="inventory",operation="reserve"} 0"#));
//! # let _ = client;
//! # Ok::<(), prometheus::Error>(())
//! ```
//!
//! # One observer
//!
//! [`DependencyMetrics`] hears every layer of the client's side, [`OperationMetrics`] every one of the
//! server's. A clone goes to each layer's `observe`. What must see a call as a whole is two layers:
//!
//! | layer | where | what it does |
//! |---|---|---|
//! | [`CallLayer`] | around all others | a span for the call, its outcome counted once, the decision record |
//! | [`AttemptLayer`] | inside the retries, around the attempt's deadline | a span for each attempt, the trace for the next hop |
//!
//! # Metrics
//!
//! | metric | type | labels | says | alert |
//! |---|---|---|---|---|
//! | `dependency_calls_total` | counter | `dependency`, `operation`, `outcome` | Calls by how they ended. | `AplombRescueIsTheNormalPath` |
//! | `retry_attempts_total` | counter | `dependency`, `operation` | Sends after the first. | |
//! | `retry_exhausted_total` | counter | `dependency`, `operation` | Calls that failed when attempts, time or budget ran out. | `AplombRetriesExhausted` |
//! | `retry_denied_total` | counter | `dependency`, `operation`, `reason` | Failed calls that were not sent again. | |
//! | `retry_attempts_per_call` | histogram | `dependency`, `operation` | Sends of a call. | |
//! | `retry_added_wait_seconds` | histogram | `dependency`, `operation` | Waits between attempts. | |
//! | `retry_budget_balance` | gauge | `dependency`, `operation` | Retries that the budget holds, at its lowest price. | `AplombRetryBudgetEmpty` |
//! | `dependency_timeout_total` | counter | `dependency`, `operation` | Answers that did not come in time. | |
//! | `backoff_pauses_total` | counter | `dependency`, `operation` | Times that a dependency was left alone. | |
//! | `backoff_wait_seconds` | histogram | `dependency`, `operation` | Waits for a dependency's pause. | |
//! | `backoff_refused_total` | counter | `dependency`, `operation` | Calls not sent since a dependency's pause was too long for them. | |
//! | `circuit_breaker_open_total` | counter | `dependency`, `operation` | Transitions of a circuit to open. | |
//! | `circuit_breaker_state` | gauge | `dependency`, `operation`, `circuit`, `state` | Circuits in this state: of a named circuit 1 in one state and 0 in all others. | `AplombCircuitOpen` |
//! | `circuit_breaker_rejected_total` | counter | `dependency`, `operation` | Calls kept from going out by an open circuit. | |
//! | `admission_rejected_total` | counter | `dependency`, `operation`, `reason` | Calls that were not taken on. | `AplombAdmissionRejects` |
//! | `admission_wait_seconds` | histogram | `dependency`, `operation` | Waits of the calls that were taken on. | `AplombAdmissionRejects` |
//! | `admission_running` | gauge | `dependency`, `operation` | Calls that run now. | |
//! | `admission_waiting` | gauge | `dependency`, `operation` | Calls that wait for a place now. | |
//! | `admission_limit` | gauge | `dependency`, `operation` | Calls that may run at a time. | |
//! | `fallback_used_total` | counter | `dependency`, `operation`, `reason` | Answers from a fallback. | |
//! | `fallback_unanswered_total` | counter | `dependency`, `operation`, `reason` | Times that a fallback was asked and did not answer. | |
//! | `fallback_kept_total` | counter | `dependency`, `operation` | Writes of unknown outcome for which no fallback was asked. | |
//! | `idempotency_key_reused_total` | counter | `operation` | Answers that were replayed. | |
//! | `idempotency_conflicts_total` | counter | `operation`, `reason` | Keys that were refused. | |
//! | `idempotency_events_total` | counter | `operation`, `event` | All that happened to keys. | |
//! | `dead_letter_messages_total` | counter | `dependency`, `operation` | Letters written for requests that finally failed. | `AplombDeadLetters` |
//! | `dead_letter_events_total` | counter | `dependency`, `operation`, `event` | All that happened to letters. | |
//! | `deadline_expired_total` | counter | `operation`, `when` | Requests whose caller had stopped waiting. | |
//! | `problem_answers_total` | counter | `operation`, `event`, `status` | Errors that a server answered as problem details. | |
//! | `policy_reloads_total` | counter | `outcome` | New texts of a policy file, by what became of them. | |
//! | `would_have_total` | counter | `dependency`, `operation`, `layer`, `decision` | What layers that only observe would have done. | |
//!
//! `dependency_calls_total` has each call once: `first_try`, `rescued` (a later attempt, or a fallback
//! that is as good), `degraded` (a lesser answer of a fallback), `failed`, `neutral` (the caller's own
//! mistake, or a limit of ours), `abandoned` (the caller hung up before its time was up). That is so
//! inside a [`CallLayer`]; without one a call that a fallback answered is both `failed` and `degraded`.
//! `dependency_timeout_total` has each attempt once, whichever deadline ended it.
//!
//! `circuit_breaker_state` says of each circuit in which state it is: `closed`, `half_open`, `open`,
//! or `would_be_open` when the breaker only observes and rejects nothing. A circuit appears with its
//! first change and goes when it is forgotten.
//!
//! Of the server's side `dependency` is empty in `admission_*`, `dead_letter_*` and
//! `would_have_total`, which both sides share.
//!
//! What a layer that only observes would have done is in `would_have_total` alone (`layer` and
//! `decision`: `retry`/`retry`, `deadline`/`end`, `backoff`/`wait`, `circuit_breaker`/`open` and
//! `reject`, `admission`/`wait` and `reject`, `fallback`/`ask`), so that no alert rings for it.
//!
//! # Bounds
//!
//! Dependencies and operations are named in code, reasons and events are words of the layers, and a
//! circuit's key may be anybody's: of one operation [`CIRCUITS_MAX`] circuits have a name, all further
//! ones that are not closed are counted as [`OTHER`]. Series are looked up when their observer is
//! made, never for a call, and stand at zero from then on, so that an alert can watch them. A metric
//! without series is served with its type, so that alerts can be written on the first day.
//!
//! # Traces
//!
//! Spans and records are `tracing`'s, with targets `aplomb::call` and `aplomb::attempt`; nothing is
//! written while nobody subscribes. Never in them: bodies, paths, queries, headers, keys, the words of
//! errors. `examples/otel.rs` exports them by OpenTelemetry.
//!
//! # Other backends, and a live feed
//!
//! [`Metrics::with`] takes any [`Recorder`] in the place of [`Prometheus`]. A [`Feed`] is the same
//! events as small values, for server-sent events: [`Metrics::feeding`].
//!
//! A Grafana dashboard and the alerts named above are in `docs/grafana` and `docs/alerts`.

mod attempts;
mod calls;
mod catalogue;
mod circuits;
mod dependency;
mod feed;
mod happening;
mod letters;
mod maker;
mod metrics;
mod operation;
mod policies;
mod recorder;
mod registry;
mod report;
mod story;
mod would;

pub use attempts::{AttemptFuture, AttemptLayer, Attempts};
pub use calls::{CallFuture, CallLayer, Calls};
pub use catalogue::{Kind, METRICS, Metric};
pub use circuits::{CIRCUITS_MAX, OTHER};
pub use dependency::DependencyMetrics;
pub use feed::{Feed, Heard, Reader};
pub use happening::{Happening, Note};
pub use metrics::Metrics;
pub use operation::OperationMetrics;
pub use policies::PolicyMetrics;
pub use recorder::{Read, Recorder, Series};
pub use registry::Prometheus;
pub use report::{CallOutcome, CallReport};
