//! When a circuit opens.

use std::time::Duration;

use aplomb_core::Ratio;

use crate::runs::Run;
use crate::window::Tally;

/// When a circuit opens: as soon as *any* of its rules is met.
///
/// ```
/// use std::time::Duration;
/// use aplomb_circuit_breaker::Trip;
/// use aplomb_core::Ratio;
///
/// let trip = Trip::failure_ratio(Ratio::percent(30))
///     .at_least(50)
///     .over(Duration::from_secs(30))
///     .slow_after(Duration::from_millis(400))
///     .slow_ratio(Ratio::percent(80));
/// # let _ = trip;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Trip {
    ratio: Ratio,
    at_least: u64,
    /// Nanoseconds.
    bucket: u64,
    unsent_in_a_row: u32,
    failures_in_a_row: u32,
    slow_after: Option<Duration>,
    slow_ratio: Option<Ratio>,
}

impl Trip {
    /// Opens when this share of the calls in the window failed, and by the default's other rules.
    ///
    /// Looked at whenever a call fails.
    pub const fn failure_ratio(ratio: Ratio) -> Self {
        Self {
            ratio,
            at_least: 20,
            bucket: 1_000_000_000,
            unsent_in_a_row: 5,
            failures_in_a_row: 10,
            slow_after: Some(Duration::from_secs(1)),
            slow_ratio: None,
        }
    }

    /// For the parent of many cells, which have one vote a bucket: no cell alone has twenty of them.
    pub(crate) const fn of_parent(self) -> Self {
        Self {
            ratio: Ratio::percent(80),
            at_least: 2 * BUCKETS as u64,
            unsent_in_a_row: NEVER,
            failures_in_a_row: NEVER,
            slow_ratio: None,
            ..self
        }
    }

    /// Ratios count for nothing before so many calls are in the window.
    pub const fn at_least(mut self, calls: u32) -> Self {
        self.at_least = calls as u64;
        self
    }

    /// How far back the window reaches: ten buckets of a tenth of it each, of which the last is
    /// being filled. At least 10 ms.
    ///
    /// Longer than a call may take: calls that run into a longer timeout never meet in it.
    pub fn over(mut self, window: Duration) -> Self {
        let bucket = (window / BUCKETS).as_nanos();
        self.bucket = u64::try_from(bucket).unwrap_or(BUCKET_MAX).clamp(BUCKET_MIN, BUCKET_MAX);
        self
    }

    /// Opens when so many calls in a row never reached the server.
    pub const fn unsent_in_a_row(mut self, calls: u32) -> Self {
        self.unsent_in_a_row = calls;
        self
    }

    /// Opens when so many calls in a row failed, in whatever way.
    pub const fn failures_in_a_row(mut self, calls: u32) -> Self {
        self.failures_in_a_row = calls;
        self
    }

    /// A call is slow from this time on. One that its caller gives up after that has failed; one
    /// that is given up earlier has no vote.
    pub const fn slow_after(mut self, time: Duration) -> Self {
        self.slow_after = Some(time);
        self
    }

    /// No call is slow, and none that is given up has a vote. Saves one look at the clock a call.
    pub const fn never_slow(mut self) -> Self {
        self.slow_after = None;
        self
    }

    /// Opens when this share of the calls in the window was slow, though they succeeded.
    pub const fn slow_ratio(mut self, ratio: Ratio) -> Self {
        self.slow_ratio = Some(ratio);
        self
    }

    /// The length of a bucket in nanoseconds, at least 1 ms.
    #[inline]
    pub(crate) const fn bucket(&self) -> u64 {
        self.bucket
    }

