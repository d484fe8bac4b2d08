//! Prometheus metrics of every aplomb layer, under one set of names.
//!
//! A failure path nobody sees is one nobody designed. Layers announce what they do as events; this
//! crate gives them names, here alone, and counts them in the caller's own registry.
//!
//! ```
//! use aplomb_retry::{Budget, RetryLayer};
//! use aplomb_telemetry::Metrics;
//!
//! let metrics = Metrics::register(&prometheus::Registry::new(), None)?;
//! let budget = Budget::percent(20);
//! metrics.watch_budget("inventory", "reserve", &budget);
//! let retry = RetryLayer::new(budget).observe(metrics.dependency("inventory", "reserve"));
//!
//! let page = metrics.encode()?;
//! assert!(page.contains(r#"retry_attempts_total{dependency="inventory",operation="reserve"} 0"#));
//! # let _ = retry;
//! # Ok::<(), prometheus::Error>(())
//! ```
//!
//! | metric | counts |
//! |---|---|
//! | `retry_attempts_total` | sends after the first |
//! | `retry_exhausted_total` | calls that failed after attempts, time or budget ran out |
//! | `retry_denied_total{reason}` | failed calls that were not sent again, by reason |
//! | `retry_attempts_per_call` | histogram: sends of a call |
//! | `retry_added_wait_seconds` | histogram: each wait between attempts |
//! | `retry_budget_balance` | retries the budget holds at its lowest price |
//! | `dependency_calls_total{outcome}` | calls: `first_try`, `rescued`, `degraded`, `failed` |
//! | `dependency_timeout_total` | answers that did not come in time |
//! | `circuit_breaker_open_total` | transitions of a breaker to open |
//! | `fallback_used_total` | answers from a fallback |
//! | `idempotency_key_reused_total` | replays |
//! | `idempotency_conflicts_total{reason}` | keys refused: `mismatch`, `in_flight`, `unknown`, `gone` |
//! | `dead_letter_messages_total` | requests that were kept for redrive |
//!
//! Labels are `dependency` and `operation`, given in code, so their number is bounded by the code.
//! A counter is looked up when its observer is made, never for a call. A metric that has counted
//! nothing yet is served with its type and help, so that alerts can be written on the first day.

mod dependency;
mod metrics;
mod operation;

pub use dependency::DependencyMetrics;
pub use metrics::Metrics;
pub use operation::OperationMetrics;
