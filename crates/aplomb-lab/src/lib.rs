//! Shows what a retry policy does to ten thousand clients before production does.
//!
//! A policy that is right for one client can be wrong for ten thousand of them: what each holds in
//! reserve adds up, and a server that is behind only falls further behind. That cannot be seen in
//! a unit test, and in production it is seen too late. The lab runs the very machines that the
//! layers run ([`Rules`](aplomb_retry::Rules), [`Account`](aplomb_retry::Account),
//! [`Backoff`](aplomb_backoff::Backoff)) for every client, under virtual time.
//!
//! ```
//! use aplomb_lab::{Control, Experiment, Scenario};
//!
//! let mut outage = Scenario::named("fleet-size")?;
//! outage.keep(&["per-success", "aplomb"])?;
//! outage.set("clients", "1000")?;
//! outage.set("seeds", "2")?;
//!
//! let report = Experiment::new(outage)?.run(2, &Control::default());
//! let sends = |policy| report.figure(policy, "amplification_during")?.mean;
//! assert!(sends("aplomb") < sends("per-success"));
//! println!("{}", report.to_table());
//! # Ok::<(), aplomb_lab::BadScenario>(())
//! ```
//!
//! On the command line: `aplomb lab run fleet-size --clients 1000 --json -`, `aplomb lab list`,
//! `aplomb lab keys`, `aplomb lab figures`.
//!
//! # The model's order of things
//!
//! - Time is whole nanoseconds; events happen in order of (time, sequence), where what was
//!   scheduled first happens first. Every (client, [`Purpose`]) has a random stream of its own.
//!   The same model and seed give the same bytes on any machine and any number of threads.
//! - An attempt reaches the server one network delay after it is sent, and its answer takes
//!   another. Timeouts are per attempt and count from the send; the server is not told, so work
//!   whose caller is gone still occupies its worker (unless `shed` says otherwise).
//! - A budget that calls earn is paid before the call's first attempt; one that successes earn,
//!   when a call succeeds at its first try. A withdrawal happens when the attempt fails, before
//!   the wait. A bucket starts with `budget_initial`. A refused retry fails the call at once.
//! - The first retry waits within `base`; ceilings double from there up to `cap`.
//! - A fault is judged when the request arrives; `slow` when its service begins; in a `pause` all
//!   work at the server stands still. A fault lasts from `fault_start` on for `fault_seconds`.
//! - With `ownership` lowest, a service whose own retries came to their end tells its caller not to
//!   try again, as `x-should-retry: false` does.
//! - With `layers` above 1, each service calls the next with the same policy and a budget of its
//!   own; faults and workers are the last one's. Sends are counted at the last one, calls at the
//!   client.
//! - Recovered: the first second after the fault from which in five consecutive seconds at least
//!   95 % of the calls that began in them succeed. Seconds are whole, from 0.
//! - With `service=row` an attempt reads a row, then writes it; the write fails if somebody wrote
//!   in between, and costs its round trip all the same.
//!
//! # Keys
//!
//! Times are written `50ms`, `1.5s`, `2m`; a plain number is seconds. Shares are `0.2` or `20%`.
//! [`keys()`] lists what each key takes and means.
//!
//! | what | keys and defaults |
//! |---|---|
//! | calls | `clients` 100 · `arrivals_per_second` 1000 · `start` open · `arrivals_end` none · `horizon` 60s |
//! | retries | `attempts` 1 · `attempt_timeout` none · `total` none · `backoff` full · `base` 50ms · `cap` 5s · `timer_tick` 0s |
//! | budget | `budget` none · `ratio` 0.2 · `budget_cap` 10 · `budget_initial` none (the cap) · `budget_floor` 10 (tower's) |
//! | server | `service` workers · `layers` 1 · `ownership` every · `servers` 50 · `service_time` 40ms · `service_distribution` exponential · `queue_limit` unlimited · `queue_wait_limit` none · `discipline` fifo · `shed` none |
//! | network | `network_delay` 1ms · `network_deviation` 0s (for `service=row`) |
//! | fault | `fault` none · `fault_start` 0s · `fault_seconds` 0s · `fault_factor` 1 · `fault_ratio` 1 |
//! | runs | `seeds` 5 · `seed` 1 (seeds lie one apart: `seed=3 seeds=1` is the third of `seed=1`) |
//!
//! # A scenario of your own
//!
//! A TOML file with the same keys; give its path where a scenario's name goes.
//!
//! ```toml
//! name = "nightly"
//! about = "the batch job against a database that restarts"
//! show = ["amplification_during", "time_to_recover"]  # columns of the table; all when left out
//!
//! [set]                     # what all policies share
//! clients = 200
//! attempts = 4
//! attempt_timeout = "2s"
//! fault = "error"
//! fault_start = 10
//! fault_seconds = 20
//! horizon = 120
//!
//! [vary]                    # one key, optional: each policy runs with each value
//! arrivals_per_second = [100, 1000]
//!
//! [[policy]]                # what is compared: a name and any keys; one named `set` when left out
//! name = "ours"
//! budget = "aplomb"
//!
//! [[policy]]
//! name = "none"
//! attempts = 1
//! ```
//!
//! `--set` changes what is shared. A policy's own keys stand, except when the key is `budget` or
//! `backoff`: then one policy is left, named `set`. A key that varies no longer varies.
//!
//! # Results
//!
//! `--json` writes one object:
//!
//! | key | what |
//! |---|---|
//! | `scenario`, `about` | what was run |
//! | `partial` | whether it was ended early (Ctrl-C): seeds are missing |
//! | `events` | how many events all runs handled |
//! | `policies` | the names of what was compared, in order |
//! | `settings.POLICY.KEY` | every setting, as text |
//! | `runs.POLICY[]` | each run's `seed`, `events`, `reached` (virtual seconds), `complete` |
//! | `results.POLICY.FIGURE` | `{"mean", "ci95", "per_seed"}` |
//!
//! `ci95` is half the width of the 95 % confidence interval over seeds (Student's t), null with
//! one seed. A seed in which a figure has no value is null, and so is then the mean. Beside
//! `time_to_recover` stands its `horizon`: null means never before that. [`figures()`] lists the
//! figures. An interrupted run counts only for a policy that has no complete one.
//!
//! # Truth
//!
//! The lab's tests hold it against Erlang's formulas, the closed forms of sends per call, the bound
//! of a budget, the published runs of the AWS simulator, the original of `tower`'s budget, and,
//! step by step, the real tower stack on a paused runtime.

mod budget;
mod call;
mod caller;
mod chance;
mod client;
mod error;
mod estimate;
mod experiment;
mod figures;
mod keys;
mod measure;
mod model;
mod queue;
mod report;
mod scenario;
mod server;
mod serving;
mod simulation;
mod statistic;
mod tower;
mod units;
mod value;
mod watch;

pub use client::Purpose;
pub use error::{BadScenario, Impossible, WrongKey};
pub use estimate::{Estimate, TooLarge};
pub use experiment::Experiment;
pub use figures::{Figure, figures};
pub use keys::{Key, keys};
pub use measure::{Histogram, Measures, Second};
pub use model::Model;
pub use report::Report;
pub use scenario::{Case, Scenario};
pub use simulation::{Control, simulate};
pub use statistic::Statistic;
pub use watch::{Step, Watch, What};
