//! Admission that takes on no more than can be done in time.
//!
//! A server that lets every request wait serves, once it is behind, only requests whose callers have
//! gone: each second of work is a second late, the callers send again, and it stays that way when the
//! load is long back to normal. No client can end that. A queue that is bounded by how long anybody
//! would wait does.
//!
//! ```
//! use aplomb_admission::AdmissionLayer;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, service_fn};
//!
//! let admission = AdmissionLayer::new(64);
//! let handle = admission.handle();
//! let service = ServiceBuilder::new()
//!     .layer(admission)
//!     .service(service_fn(|_: Request<()>| async {
//!         Ok::<_, std::convert::Infallible>(Response::new(Full::<bytes::Bytes>::from("stock")))
//!     }));
//! assert_eq!(handle.snapshot().running, 0);
//! handle.set_limit(128);
//! # let _ = service;
//! ```
//!
//! | what | default |
//! |---|---|
//! | [longest wait](AdmissionLayer::longest_wait) for a place | 100 ms |
//! | [calls that may wait](AdmissionLayer::waiters_max) at a time | 1,024 |
//! | [time](AdmissionLayer::least_useful) that a deadline must leave for the work | 1 ms |
//! | [`Retry-After`](AdmissionLayer::retry_after), before jitter | 1 s |
//! | [share of calls](AdmissionLayer::retries) with leave to come again after a rejection | 3 % |
//!
//! # Who waits, who runs, who is sent away
//!
//! While it is calm, first come, first served. Once the queue has stood for as long as anybody may
//! wait, that is an overload, and until it is empty:
//!
//! - the newest runs first, since it has its whole time before it (Maurer, *Fail at Scale*, ACM Queue
//!   13(8), 2015; the standing queue as the sign is that of *Controlling Queue Delay*, Nichols and
//!   Jacobson, ACM Queue 10(5), 2012);
//! - the more important [class](aplomb_core::OperationClass) runs first: writes with a key, other
//!   writes, reads, deferred work, best effort. So reservations outlive analytics;
//! - within a class first attempts run before re-attempts (`x-envoy-attempt-count`);
//! - whoever would stand behind somebody more important is sent away at once.
//!
//! At any time, work whose deadline has passed or leaves too little time is dropped before it runs,
//! and a full queue sends away the least important, or whoever came last. Class and attempt are what
//! a request says: a caller that is not trusted can claim a key or hide an attempt, and gains the
//! place of an honest first attempt by it, never more than the limit.
//!
//! # Retries against an overloaded server
//!
//! A retry budget in each of ten thousand clients is ten thousand budgets. The server has one for
//! all: of the first attempts that find no place it earns leave for three in a hundred to come again,
//! and every other rejection says `x-should-retry: false`, as does every rejection of a re-attempt
//! (Google, *Site Reliability Engineering*, chapter 21, "overloaded; don't retry").
//!
//! Measured with a server for 1,000 calls a second, an exponential service time of 100 ms, 3,000 calls
//! a second and a timeout of 500 ms (`tests/overload.rs`, virtual time):
//!
//! | clients | sends a call, with and without | goodput in parts of capacity, with and without |
//! |---|---|---|
//! | no retries | 1.00 / 1.00 | 0.99 / 0.00 |
//! | 10,000, each with a budget of its own | 1.03 / 1.13 | 0.99 / 0.00 |
//! | 10,000, three attempts, no budget | 1.03 / 2.93 | 0.99 / 0.00 |
//!
//! # What a rejected call gets
//!
//! A 503 of a stable [problem type](problems) with a jittered `Retry-After`, and the [`Rejection`] in
//! the response's extensions. Nothing was done.
//!
//! # Permits
//!
//! A call holds its permit until the head of its answer is there or its future is dropped. The body is
//! sent at its reader's pace and holds none, or slow readers would be an outage; a handler whose work
//! is the body takes the permit into it. Work that goes on after its caller hung up takes it along,
//! and work that only waits releases it: see [`aplomb_core::HeldPermit`], which the request carries.
//!
//! # Around a client
//!
//! [`AdmissionLayer::outbound`] is the same machine as a bulkhead: a dependency that hangs holds up as
//! many calls as its limit allows, and what needs another dependency never waits behind them. Goes
//! inside the retries, with a layer value for each dependency. The wait is bounded by
//! [`longest_wait`](AdmissionLayer::longest_wait) and by the deadline.
//!
//! ```
//! use aplomb_admission::AdmissionLayer;
//! use aplomb_core::{Saturated, cause};
//! # use http::{Request, Response};
//! # use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let inventory = ServiceBuilder::new()
//!     .layer(AdmissionLayer::outbound(16))
//!     .service(service_fn(|_: Request<()>| async {
//!         Ok::<_, std::io::Error>(Response::new(()))
//!     }));
//! match inventory.oneshot(Request::default()).await {
//!     Ok(response) => assert_eq!(response.status(), 200),
//!     Err(error) if cause::<Saturated>(&*error).is_some() => println!("nothing was sent"),
//!     Err(error) => println!("{error}"),
//! }
//! # }
//! ```
//!
//! # Errors
//!
//! The server's side adds none: it answers. The client's side fails with
//! [`Saturated`](aplomb_core::Saturated), which to a classifier is neutral: it has no vote on the
//! dependency and is not retried. A call that was late when it came fails with
//! [`DeadlineExceeded`](aplomb_core::DeadlineExceeded), unsent.
//!
//! # Cancellation
//!
//! A call that is dropped while it waits leaves the queue; if it had just been granted a permit, the
//! next one gets it. A call that is dropped while it runs gives its permit back, unless the work
//! inside took it.
//!
//! # Observing only
//!
//! [`observe_only`](AdmissionLayer::observe_only) decides, tells the observer what it would have done,
//! and lets every call run. [`AdmissionHandle::set_observe_only`] turns that on and off at run time.

mod allowance;
mod desk;
mod event;
mod future;
mod gate;
mod handle;
mod job;
mod layer;
mod limit;
mod line;
pub mod problems;
mod rejection;
mod service;
mod sync;
mod work;

pub use event::AdmissionEvent;
pub use future::{OutboundFuture, ResponseFuture};
pub use gate::{Arrival, Gate, Snapshot};
pub use handle::AdmissionHandle;
pub use job::Job;
pub use layer::{AdmissionLayer, Inbound, Outbound};
pub use limit::Limit;
pub use line::{Terms, Ticket, Verdict};
pub use rejection::{RejectReason, Rejection};
pub use service::{Admission, Bulkhead};
