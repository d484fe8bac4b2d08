use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A moment in milliseconds since 1970.
///
/// Of whose clock, the field says that holds it. Leases are judged by the sink's clock alone;
/// calendar times of a failure are the worker's, for people.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// So many milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// That much later, at most the end of time.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(millis(time)))
    }

    /// How much later than `earlier` it is; nothing when it is not.
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(millis(time.duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

/// A duration in whole milliseconds, as far as a signed column goes.
///
/// ```
/// use std::time::Duration;
/// use aplomb_dead_letter::{Timestamp, millis};
///
/// let later = Timestamp::from_millis(0).plus(Duration::from_secs(2));
/// assert_eq!(later.as_millis(), millis(Duration::from_secs(2)));
/// ```
pub fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_neither_overflows_nor_runs_backwards() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.plus(Duration::MAX), end);
        let (early, late) = (Timestamp::from_millis(-5), Timestamp::from_millis(7));
        assert_eq!(
            (late.since(early), early.since(late)),
            (Duration::from_millis(12), Duration::ZERO)
        );
    }
}
