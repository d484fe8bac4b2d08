//! A window that slides: ten buckets, exact, of constant cost.
//!
//! A call is one compare-and-swap on one bucket, whatever the traffic. What succeeds is counted in
//! lanes, one a thread, so that threads do not fight for a cache line; what fails is rare and shares
//! one. A bucket names its second and its generation: it starts anew when it is met again, and what
//! belongs to the time before an outage is never seen after it.

use crate::sync::{AtomicU64, Ordering};
use crate::ticks::{LANES, Place};
use crate::trip::BUCKETS;

#[derive(Debug)]
pub(crate) struct Window {
    passed: [Lane; LANES as usize],
    failed: [AtomicU64; SLOTS],
    slow: [AtomicU64; SLOTS],
}

/// Apart by two cache lines, which is what processors fetch at a time.
#[derive(Debug)]
#[repr(align(128))]
struct Lane([AtomicU64; SLOTS]);

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(crate) slow: u64,
}

/// Which bucket: its number since the beginning, and the generation that it counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    tick: u32,
    generation: u8,
}

impl Tag {
    /// The bucket of this place, counting for this generation.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "generations are compared as they wrap")]
    pub(crate) const fn new(place: Place, generation: u16) -> Self {
        Self { tick: place.tick, generation: generation as u8 }
    }

    pub(crate) const fn tick(self) -> u32 {
        self.tick
    }

    #[inline]
    const fn slot(self) -> usize {
        self.tick as usize % SLOTS
    }

    // Bits 0..24 of a slot count, 24..32 are the generation, 32..64 the tick.
    #[inline]
    const fn word(self) -> u64 {
        (self.tick as u64) << 32 | (self.generation as u64) << 24
    }

    #[expect(clippy::cast_possible_truncation, reason = "the parts of a word")]
    const fn of(word: u64) -> Self {
        Self { tick: (word >> 32) as u32, generation: (word >> 24) as u8 }
    }

    /// Whether it comes after `other`, though both numbers may have wrapped around.
    ///
    /// No call comes so late that it is behind by more than [`LATE_MAX`]: what seems to be has waited
    /// for half of all ticks, and is ahead.
    #[expect(clippy::cast_possible_wrap, reason = "what is behind is negative")]
    const fn is_after(self, other: Self) -> bool {
        match self.tick.wrapping_sub(other.tick) as i32 {
            0 => self.generation.wrapping_sub(other.generation) as i8 > 0,
            ahead => ahead > 0 || ahead < -LATE_MAX,
        }
    }

    /// Whether a slot of this tag lies in the window that ends with `last`.
    const fn is_in_window_of(self, last: Self) -> bool {
        self.generation == last.generation && last.tick.wrapping_sub(self.tick) < BUCKETS
    }
}

impl Window {
    pub(crate) fn new() -> Self {
        let slots = || std::array::from_fn(|_| AtomicU64::new(0));
        Self { passed: std::array::from_fn(|_| Lane(slots())), failed: slots(), slow: slots() }
    }

    #[inline]
    pub(crate) fn passed(&self, place: Place, generation: u16) {
        let (lane, tag) = (place.lane % LANES, Tag::new(place, generation));
        bump(&self.passed[lane as usize].0[tag.slot()], tag);
    }

    pub(crate) fn failed(&self, tag: Tag) {
        bump(&self.failed[tag.slot()], tag);
    }

    pub(crate) fn slow(&self, tag: Tag) {
        bump(&self.slow[tag.slot()], tag);
    }

    /// What the window that ends with `last` holds: a fixed number of reads.
    pub(crate) fn tally(&self, last: Tag) -> Tally {
        let (failed, slow) = (sum(&self.failed, last), sum(&self.slow, last));
        let passed: u64 = self.passed.iter().map(|lane| sum(&lane.0, last)).sum();
        Tally { calls: passed + failed, failed, slow }
    }
}

/// What the slots of a row hold that lie in the window.
fn sum(row: &[AtomicU64; SLOTS], last: Tag) -> u64 {
    let words = row.iter().map(|slot| slot.load(Ordering::Relaxed));
    words.filter(|word| Tag::of(*word).is_in_window_of(last)).map(|word| word & COUNT_MAX).sum()
}

