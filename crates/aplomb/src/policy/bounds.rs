//! How large a policy file and what stands in it may be. Each bound has a name and a reason.

use std::time::Duration;

/// The longest file: ten thousand operations written out take about six megabytes.
pub const TEXT_MAX: usize = 16 * 1024 * 1024;
/// Dependencies of one service.
pub const DEPENDENCIES_MAX: usize = 1_000;
/// Operations of all dependencies together.
pub const OPERATIONS_MAX: usize = 10_000;
/// Requests that one operation matches.
pub const MATCHES_MAX: usize = 16;
/// Hops between this service and one dependency.
pub const HOPS_MAX: usize = 16;
/// Letters of a name: names become labels of metrics.
pub const NAME_MAX: usize = 64;
/// Letters of a text that people read, and of a path.
pub const WORDS_MAX: usize = 256;
/// Attempts of one call. More than a few need minutes between them, and a queue.
pub const ATTEMPTS_MAX: u32 = 100;
/// Processes of one service.
pub const FLEET_MAX: u32 = 10_000_000;
/// Calls a second, of all processes together.
pub const RATE_MAX: f64 = 1e9;
/// Ten years: a longer time is a slip of the pen.
pub const TIME_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Errors that are told at once.
pub const ERRORS_MAX: usize = 100;
