//! Stops calling what keeps failing, until a probe succeeds.
//!
//! A dependency that is down answers nobody, yet every call to it takes a connection, a task, the
//! caller's patience; and what it needs to come back is to be left alone. A circuit breaker notices,
//! rejects calls at once for a while, lets one through to see, and opens the way again step by step.
//!
//! ```
//! use aplomb_circuit_breaker::CircuitBreakerLayer;
//! use tower::{ServiceBuilder, service_fn};
//! # use http::{Request, Response};
//!
//! let client = ServiceBuilder::new()
//!     .layer(CircuitBreakerLayer::default())
//!     .service(service_fn(|_: Request<()>| async {
//!         Ok::<_, std::io::Error>(Response::new(()))
//!     }));
//! # let _ = client;
//! ```
//!
//! # When it opens
//!
//! As soon as any of these is met. `HttpClassifier`, or the [classifier](CircuitBreakerLayer::classify)
//! given instead, says what failed; throttling is a failure, a caller's own 4xx, a key in flight
//! elsewhere and what a layer inside held back have no vote.
//!
//! | rule | default | source |
//! |---|---|---|
//! | [share of calls that failed](Trip::failure_ratio) | half | Hystrix, *Configuration* |
//! | of [at least](Trip::at_least) | 20 calls | the same |
//! | [in a window](Trip::over) of ten exact buckets | 10 s | the same |
//! | [never reached the server, in a row](Trip::unsent_in_a_row) | 5 | Envoy, outlier detection |
//! | [failed in whatever way, in a row](Trip::failures_in_a_row) | 10 | a client with one call a second never has 20 in its window |
//! | [share of calls that were slow](Trip::slow_ratio) | no rule | |
//! | [slow is](Trip::slow_after) | 1 s | the limit of an uninterrupted train of thought (Nielsen, *Usability Engineering*, 1993) |
//!
//! A call that its caller gives up has failed if it had run for longer than *slow*; earlier it has
//! no vote. A panic is a failure.
//!
//! # What happens then
//!
//! | state | calls | until |
//! |---|---|---|
//! | closed | all go out | a rule is met |
//! | open | none | the open time is over: equal jitter, 1 s doubling to 10 s while probes fail (the lab, `probe-storm`); longer when the server asked for it |
//! | half-open | one, then 2, 4, 8, 16 as they succeed | 31 succeeded: closed. The first failed, or half of all, or too many in a row: open for longer |
//!
//! The open time does not jump back after a recovery: it halves with every window without an outage.
//! Whatever becomes of a probe, another follows it: a permit is a guard that is given back when its
//! call is dropped, a probe that hangs keeps its place for no longer than its
//! [lease](CircuitBreakerLayer::lease) (10 s), and what was sent before the last change of state
//! changes nothing when it ends.
//!
//! A call votes with the head of its answer. What a body does later, for instance a gRPC stream whose
//! status stands at its end, is not seen.
//!
//! # What a caller sees
//!
//! [`CircuitOpen`], which says when to come back and has a [`NotBefore`](aplomb_core::NotBefore) as
//! its cause. A retry above knows by it that nothing was sent: it waits for nothing and pays nothing
//! when its time ends before the circuit will probe, else it waits for the probe and pays nothing. A
//! pacing layer above takes no offence. On a server the problem layer answers 503 with a jittered
//! `Retry-After`.
//!
//! # Keys
//!
//! One dead shard must not take seven healthy ones with it. [`per_authority`], or a [`key`] of one's
//! own, gives each its circuit; at most [1,024](CircuitBreakerLayer::keys_max) are kept, those used
//! last. [`with_parent`] puts one above them for the case that nearly all of them fail.
//!
//! # Operators
//!
//! A [`Handle`] holds a circuit open or closed, only observes, tells how it stands; for all calls or
//! for one key. Every change of state is a [`BreakerEvent`].
//!
//! # What it costs
//!
//! Closed, a call reads one word, the clock (once when it is answered at once or
//! [never slow](Trip::never_slow), else twice), and adds one to a bucket of its own thread's: no lock,
//! no allocation, whatever the traffic. A rejection costs the allocation of its error. The pure
//! machine without layers is [`Breaker`].
//!
//! [`per_authority`]: CircuitBreakerLayer::per_authority
//! [`key`]: CircuitBreakerLayer::key
//! [`with_parent`]: CircuitBreakerLayer::with_parent

mod breaker;
mod cells;
mod change;
mod circuits;
mod error;
mod event;
mod future;
mod guard;
mod handle;
mod held;
mod key;
mod layer;
mod runs;
mod service;
mod settings;
mod settle;
mod state;
mod sync;
mod ticks;
mod trip;
mod vote;
mod window;

pub use breaker::{Breaker, Permit};
pub use change::{Change, Hold, Snapshot};
pub use error::CircuitOpen;
pub use event::{BreakerEvent, Circuit};
pub use future::ResponseFuture;
pub use handle::Handle;
pub use key::{Key, PerAuthority, Together};
pub use layer::CircuitBreakerLayer;
pub use service::CircuitBreaker;
pub use settings::Settings;
pub use state::State;
pub use trip::{Because, Trip};
pub use vote::Ended;
