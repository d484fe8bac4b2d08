use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aplomb_core::time::Instant;

/// Lets so many calls a second through, evenly, with a tenth of a second's worth at once.
///
/// The generic cell rate algorithm (ITU-T I.371): one word says when the calls let through so far
/// will have been worked off. A call that would push it further ahead than the burst is too many.
#[derive(Debug)]
pub(crate) struct Capacity {
    interval: Duration,
    burst: Duration,
    start: Instant,
    busy_until: AtomicU64,
}

impl Capacity {
    /// So many a second; `None` for 0, which is no bound.
    pub(crate) fn per_second(calls: u32, start: Instant) -> Option<Self> {
        let interval = Duration::from_secs(1).checked_div(calls)?;
        Some(Self { interval, burst: BURST.max(interval), start, busy_until: AtomicU64::new(0) })
    }

    /// Whether one more call at `now` is within the capacity; if so it is counted.
    pub(crate) fn admit(&self, now: Instant) -> bool {
        let now = nanos(now.saturating_duration_since(self.start));
        let admitted = |busy_until: u64| {
            let busy_until = busy_until.max(now) + nanos(self.interval);
            (busy_until <= now + nanos(self.burst)).then_some(busy_until)
        };
        self.busy_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, admitted).is_ok()
    }
}

fn nanos(time: Duration) -> u64 {
    // Five centuries of nanoseconds; halved so that sums of two cannot overflow.
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX / 4)
}

const BURST: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use aplomb_core::time;

    #[test]
    fn what_is_let_through_in_a_second_is_the_capacity() {
        let start = time::now();
        let capacity = Capacity::per_second(100, start).unwrap();
        let burst = (0..1000).filter(|_| capacity.admit(start)).count();
        assert_eq!(burst, 10);
        let rest = (1..=1000)
            .filter(|&milli| capacity.admit(start + Duration::from_millis(milli)))
            .count();
        assert_eq!(rest, 100);
    }

    #[test]
    fn one_a_second_is_one_a_second() {
        let start = time::now();
        let capacity = Capacity::per_second(1, start).unwrap();
        let at = |millis| capacity.admit(start + Duration::from_millis(millis));
        assert_eq!(
            [at(0), at(1), at(999), at(1000), at(1001), at(2000)],
            [true, false, false, true, false, true]
        );
    }

    #[test]
    fn an_idle_hour_saves_nothing_up() {
        let start = time::now();
        let capacity = Capacity::per_second(50, start).unwrap();
        let later = start + Duration::from_secs(3600);
        assert_eq!((0..100).filter(|_| capacity.admit(later)).count(), 5);
    }

    #[test]
    fn zero_is_no_bound() {
        assert!(Capacity::per_second(0, time::now()).is_none());
    }
}