#[inline]
fn bump(slot: &AtomicU64, tag: Tag) {
    let seen = slot.load(Ordering::Relaxed);
    // What is nearly always so: the bucket is begun, not full, and nobody else is here.
    let is_begun = seen & !COUNT_MAX == tag.word() && seen & COUNT_MAX != COUNT_MAX;
    let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
    if !is_begun || slot.compare_exchange(seen, seen + 1, set, fetch).is_err() {
        bump_slowly(slot, tag);
    }
}

#[cold]
fn bump_slowly(slot: &AtomicU64, tag: Tag) {
    let mut seen = slot.load(Ordering::Relaxed);
    loop {
        let count = seen & COUNT_MAX;
        let next = if seen - count == tag.word() {
            // A bucket that is full stays so.
            tag.word() | (count + 1).min(COUNT_MAX)
        } else if count == 0 || tag.is_after(Tag::of(seen)) {
            tag.word() | 1
        } else {
            // Its bucket has left the window already.
            return;
        };
        // The word is all there is: it orders nothing else, so Relaxed is enough.
        match slot.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(changed) => seen = changed,
        }
    }
}

/// More than the window has buckets: a power of two is found by a mask, and fills two cache lines.
const SLOTS: usize = 16;
const COUNT_MAX: u64 = (1 << 24) - 1;
/// A minute of the shortest buckets.
const LATE_MAX: i32 = 1 << 16;

#[cfg(all(test, not(aplomb_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bucket_that_was_left_starts_anew() {
        let window = Window::new();
        for tick in [3, 13, 19] {
            window.failed(tag(tick));
        }
        assert_eq!(window.tally(tag(19)).failed, 2);
    }

    #[test]
    fn a_tick_that_wraps_around_is_no_step_back() {
        let window = Window::new();
        window.passed(place(u32::MAX), 0);
        window.passed(place(3), 0);
        assert_eq!(window.tally(tag(3)).calls, 2);
    }

    #[test]
    fn a_slot_that_was_left_for_half_of_all_ticks_is_begun_anew() {
        let window = Window::new();
        window.failed(tag(3));
        let later = tag(3 + (1 << 31) + 16);
        window.failed(later);
        assert_eq!(window.tally(later).failed, 1);
    }

    #[test]
    fn what_another_generation_did_is_not_seen() {
        let window = Window::new();
        window.failed(tag(3));
        let next = Tag { tick: 3, generation: 1 };
        assert_eq!(window.tally(next), Tally::default());
        window.failed(next);
        window.failed(tag(3));
        assert_eq!(window.tally(next).failed, 1, "nor does it come back");
    }

    #[test]
    fn the_window_is_as_large_for_a_million_calls_as_for_one() {
        let window = Window::new();
        for _ in 0..1_000_000 {
            window.passed(place(1), 0);
        }
        assert_eq!(window.tally(tag(1)).calls, 1_000_000);
        assert!(std::mem::size_of::<Window>() <= 2_048, "{}", std::mem::size_of::<Window>());
    }

    proptest! {
        #[test]
        fn it_is_exact(steps in proptest::collection::vec((0_u32..4, 0_u8..3), 0..200)) {
            let (window, mut tick, mut seen) = (Window::new(), 0, Vec::new());
            for (later, kind) in steps {
                tick += later;
                match kind {
                    0 => window.passed(place(tick), 0),
                    1 => window.failed(tag(tick)),
                    _ => window.slow(tag(tick)),
                }
                seen.push((tick, kind));
                let of = |kind| seen.iter().filter(|(at, of)| tick - at < 10 && *of == kind).count();
                let tally = window.tally(tag(tick));
                prop_assert_eq!(tally.failed, of(1) as u64);
                prop_assert_eq!(tally.calls, (of(0) + of(1)) as u64);
                prop_assert_eq!(tally.slow, of(2) as u64);
            }
        }
    }

    fn tag(tick: u32) -> Tag {
        Tag { tick, generation: 0 }
    }

    fn place(tick: u32) -> Place {
        Place { tick, lane: tick % 3 }
    }
}
