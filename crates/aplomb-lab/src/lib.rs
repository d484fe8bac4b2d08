//! Shows what a retry policy does to ten thousand clients before production does.
//!
//! A policy that is right for one client can be wrong for ten thousand of them: what each holds in
//! reserve adds up, and a server that is behind only falls further behind. That cannot be seen in
//! a unit test, and in production it is seen too late. The lab runs the very machines that the
//! layers run ([`Rules`](aplomb_retry::Rules), [`Account`](aplomb_retry::Account),
//! [`Backoff`](aplomb_backoff::Backoff), [`Breaker`](aplomb_circuit_breaker::Breaker),
//! [`Gate`](aplomb_admission::Gate)) for every client and server, under virtual time.
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
//! On the command line: `aplomb lab run article --report out.html`, `aplomb lab sweep article` for
//! phase maps, `aplomb lab run article --policy aplomb.toml --operation inventory.reserve` for a
//! service's own policy, `aplomb lab list`, `aplomb lab keys`, `aplomb lab figures`.
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
//! - A fault is judged when the request arrives; `slow` when its service begins; `lost` when it ends.
//!   In a `pause` all work at the server stands still. In a `restart` what the server held is lost
//!   without a word and what comes is refused; it is back cold. A fault lasts from `fault_start` on
//!   for `fault_seconds`.
//! - An attempt asks its client's circuit before it is sent, and tells it how it ended. What an open
//!   circuit holds back is no send; it costs aplomb's budget nothing, and the call waits until the
//!   circuit may be asked again, if its time allows (`when_paused`).
//! - A second send (`hedge_after`) belongs to the same attempt: the first good answer counts, and the
//!   attempt has failed when both have, or when its time is up. Each call earns `hedge_ratio` of one;
//!   a client holds ten at most and none at first.
//! - A call belongs to one shard, and so do its retries. `servers` are each shard's own.
//! - With `admission`, a request finds a place, waits or is rejected as `aplomb-admission` says, with
//!   its `Retry-After` and its leave to come again; `queue_wait_limit` and `queue_limit` take the place
//!   of its defaults. In a pause nobody is at the door.
//! - With `keys=replay` a request whose call was done is answered at once. Two that are at work at the
//!   same time act once.
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
//! | retries | `attempts` 1 · `attempt_timeout` none · `total` none · `backoff` full · `base` 50ms · `cap` 5s · `heed` spread · `timer_tick` 0s |
//! | budget | `budget` none · `ratio` 0.2 · `budget_cap` 10 · `budget_initial` none (the cap) · `budget_floor` 10 (tower's, finagle's) |
//! | second sends | `hedge_after` none · `hedge_ratio` 0.05 |
//! | breaker | `breaker` none · `breaker_ratio` 0.5 · `breaker_calls` 20 · `breaker_window` 10s · `breaker_row` 10 · `breaker_open` 1s · `breaker_cap` 10s · `breaker_jitter` equal · `when_paused` wait |
//! | server | `service` workers · `layers` 1 · `ownership` every · `shards` 1 · `servers` 50 · `service_time` 40ms · `service_distribution` exponential · `queue_limit` unlimited · `queue_wait_limit` none · `discipline` fifo · `shed` none · `admission` none · `keys` none |
//! | network | `network_delay` 1ms · `network_deviation` 0s (for `service=row`) |
//! | fault | `fault` none · `fault_start` 0s · `fault_seconds` 0s · `fault_factor` 1 · `fault_ratio` 1 · `retry_after` none |
//! | runs | `seeds` 5 · `seed` 1 (seeds lie one apart: `seed=3 seeds=1` is the third of `seed=1`) |
//!
//! # Budgets of others
//!
//! | `budget` | is | source |
//! |---|---|---|
//! | `tower` | `TpsBudget` of the crate `tower`: ten seconds, `budget_floor` retries a second unearned | its code, compared grant by grant |
//! | `grpc` | `retryThrottling`: `budget_cap` tokens, one lost with each failure, `ratio` earned by each success, retries while more than half are left | gRFC A6 |
//! | `aws` | standard mode's quota: 500 tokens, a retry costs 5 and after a timeout 10, a first try that succeeds earns 1, a retry that succeeds gets its price back | *AWS SDKs and Tools Reference Guide*, "Retry behavior", and the constants of the SDKs |
//! | `finagle` | `RetryBudget`: ten seconds, 10 retries a second unearned (`budget_floor`), 20 % of the calls (`ratio`) | *Retry Budgets*, 2016, and `RetryBudget.scala` |
//!
//! # A scenario of your own
//!
//! A TOML file with the same keys; give its path where a scenario's name goes.
//!
//! ```toml
//! name = "nightly"
//! about = "the batch job against a database that restarts"
//! show = ["amplification_during", "time_to_recover"]  # columns of the table; all when left out
//! compare = "all"           # the lab's own list of policies: `callers`, or `all` with the server's
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
//! | `sweep` | of a sweep: its `loads` and `faults`, and in `recovers.POLICY` a row for each fault, in it for each load the share of runs that recovered |
//!
//! `ci95` is half the width of the 95 % confidence interval over seeds (Student's t), null with
//! one seed. A seed in which a figure has no value is null, and so is then the mean. Beside
//! `time_to_recover` stands its `horizon`: null means never before that. [`figures()`] lists the
//! figures. An interrupted run counts only for a policy that has no complete one.
//!
//! # Truth
//!
//! The lab's tests hold it against Erlang's formulas, the closed forms of sends per call, of second
//! sends and of shards, the bound of a budget, the published runs of the AWS simulator, the original of
//! `tower`'s budget, the published steps of gRPC's, AWS's and Finagle's, what the admission crate measures in a
//! world of its own, and, step by step, the real tower stack with its retries, its breaker and its
//! timeouts on a paused runtime.

mod budget;
mod call;
mod caller;
mod chance;
mod check;
mod circuits;
mod client;
mod door;
mod error;
mod estimate;
mod experiment;
mod faults;
mod figures;
mod keys;
mod measure;
mod model;
mod page;
mod peers;
mod queue;
mod reading;
mod report;
mod scenario;
mod series;
mod server;
mod serving;
mod shelf;
mod simulation;
mod statistic;
mod sweep;
mod tower;
mod units;
mod value;
mod verdict;
mod watch;
mod window;
mod words;

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
pub use sweep::Grid;
pub use watch::{Step, Watch, What};