    /// The length of the window.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_nanos(self.bucket) * BUCKETS
    }

    #[inline]
    pub(crate) const fn counts_slow(&self) -> bool {
        self.slow_ratio.is_some()
    }

    #[inline]
    pub(crate) const fn times_calls(&self) -> bool {
        self.slow_after.is_some()
    }

    pub(crate) fn is_slow(&self, took: Duration) -> bool {
        self.slow_after.is_some_and(|limit| took >= limit)
    }

    /// Which rule a failure met, if it met one.
    pub(crate) fn by_run(&self, run: Run) -> Option<Because> {
        if run.unsent >= self.unsent_in_a_row {
            return Some(Because::UnsentInARow);
        }
        (run.failed >= self.failures_in_a_row).then_some(Because::FailuresInARow)
    }

    pub(crate) fn by_tally(&self, tally: Tally) -> Option<Because> {
        if tally.calls < self.at_least {
            return None;
        }
        if tally.failed > 0 && reaches(self.ratio, tally.failed, tally.calls) {
            return Some(Because::FailureRatio);
        }
        let slow = self.slow_ratio.is_some_and(|ratio| reaches(ratio, tally.slow, tally.calls));
        (tally.slow > 0 && slow).then_some(Because::SlowRatio)
    }

    /// Whether so many failures among the first calls after an outage are too many.
    pub(crate) fn ends_ramp(&self, failed: u64, succeeded: u64) -> bool {
        succeeded == 0 || reaches(self.ratio, failed, failed + succeeded)
    }
}

impl Default for Trip {
    /// Half of the calls failed.
    fn default() -> Self {
        // Hystrix (wiki, Configuration): 50 % of at least 20 requests in ten buckets of a second.
        Self::failure_ratio(Ratio::percent(50))
    }
}

fn reaches(ratio: Ratio, part: u64, whole: u64) -> bool {
    part * u64::from(Ratio::ONE.millionths()) >= whole * u64::from(ratio.millionths())
}

/// Why a circuit changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Because {
    /// Too large a share of the calls in the window failed.
    FailureRatio,
    /// Too large a share of the calls in the window was slow.
    SlowRatio,
    /// Too many calls in a row never reached the server.
    UnsentInARow,
    /// Too many calls in a row failed.
    FailuresInARow,
    /// Half-open, a probe failed, or too many of the calls after it.
    ProbeFailed,
    /// The open time is over: one call is let through.
    OpenTimeOver,
    /// Probe and ramp succeeded.
    Recovered,
    /// An operator said so.
    Operator,
}

impl Because {
    /// A word for labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailureRatio => "failure_ratio",
            Self::SlowRatio => "slow_ratio",
            Self::UnsentInARow => "unsent_in_a_row",
            Self::FailuresInARow => "failures_in_a_row",
            Self::ProbeFailed => "probe_failed",
            Self::OpenTimeOver => "open_time_over",
            Self::Recovered => "recovered",
            Self::Operator => "operator",
        }
    }
}

/// How many buckets make a window.
pub(crate) const BUCKETS: u32 = 10;
const BUCKET_MIN: u64 = 1_000_000;
/// Longer windows than ten hours answer no question a breaker asks.
const BUCKET_MAX: u64 = 3_600 * 1_000_000_000;
const NEVER: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_twenty_is_enough_and_half_of_nineteen_is_not() {
        let met = |failed, calls| Trip::default().by_tally(tally(failed, calls)).is_some();
        assert!(met(10, 20));
        assert!(!met(9, 20));
        assert!(!met(19, 19));
    }

    #[test]
    fn a_ratio_of_nothing_still_needs_a_failure() {
        let trip = Trip::failure_ratio(Ratio::ZERO);
        assert_eq!(trip.by_tally(tally(0, 100)), None);
        assert_eq!(trip.by_tally(tally(1, 100)), Some(Because::FailureRatio));
    }

    #[test]
    fn no_window_is_too_short_or_too_long() {
        assert_eq!(Trip::default().over(Duration::ZERO).bucket(), BUCKET_MIN);
        assert_eq!(Trip::default().over(Duration::MAX).bucket(), BUCKET_MAX);
    }

    fn tally(failed: u64, calls: u64) -> Tally {
        Tally { calls, failed, slow: 0 }
    }
}
