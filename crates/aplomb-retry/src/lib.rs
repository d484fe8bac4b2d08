//! Retries that spend a budget.
//!
//! A retry is extra pressure on a dependency that may already be struggling. One caller that sends
//! three times instead of once is patient; ten thousand that do it at once are an outage of their
//! own. So a retry here is bought: calls that succeed at the first try earn a little, a retry costs
//! about one, and the price rises while retries fail. In good times there is always enough; in an
//! outage it dries up within a call or two, whatever the number of clients.
//!
//! And it is never bought twice: a request is repeated only when repeating cannot do its work twice.
//!
//! ```
//! use aplomb_retry::{Budget, RetryLayer};
//! use tower::{ServiceBuilder, service_fn};
//! # use http::{Request, Response}; use http_body_util::Empty; use bytes::Bytes;
//! # type Nothing = Empty<Bytes>;
//!
//! let client = ServiceBuilder::new()
//!     .layer(RetryLayer::new(Budget::percent(20)).max_attempts(3))
//!     .service(service_fn(|_: Request<Nothing>| async {
//!         Ok::<_, std::io::Error>(Response::new(Nothing::new()))
//!     }));
//! # let _ = client;
//! ```
//!
//! # What may be repeated
//!
//! | request | repeated |
//! |---|---|
//! | GET, HEAD, OPTIONS, TRACE, PUT, DELETE | after a transient failure |
//! | POST, PATCH and others | only when provably unsent |
//! | the same with an `Idempotency-Key`, towards an operation [declared](RetryLayer::honours_keys) to honour keys | after a transient failure, with the same key and bytes |
//! | a gRPC call, towards a method named [repeatable](aplomb_core::grpc::repeatable) | after a transient failure |
//! | one marked [`Repeatable::Yes`](aplomb_core::Repeatable) | after a transient failure |
//! | one marked [`Repeatable::No`](aplomb_core::Repeatable) | only when provably unsent |
//! | anything whose body is over the cap, or a stream that failed | never |
//!
//! # Defaults
//!
//! | what | default |
//! |---|---|
//! | [attempts](RetryLayer::max_attempts) | 3 |
//! | [total](RetryLayer::total), looked at when an attempt fails | 3 s |
//! | [backoff](RetryLayer::backoff) | full jitter, 50 ms doubling to 5 s |
//! | [longest pushback obeyed](Rules::longest_pushback) | 60 s |
//! | [longest pause waited for](RetryLayer::longest_pause), of an open circuit or a paced dependency | 60 s |
//! | [body cap](RetryLayer::body_cap) | 64 KiB |
//! | [keys honoured](RetryLayer::honours_keys) | no |
//!
//! # What the budget does
//!
#![doc = include_str!("../figures/budget.md")]
//!
//! The price of a retry starts at 1. A retry that fails makes it sixteen times higher (four times,
//! if the retry before it succeeded), 16 at most; a call that succeeds at its first try halves it,
//! a retry that succeeds resets it. The table shows what that costs with independent failures, a
//! third of a per cent of the calls that could have been rescued, and what it buys.
//!
//! Hedging and adaptive throttling can spend the same budget: [`Budget::withdraw`] takes the price
//! of one more send, whoever asks.
//!
//! # Who owns the retries
//!
//! Three hops with three attempts each would send twenty-seven times at the bottom. Here each call
//! has one owner, the lowest hop that can retry safely, and whoever is above it stands down:
//!
//! - An outer layer stops when a layer inside gave up, and keeps what needs its own knowledge: a
//!   POST that the inner layer did not dare to repeat, it may.
//! - A server wears [`ExhaustionLayer`] around its handlers. When the retries below are exhausted, its
//!   failure says `x-should-retry: false`, which every layer obeys.
//! - [`RetryLayer::owner`] names the owner on the request, for proxies that pass it on to the same
//!   authority.
//! - Every send after the first carries its number in `x-envoy-attempt-count`, counted on over all
//!   layers and hops that repeated it. What a layer inside held back was not sent and is not counted.
//!
//! None of these headers can cause a retry; from a stranger they can only take some away
//! (`tests/what_strangers_write.rs`).
//! Measured over real HTTP with the last of three services down (`tests/tests/hops.rs`): at most 1.25
//! sends at the bottom for each call at the top with budgets, exactly three without.
//!
//! # What comes back
//!
//! The first response or error that was not retried, as it came. Why it was final travels with it
//! as [`NotRetried`](aplomb_core::NotRetried), with the number of the last send: in the response's
//! extensions, or in the error's chain. A full bulkhead's error says so too. When the inner service breaks before it is ready for the next attempt, its own error comes
//! back. The time per attempt is not this layer's: put `aplomb-deadline` inside it.
//!
//! # Cancellation
//!
//! Dropping the response future drops the attempt or the wait that it is in. A withdrawal whose
//! attempt was not sent yet is returned to the budget.

mod budget;
mod budgets;
mod event;
mod exhaustion;
mod future;
mod layer;
mod notes;
mod rules;
mod running;
mod service;
mod sync;
mod withdraw;

pub use budget::{Account, Budget, Cost, Sent, Terms, Withdrawal};
pub use budgets::{Budgets, Purse};
pub use event::RetryEvent;
pub use exhaustion::{Exhaustion, ExhaustionFuture, ExhaustionLayer};
pub use future::ResponseFuture;
pub use layer::RetryLayer;
pub use rules::{Again, BodyIs, Progress, Rules};
pub use service::Retry;
