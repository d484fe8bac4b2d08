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

mod schedule;

pub use schedule::{Backoff, Delays, Jitter};
