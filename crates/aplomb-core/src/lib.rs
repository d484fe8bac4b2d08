//! The words that every aplomb layer shares.
//!
//! A retry, a breaker, a fallback and a metric must agree on what "failed" means, which attempt
//! this is, when time is up and whose dice were rolled. They agree here: one classifier, one
//! clock, one source of randomness, one way to find a cause in a chain of errors. Layers are
//! strangers to each other; what one must tell another travels as a type of this crate.
//!
//! ```
//! use aplomb_core::{Call, Classify, FailureKind, HttpClassifier, Outcome};
//!
//! let call = Call::of(&http::Method::POST, &http::HeaderMap::new());
//! let response = http::Response::builder().status(503).header("retry-after", "2").body(())?;
//!
//! let Outcome::Failure(failure) = HttpClassifier.classify(call, Ok(&response)) else { panic!() };
//! assert_eq!(failure.kind, FailureKind::Throttled);
//! # Ok::<(), http::Error>(())
//! ```
//!
//! | feature | what it adds |
//! |---|---|
//! | `reqwest` | [`Request`] and [`Replay`] for `reqwest::Request`, its errors classified |
//! | `hyper` | the errors of hyper and hyper-util classified |
//! | `h2` | REFUSED_STREAM and GOAWAY recognised as *unsent* |
//! | `axum` | [`RouteTemplate`] read from axum's `MatchedPath`, its bodies sent again |

mod answer;
mod attempt;
mod body;
mod call;
mod cause;
mod class;
mod classify;
mod deadline;
mod degraded;
mod dice;
pub mod grpc;
mod observe;
mod outcome;
pub mod owner;
mod paced;
mod permit;
mod principal;
pub mod problem;
mod ratio;
mod record;
mod refusal;
mod repeatable;
mod request;
pub mod retry_after;
mod saturated;
mod tee;
pub mod time;
#[cfg(any(feature = "reqwest", feature = "hyper"))]
pub mod transport;
mod withdraw;

pub use answer::Answer;
pub use attempt::{Attempt, Attempts};
pub use body::ReplayBody;
pub use call::{Call, IDEMPOTENCY_KEY, Safety};
pub use cause::{BoxError, cause};
pub use class::OperationClass;
pub use classify::{Classify, HttpClassifier};
pub use deadline::{Deadline, DeadlineExceeded, EXPECTED_TIMEOUT, GRPC_TIMEOUT, Scope};
pub use degraded::{Condition, Degraded, DegradedKind};
pub use dice::{Dice, Rng, Rolls};
pub use grpc::GrpcClassifier;
pub use observe::Observe;
pub use outcome::{Failure, FailureKind, Outcome, Pushback};
pub use paced::NotBefore;
pub use permit::{HeldPermit, Lender, Permit};
pub use principal::{Principal, RouteTemplate};
pub use problem::Problem;
pub use ratio::Ratio;
pub use record::{CallRecord, Decision, KeepRecord};
pub use refusal::{NotRetried, Reason};
pub use repeatable::Repeatable;
pub use request::{Replay, Request};
pub use saturated::Saturated;
#[cfg(feature = "reqwest")]
pub use tee::KeptReqwest;
pub use tee::{KeptBody, Replayable, Superseded};
pub use withdraw::Withdraw;
