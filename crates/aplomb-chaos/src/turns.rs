use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aplomb_core::time::Instant;

/// Places at which work is done, first come, first served, each by one call at a time.
///
/// Work is as long as it is whether or not somebody still waits for it: most servers learn too late
/// that a caller has gone. So a turn that was taken is never given back.
#[derive(Debug)]
pub(crate) struct Turns {
    work: Duration,
    /// When each place will have done what it was given so far.
    free: Mutex<Box<[Instant]>>,
}

impl Turns {
    /// So many places, one at least, for work of this length; `None` for work of no length.
    pub(crate) fn new(work: Duration, places: u32, now: Instant) -> Option<Self> {
        let free = std::iter::repeat_n(now, usize::try_from(places.max(1)).unwrap_or(1));
        (!work.is_zero()).then(|| Self { work, free: Mutex::new(free.collect()) })
    }

    /// Takes a turn: how long until its work is done.
    pub(crate) fn take(&self, now: Instant) -> Duration {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = free.iter_mut().min() else {
            return self.work;
        };
        let begins = (*place).max(now);
        let wait = begins.saturating_duration_since(now);
        // Whoever comes to so long a queue makes it no longer: it must be over some day.
        if wait < QUEUE_MAX {
            *place = begins + self.work;
        }
        wait + self.work
    }
}

/// Longer than anybody waits.
const QUEUE_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use aplomb_core::time;

    const WORK: Duration = Duration::from_millis(20);

    #[test]
    fn whoever_comes_to_a_busy_place_waits_for_its_turn() {
        let now = time::now();
        let turns = Turns::new(WORK, 2, now).unwrap();
        let waits: Vec<_> = (0..5).map(|_| turns.take(now).as_millis()).collect();
        assert_eq!(waits, [20, 20, 40, 40, 60]);
        assert_eq!(turns.take(now + WORK / 2).as_millis(), 50, "behind all that came before");
        assert_eq!(turns.take(now + 10 * WORK), WORK, "the queue is empty again");
    }

    #[test]
    fn a_queue_does_not_grow_for_ever() {
        let now = time::now();
        let turns = Turns::new(Duration::from_secs(1), 0, now).unwrap();
        let longest = (0..1_000).map(|_| turns.take(now)).max().unwrap();
        assert_eq!(longest, QUEUE_MAX + Duration::from_secs(1));
    }

    #[test]
    fn no_work_takes_no_turn() {
        assert!(Turns::new(Duration::ZERO, 3, time::now()).is_none());
    }
}
