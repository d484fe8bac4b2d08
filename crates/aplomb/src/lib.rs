//! Calls over HTTP whose failure is designed.
//!
//! A retry is extra pressure on a system that may already be struggling. Each crate of this family
//! takes one decision about failure: may this be repeated, may it be afforded, is there time, has
//! this key run already. This one puts them side by side under one name, with the one layer that
//! belongs to none of them: [`ProblemLayer`], by which a server answers what failed inside.
//!
//! ```
//! use std::time::Duration;
//! use aplomb::{Budget, DeadlineLayer, ProblemLayer, RetryLayer};
//! use tower::{ServiceBuilder, service_fn};
//! # use http::{Request, Response}; use http_body_util::Full; use bytes::Bytes;
//! # async fn stock(_: Request<Full<Bytes>>) -> std::io::Result<Response<Full<Bytes>>> {
//! #     Ok(Response::default())
//! # }
//!
//! // A client, outermost first.
//! let client = ServiceBuilder::new()
//!     .layer(DeadlineLayer::total(Duration::from_secs(3)))
//!     .layer(RetryLayer::new(Budget::percent(20)))
//!     .layer(DeadlineLayer::attempt(Duration::from_millis(500)))
//!     .service_fn(stock);
//!
//! // A server that passes requests on to it, outermost first.
//! let server = ServiceBuilder::new()
//!     .layer(ProblemLayer::new())
//!     .layer(DeadlineLayer::inherit())
//!     .service(client);
//! # let _ = server;
//! ```
//!
//! With the feature `policy` a [`stack`] builds the whole of it, in the one right order, from a policy
//! in which no question is left open.
//!
//! | module | what it holds |
//! |---|---|
//! | [`stack`] | every layer in the one right order, for clients and servers |
//! | `reqwest` (feature `reqwest`) | reqwest's client, with every call going by its policy |
//! | [`retry`] | re-attempts that spend a budget |
//! | [`backoff`] | delay schedules; pacing of a dependency that pushed back |
//! | [`circuit_breaker`] | stops calling what keeps failing |
//! | [`admission`] | takes on no more than can be done in time; a bulkhead around clients |
//! | [`fallback`] | answers from a second service |
//! | [`deadline`] | calls that end in time, on both sides |
//! | [`idempotency`] | each key runs once |
//! | `dead_letter` (feature `dead-letter`) | keeps requests that finally failed, for redrive |
//! | `telemetry` (feature `telemetry`) | every layer's events as metrics |
//! | `chaos` (feature `chaos`) | faults on purpose |
//! | `policy` (feature `policy`) | policies written down once, and their lint |
//! | [`core`] | the words that they share |
//!
//! # Which layer goes where
//!
//! Outermost first. Around a client: dead letter, fallback, deadline (total), idempotency key, retry,
//! backoff, in-flight limit, circuit breaker, deadline (attempt), transport. On a server: problems,
//! authentication, deadline (inherited), admission, idempotency, handler. [`stack`] says why, and
//! builds it.
//!
#![doc = include_str!("../figures/matrix.md")]
//!
#![doc = include_str!("../figures/stack.md")]
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `reqwest` | `aplomb::reqwest::Client`; the layers fit `reqwest::Client`, whose errors are told apart |
//! | `reqwest-middleware` | a stack as a link in a chain of that crate |
//! | `hyper` | errors of hyper clients are told apart |
//! | `h2` | HTTP/2 resets are told apart |
//! | `axum` | axum's route templates; claims and answers in its handlers |
//! | `chaos` | `chaos` |
//! | `policy` | `policy`; the client side of [`stack`] |
//! | `last-good` | the last good answer as a fallback |
//! | `dead-letter` | `dead_letter` |
//! | `telemetry` | `telemetry`, which a stack takes as its observers, and [`ProblemLayer`] as its own |

#[cfg(feature = "telemetry")]
mod counted;
#[cfg(feature = "policy")]
pub mod policy;
mod problem;
#[cfg(feature = "reqwest")]
pub mod reqwest;
pub mod stack;

pub use aplomb_admission as admission;
pub use aplomb_admission::AdmissionLayer;
pub use aplomb_backoff as backoff;
pub use aplomb_backoff::{Backoff, BackoffLayer};
#[cfg(feature = "chaos")]
pub use aplomb_chaos as chaos;
pub use aplomb_circuit_breaker as circuit_breaker;
pub use aplomb_circuit_breaker::CircuitBreakerLayer;
pub use aplomb_core as core;
#[cfg(feature = "dead-letter")]
pub use aplomb_dead_letter as dead_letter;
pub use aplomb_deadline as deadline;
pub use aplomb_deadline::DeadlineLayer;
pub use aplomb_fallback as fallback;
pub use aplomb_fallback::FallbackLayer;
pub use aplomb_idempotency as idempotency;
pub use aplomb_idempotency::IdempotencyLayer;
pub use aplomb_retry as retry;
pub use aplomb_retry::{Budget, Budgets, RetryLayer};
#[cfg(feature = "telemetry")]
pub use aplomb_telemetry as telemetry;
pub use problem::{
    Cause, DEPENDENCY_FAILED, DEPENDENCY_PAUSED, DEPENDENCY_SATURATED, DEPENDENCY_TIMEOUT,
    INTERNAL, ProblemEvent, ProblemFuture, ProblemLayer, Problems,
};
