//! Deadlines that end a call when its time is up.
//!
//! Work that nobody waits for any more is pure load. A deadline is set once, where the wait
//! begins; every layer inside sees what is left of it, the next hop is told, and it may only
//! shrink on the way.
//!
//! ```
//! use std::time::Duration;
//! use aplomb_deadline::DeadlineLayer;
//! use tower::{ServiceBuilder, service_fn};
//! # use http::{Request, Response};
//!
//! let client = ServiceBuilder::new()
//!     .layer(DeadlineLayer::total(Duration::from_secs(3)))
//!     // the retries go here
//!     .layer(DeadlineLayer::attempt(Duration::from_millis(500)))
//!     .service(service_fn(|_: Request<()>| async {
//!         Ok::<_, std::io::Error>(Response::new(()))
//!     }));
//! # let _ = client;
//! ```
//!
//! | layer | where | what it does |
//! |---|---|---|
//! | [`DeadlineLayer::total`] | client, outside the retries | bounds the whole call |
//! | [`DeadlineLayer::attempt`] | client, inside the retries | bounds one attempt, tells the next hop |
//! | [`DeadlineLayer::inherit`] | server, outside the work | reads what the caller has left |
//!
//! # On the wire
//!
//! What is left, never a time of day, since two machines do not agree on it: milliseconds in
//! `x-envoy-expected-rq-timeout-ms`, for gRPC `grpc-timeout`. Both are read, and the shorter counts.
//! A value nobody can read is no deadline.
//!
//! # Errors
//!
//! Around a client, [`DeadlineExceeded`](aplomb_core::DeadlineExceeded): find it with
//! [`cause`](aplomb_core::cause). On a server an expired request is answered with 504 and a problem
//! of type [`EXPIRED`], without running the handler when it came too late.
//!
//! # Cancellation
//!
//! When time is up the inner future is dropped. Whether the other side acted is then unknown.
//!
//! A deadline bounds the wait for the answer's head. A body that is read afterwards takes its own
//! time: bound that where it is read, by [`Deadline::remaining`](aplomb_core::Deadline::remaining).

mod event;
mod future;
mod layer;
mod service;

pub use event::DeadlineEvent;
pub use future::{InheritFuture, ResponseFuture};
pub use layer::{DeadlineLayer, EXPIRED, InheritLayer};
pub use service::{Inherit, WithDeadline};
