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
//! | module | what it holds |
//! |---|---|
//! | [`retry`] | re-attempts that spend a budget |
//! | [`backoff`] | delay schedules; pacing of a dependency that pushed back |
//! | [`deadline`] | calls that end in time, on both sides |
//! | [`idempotency`] | each key runs once |
//! | [`chaos`] (feature `chaos`) | faults on purpose |
//! | [`core`] | the words that they share |
//!
//! # Which layer goes where
//!
//! Outermost first. Around a client: deadline (total), retry, backoff, deadline (attempt),
//! transport. On a server: problems, authentication, deadline (inherited), idempotency, handler.
//!
#![doc = include_str!("../figures/matrix.md")]
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `reqwest` | the layers fit `reqwest::Client`, whose errors are told apart |
//! | `hyper` | errors of hyper clients are told apart |
//! | `h2` | HTTP/2 resets are told apart |
//! | `axum` | axum's route templates; claims and answers in its handlers |
//! | `chaos` | [`chaos`] |

mod problem;

pub use aplomb_backoff as backoff;
pub use aplomb_backoff::{Backoff, BackoffLayer};
#[cfg(feature = "chaos")]
pub use aplomb_chaos as chaos;
pub use aplomb_core as core;
pub use aplomb_deadline as deadline;
pub use aplomb_deadline::DeadlineLayer;
pub use aplomb_idempotency as idempotency;
pub use aplomb_idempotency::IdempotencyLayer;
pub use aplomb_retry as retry;
pub use aplomb_retry::{Budget, Budgets, RetryLayer};
pub use problem::{
    Cause, DEPENDENCY_FAILED, DEPENDENCY_PAUSED, DEPENDENCY_TIMEOUT, INTERNAL, ProblemEvent,
    ProblemFuture, ProblemLayer, Problems,
};
