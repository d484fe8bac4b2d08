//! Checks that a layer honours tower's contract.
//!
//! Most of what goes wrong in a layer goes wrong where nobody looks: a clone that was never polled
//! ready, a permit that a dropped future took along, state that a router's second application of
//! the layer silently lost. None of it shows in a test that sends one request and reads one
//! answer. [`Contract`] puts a layer around a strict service, the [`Probe`], drives both through
//! every [`Clause`] of the contract, and names the clauses that it breaks.
//!
//! ```
//! use aplomb_testkit::Contract;
//! use tower::limit::ConcurrencyLimitLayer;
//!
//! // As a test: `#[test] fn a_concurrency_limit_honours_the_contract() { .. }`
//! Contract::new("concurrency limit", || ConcurrencyLimitLayer::new(100)).check();
//! ```
//!
//! # Running it
//!
//! [`check`](Contract::check) judges all clauses, [`check_only`](Contract::check_only) one. Both are
//! plain functions: each clause gets a new layer, a new probe and a runtime of its own with a paused
//! clock, so that nothing waits in real time and a deadlock is found at once instead of by a
//! timeout. They panic inside another runtime, so call them from a `#[test]`.
//!
//! # What a layer may say of itself
//!
//! | option | for a layer that |
//! |---|---|
//! | [`detached`](Contract::detached) | lets the work inside finish when its caller hangs up |
//! | [`answers_panics`](Contract::answers_panics) | turns a panic into an answer or an error |
//! | [`answers_errors`](Contract::answers_errors) | turns an error into a 5xx answer |
//! | [`requests`](Contract::requests) | needs requests of a certain kind |
//! | [`refuses`](Contract::refuses) | answers some requests itself |
//! | [`shares_state`](Contract::shares_state) | has state which all its applications share |
//! | [`except`](Contract::except) | breaks a clause on purpose, for a reason |
//!
//! # The probe alone
//!
//! [`Probe`] is of use in other tests too: it follows a script, counts what happens to it, and
//! never forgives.

mod act;
mod apply;
#[cfg(feature = "blackbox")]
pub mod blackbox;
mod cancel;
mod clause;
mod contract;
mod crowd;
mod panics;
mod paths;
mod probe;
mod readiness;
mod router;
#[cfg(all(unix, feature = "servers"))]
pub mod servers;
mod service;
mod sharing;
pub mod store;
mod trial;

pub use act::{Act, ProbeError, Readiness};
pub use apply::{Inner, Outer, Request, Response};
pub use clause::{Breach, Clause};
pub use contract::Contract;
pub use probe::{Counts, Probe, Violation};
pub use service::{ProbeFuture, ProbeService};
pub use sharing::Applied;
