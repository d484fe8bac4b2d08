//! Fallbacks that answer from a second service when the first one fails.
//!
//! When the breaker is open and the budget is empty, something is still said to the user. What, is a
//! decision that belongs to the operation: the number of a moment ago, a shorter page, a promise. Here
//! it is made beforehand, it is bounded in time and in number, and it is told: a fallback that nobody
//! notices hides the outage, and one that answers for a write hides what was done.
//!
//! ```
//! use aplomb_core::DegradedKind;
//! use aplomb_fallback::{FallbackLayer, Fixed};
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, service_fn};
//! # use bytes::Bytes; use http_body_util::Full;
//!
//! let limited = Response::new(r#"{"available":null,"degraded":true}"#.into());
//! let client = ServiceBuilder::new()
//!     .layer(FallbackLayer::new(Fixed::new(DegradedKind::Approximate, limited)))
//!     // deadline, retries, breaker and the rest go here
//!     .service(service_fn(|_: Request<Full<Bytes>>| async {
//!         Ok::<_, std::io::Error>(Response::new(Full::<Bytes>::from(r#"{"available":5}"#)))
//!     }));
//! # let _ = client;
//! ```
//!
//! # When it answers
//!
//! Under a typed [`Condition`](aplomb_core::Condition), recognised by core's words alone, wherever in
//! the chain of an error or in the extensions of a response they stand:
//!
//! | condition | seen by |
//! |---|---|
//! | `Open` | [`NotBefore`](aplomb_core::NotBefore): an open circuit, a pause that was asked for |
//! | `Bulkhead` | [`Saturated`](aplomb_core::Saturated) |
//! | `Budget` | [`NotRetried`](aplomb_core::NotRetried) for want of budget |
//! | `Deadline` | a timeout, [`DeadlineExceeded`](aplomb_core::DeadlineExceeded) |
//! | `Throttled` | 429, 503 with `Retry-After` |
//! | `Upstream` | every other failure of the dependency or the way to it |
//!
//! All of them by default; [`FallbackLayer::on`] chooses. A caller's own 4xx is none, nor is a key in
//! flight elsewhere.
//!
//! | request | may be answered by a fallback |
//! |---|---|
//! | GET, HEAD, OPTIONS, TRACE, or what names itself [`OperationClass::Read`](aplomb_core::OperationClass::Read) | under each condition |
//! | a write that provably was not acted on: never sent, never arrived, on no attempt | under each condition |
//! | a write that may have been acted on | by a [pending](FallbackLayer::pending) one, which says 202 and sees to it |
//!
//! [`rules`] states that as one pure function.
//!
//! # What a fallback is
//!
//! Any `tower` service of `http::Request<Missed>`: the original's method, URI, headers and extensions,
//! with [`Missed`] (why it is asked) in place of its body. reqwest keeps the extensions of its requests
//! to itself, so there they are empty. Ready ones:
//!
//! | fallback | answers with |
//! |---|---|
//! | [`Fixed`] | the same response every time |
//! | [`Computed`] | what a function makes of the request |
#![cfg_attr(
    feature = "last-good",
    doc = "| [`LastGood`] | the last good answer, within rules of freshness |"
)]
#![cfg_attr(
    feature = "last-good",
    doc = "| [`LastGood::refreshed_by`] | that, or a second source's, asked once for all who wait |"
)]
//! | [`OrElse`] | the first of two that has an answer |
//! | a client of another dependency | what that says: an empty body is sent |
//!
//! # Defaults
//!
//! | what | default |
//! |---|---|
//! | [conditions](FallbackLayer::on) | all |
//! | [time slice](FallbackLayer::slice), within what the caller still waits | 100 ms |
//! | [at a time](FallbackLayer::concurrent) | 64 |
//! | [wait](FallbackLayer::drain) for the rest of the response that it stands in for | 5 ms |
//! | [length of an answer](FallbackLayer::body_cap) | 64 KiB |
//!
//! # What comes back
//!
//! The fallback's answer, marked [`Degraded`](aplomb_core::Degraded) in its extensions unless it is as
//! good as the original, with `Cache-Control: no-store` unless it says otherwise. What comes out of the
//! cache has `Age` and `Cache-Status` (RFC 9211), and no `Warning`, which RFC 9111 gave up.
//!
//! A fallback that fails, is late, over its cap, or has [`Nothing`] to say leaves the *original*
//! response or error, whole. This layer adds no error of its own. Each time is an event.
//!
//! # Where it goes
//!
//! Outside deadline, retry and breaker, whose ends it answers for. So what it answers earns nothing in a
//! retry budget and has no vote in a breaker: those saw the failure. On a router it goes inside whatever
//! answers errors; a failure that a layer inside has made a response of is known by its status alone.
//!
//! # Cancellation
//!
//! Dropping the response future drops the call inside, or the fallback's, and gives its place back. A
//! write that was dropped evicts what it may have changed.

mod accept;
mod answer;
mod ask;
mod body;
mod conditions;
mod error;
mod event;
mod future;
mod keeper;
#[cfg(feature = "last-good")]
mod last_good;
mod layer;
mod missed;
mod ready;
mod rest;
pub mod rules;
mod service;

pub use answer::StandIn;
pub use body::FallbackBody;
pub use conditions::Conditions;
pub use error::Nothing;
pub use event::{FallbackEvent, Unanswered};
pub use future::ResponseFuture;
#[cfg(feature = "last-good")]
pub use last_good::{Evict, Exchange, LastGood, Refreshed, RefreshedFuture};
pub use layer::FallbackLayer;
pub use missed::Missed;
pub use ready::{Computed, Fixed, OrElse, OrElseFuture};
pub use service::Fallback;
