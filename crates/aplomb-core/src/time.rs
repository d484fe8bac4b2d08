//! The one clock.
//!
//! Everything that waits or measures reads time here, so that `tokio::time::pause` moves all of
//! it at once. `.clippy.toml` bans the other ways to read a clock.

use std::time::SystemTime;

pub use std::time::Duration;
pub use tokio::time::Instant;

/// The instant now, on the clock of the runtime (paused when the runtime's clock is paused).
///
/// Costs about 25 ns. A shell asks once per step, hands the answer to its machine, then acts.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
#[inline]
pub fn now() -> Instant {
    Instant::now()
}

/// The calendar time now: for what people read and what leaves the process, never for waiting.
///
/// ```
/// use aplomb_core::time;
///
/// let written = time::wall();
/// let began = time::now(); // what waits are counted from
/// assert!(time::wall().duration_since(written).is_ok() || time::now() >= began);
/// ```
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the calendar")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}
