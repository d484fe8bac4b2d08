//! Where a call is counted: in which bucket, in whose lane.

#[cfg(not(aplomb_loom))]
use aplomb_core::time::Duration;
use aplomb_core::time::Instant;

/// Where a call is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of the bucket since the beginning.
    pub(crate) tick: u32,
    /// The lane of this thread.
    pub(crate) lane: u32,
}

/// Numbers the buckets of one circuit.
#[derive(Debug)]
pub(crate) struct Ticks {
    origin: Instant,
    #[cfg(not(aplomb_loom))]
    id: u64,
}

impl Ticks {
    pub(crate) fn new(origin: Instant) -> Self {
        Self {
            origin,
            #[cfg(not(aplomb_loom))]
            id: memory::next_id(),
        }
    }

    pub(crate) const fn origin(&self) -> Instant {
        self.origin
    }

    /// Where a call that ends `now` is counted, in buckets of so many nanoseconds.
    ///
    /// Calendar arithmetic would cost as much as all the rest of a call, so every thread remembers
    /// until when its last answer holds.
    #[inline]
    pub(crate) fn at(&self, now: Instant, bucket: u64) -> Place {
        #[cfg(not(aplomb_loom))]
        if let Some(place) = memory::recall(self.id, now, bucket) {
            return place;
        }
        self.find(now, bucket)
    }

    #[cold]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "nanoseconds fit for centuries; ticks are compared as they wrap around"
    )]
    fn find(&self, now: Instant, bucket: u64) -> Place {
        let passed = now.saturating_duration_since(self.origin).as_nanos() as u64;
        let place = Place { tick: (passed / bucket) as u32, lane: lane() };
        #[cfg(not(aplomb_loom))]
        {
            let left = Duration::from_nanos(bucket - passed % bucket);
            memory::remember(self.id, self.origin.max(now) + left, bucket, place);
        }
        place
    }
}

/// The lane of this thread.
fn lane() -> u32 {
    #[cfg(not(aplomb_loom))]
    return memory::lane();
    // A model's threads are one thread to the system.
    #[cfg(aplomb_loom)]
    return 0;
}

/// Two threads share a lane when there are more of them than this.
#[cfg(not(aplomb_loom))]
pub(crate) const LANES: u32 = 8;
#[cfg(aplomb_loom)]
pub(crate) const LANES: u32 = 1;

/// What a thread remembers.
#[cfg(not(aplomb_loom))]
mod memory {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    use super::{Instant, LANES, Place};

    thread_local! {
        static LANE: Cell<u32> = const { Cell::new(u32::MAX) };
        static LAST: Cell<Option<Last>> = const { Cell::new(None) };
    }

    #[derive(Clone, Copy)]
    struct Last {
        id: u64,
        bucket: u64,
        until: Instant,
        place: Place,
    }

    pub(super) fn next_id() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn recall(id: u64, now: Instant, bucket: u64) -> Option<Place> {
        let last = LAST.get()?;
        let holds = last.id == id && last.bucket == bucket && now < last.until;
        holds.then_some(last.place)
    }

    pub(super) fn remember(id: u64, until: Instant, bucket: u64, place: Place) {
        LAST.set(Some(Last { id, bucket, until, place }));
    }

    pub(super) fn lane() -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if LANE.get() == u32::MAX {
            LANE.set(NEXT.fetch_add(1, Ordering::Relaxed) % LANES);
        }
        LANE.get()
    }
}

#[cfg(all(test, not(aplomb_loom)))]
mod tests {
    use super::*;
    use aplomb_core::time;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_a_thread_remembers_is_what_it_would_find_out(
            steps in proptest::collection::vec((0_u64..900_000_000, any::<bool>(), 1_u64..3), 1..100)
        ) {
            let start = time::now();
            let circuits = [Ticks::new(start), Ticks::new(start + Duration::from_millis(300))];
            let mut now = start;
            for (later, which, seconds) in steps {
                now += Duration::from_nanos(later);
                let (circuit, bucket) = (&circuits[usize::from(which)], seconds * 1_000_000_000);
                let since = now.saturating_duration_since(circuit.origin).as_secs();
                prop_assert_eq!(u64::from(circuit.at(now, bucket).tick), since / seconds);
            }
        }
    }
}
