//! Policies that are designed, written down once.
//!
//! The most dangerous retry policy is the one nobody designed. A service says in one file what each
//! of its operations may do when it fails; the same file builds its layers, is checked by a lint,
//! and is what the lab simulates. Before a retry is allowed, six questions have an answer:
//!
//! 1. Is the failure transient? (`transient`)
//! 2. Is the operation safe to repeat? (`key`, `repeat`)
//! 3. Who owns the retry? (`owner`)
//! 4. What is the policy? (`attempts`, `attempt_timeout`, `total`, `backoff`, and the dependency's
//!    `budget`)
//! 5. What happens when retries fail? (`when_exhausted`)
//! 6. How is it observed? (`observe`)
//!
//! A policy that leaves one open does not build, and the error names the question. The `class` of an
//! operation answers them with values that pass the lint, to be [refined](Policy::preset).
//!
//! ```
//! use aplomb::policy::{PolicyFile, lint};
//! use http::Request;
//!
//! let file = PolicyFile::parse("aplomb.toml", r#"
//!     version = 1
//!
//!     [service]
//!     name = "order-api"
//!     fleet = 40                      # processes; the lint multiplies by it
//!     calls_per_second = 600          # of all processes together
//!
//!     [dependency.inventory]
//!     authority = "inventory.internal:7001"
//!     budget = { ratio = 0.2 }
//!     capacity_per_second = 800
//!     breaker = { failure_ratio = 0.5, window = "10s", minimum_calls = 20 }
//!
//!     [dependency.inventory.operation.reserve]
//!     class = "keyed-write"
//!     match = "POST /inventory/reservations"
//!     key = { from = "order line", kept = "24h" }
//!     total = "2s"
//! "#)?;
//! assert!(lint(&file).is_empty());
//!
//! let request = Request::post("http://inventory.internal:7001/inventory/reservations").body(())?;
//! let (dependency, operation) = file.find(&request).expect("an operation matches it");
//! assert_eq!((dependency.name(), operation.name()), ("inventory", "reserve"));
//! assert_eq!(operation.policy().attempts().get(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What can be written
//!
//! | section | keys |
//! |---|---|
//! | `[service]` | `name`; `fleet` (1), `calls_per_second`, `layers` |
//! | `[dependency.NAME]` | `authority`, `budget` { `ratio`, `cap` (10), `initial` (the cap) }, `capacity_per_second`, `calls_per_second`, `hops` [{ `name`, `attempts`, `budget` { `ratio` } }], `breaker` { `failure_ratio`, `window`, `minimum_calls`, `unsent_in_a_row`, `failures_in_a_row`, `slow_after`, `slow_ratio`, `open_for`, `open_for_at_most` }, `in_flight` { `limit`, `wait` }, `layers` |
//! | `[dependency.NAME.operation.NAME]` | `class`, `match`, `calls_per_second`, `transient` (standard, grpc, unsent), `key` { `from`, `kept` }, `repeat` (by-method, with-key, always, never), `owner`, `attempts`, `attempt_timeout`, `total`, `backoff` { `jitter`, `base`, `cap` }, `when_paused` (wait, fail), `when_exhausted`, `observe` { `alert` }, `mode` (enforce, observe) |
//!
//! `when_exhausted` is a word or a table with the word as its `answer`: `fail`, `pending`
//! { `horizon` }, `last-good` { `fresh_for`, `stale_for` }, `degraded`, `call` { `dependency`,
//! `time` }, `dead-letter` { `redrive` }, `drop`. Times are written with their unit: us, ms, s, m,
//! h, d. An `owner` that is the service's own name retries here; any other name retries elsewhere.
//! Rates are of all processes together; what a dependency or operation does not declare is the
//! service's. How large all this may be is told in [`bounds`].
//!
//! # Errors
//!
//! All that is wrong with a file is told [at once](Errors), each with file, line, column and mend:
//!
//! ```
//! # use aplomb::policy::PolicyFile;
//! let errors = PolicyFile::parse("aplomb.toml", "\
//! version = 1
//! [service]
//! name = 'shop'
//! [dependency.stock.operation.look]
//! class = 'read'
//! atempts = 2
//! total = '800'
//! ").unwrap_err();
//! assert_eq!(errors.to_string().lines().step_by(2).collect::<Vec<_>>(), [
//!     "aplomb.toml:6:1: dependency.stock.operation.look has no key `atempts`; the nearest is \
//!      `attempts`",
//!     "aplomb.toml:7:9: `dependency.stock.operation.look.total` cannot be `800`: a time without \
//!      its unit",
//! ]);
//! ```
//!
//! # The lint
//!
//! [`lint`] tells what can be built and should not be: [fourteen findings](Code), each with a stable
//! code, the numbers and the mend. [`Worst`] is the arithmetic behind them, and [`sheets`] shows it
//! for each operation beside its six answers. `aplomb lint` is all of that as a command.
//!
//! # Reloading
//!
//! [`Reload`] tells what a new text changes, and that the state of a dependency is kept under its
//! name; [`Watcher`] notices the new text on disk. What is no policy file changes nothing.

mod answers;
pub mod bounds;
mod builder;
mod dependency;
mod duration;
mod error;
mod file;
mod index;
mod layers;
mod lint;
mod nearest;
mod operation;
mod position;
mod preset;
mod question;
mod read;
mod reload;
mod service;
pub mod sheet;
mod value;
mod watch;
mod write;

pub use answers::{
    Alert, BudgetTerms, Key, Mode, Owner, Pace, Repeat, Transient, Waits, WhenExhausted, WhenPaused,
};
pub use builder::PolicyBuilder;
pub use dependency::{BreakerTerms, Dependency, DependencyTerms, Hop, InFlight};
pub use duration::written as time_in_words;
pub use error::{Errors, Fault};
pub use file::PolicyFile;
pub use index::Conflict;
pub use layers::{ClientLayer, ServerLayer};
pub use lint::{Code, Finding, Severity, WIDTH, Worst, human, lint};
pub use operation::{Operation, OperationName, RequestPattern};
pub use position::Position;
pub use question::{Open, Question, Unanswered};
pub use reload::{Change, Reload};
pub use service::Service;
pub use sheet::{Sheet, sheets};
pub use value::Policy;
pub use watch::{NotLoaded, Seen, Watcher};
