//! Delay schedules whose jitter survives the cap.
//!
//! Clients that fail together come back together unless chance spreads them. Several popular
//! schedules apply their cap after the jitter, so that every capped delay is the same again: the
//! longer an outage lasts, the more its callers march in step. Here the cap bounds what the dice
//! are thrown over, and every call throws its own.
//!
//! ```
//! use std::time::Duration;
//! use aplomb_backoff::Backoff;
//! use aplomb_core::Dice;
//!
//! let backoff = Backoff::full(Duration::from_millis(50), Duration::from_secs(5));
//! let mut rng = Dice::seeded(7).roll();
//!
//! let mut delays = backoff.delays();
//! assert!(delays.next(&mut rng) <= Duration::from_millis(50));
//! assert!(delays.next(&mut rng) <= Duration::from_millis(100));
//! ```
//!
//! | schedule | delay before retry *n*, where *c* = min(cap, base · 2ⁿ⁻¹) |
//! |---|---|
//! | [`full`](Backoff::full), the default | anything from 0 to *c* |
//! | [`equal`](Backoff::equal) | *c*/2, with anything up to *c*/2 added |
//! | [`decorrelated`](Backoff::decorrelated) | from base to min(cap, 3 · the delay before) |
//! | [`exponential`](Backoff::exponential) | exactly *c*: no jitter, for comparison only |
//!
//! Defaults: full jitter, base 50 ms, cap 5 s ([`interactive`](Backoff::interactive)) or 60 s
//! ([`background`](Backoff::background)). Full jitter finishes contended work with the fewest
//! calls (AWS Architecture Blog, *Exponential Backoff And Jitter*, 2015).
//!
//! # Pacing a dependency
//!
//! A delay between the attempts of one call does not help a dependency that asked everybody to go
//! away. [`BackoffLayer`] keeps one instant, "not before", that all callers share: it is set by a
//! pushback or by failures in a row, and whoever calls earlier waits for it if its deadline allows.
//! Else it fails at once with [`NotBefore`](aplomb_core::NotBefore), which says what is left.
//!
//! Waits are instants: a retry that slept until the dependency may be asked again finds the instant
//! passed, so its wait and this one never add up.
//!
//! ```
//! use aplomb_backoff::{Backoff, BackoffLayer};
//!
//! let layer = BackoffLayer::new(Backoff::interactive()).after_failures(3);
//! # let _ = layer;
//! ```
//!
//! | what | default |
//! |---|---|
//! | [failures in a row](BackoffLayer::after_failures) that begin a pause; as many again, a longer one | 5 |
//! | [longest wait](BackoffLayer::longest_wait) of a call without a deadline | 5 s |
//! | [longest wait](BackoffLayer::wait_at_most) of any call | what its deadline allows |
//! | [longest pause](BackoffLayer::longest_pause) that a pushback can ask for | 60 s |
//! | [calls that may wait](BackoffLayer::waiters_max) at a time | 1,024 |
//!
//! Dropping a call that waits sends nothing and leaves nothing behind.

mod event;
mod future;
mod layer;
mod pace;
mod schedule;
mod service;
mod sync;

pub use event::BackoffEvent;
pub use future::ResponseFuture;
pub use layer::BackoffLayer;
pub use pace::{Generation, Pace, Ticks};
pub use schedule::{Backoff, Delays, Jitter};
pub use service::Paced;
