//! The machine: one word that says when a dependency may be asked again.

use std::time::Duration;

/// Time since a layer was made, in whole milliseconds: what fits the word beside the rest of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticks(u64);

impl Ticks {
    /// The ticks after `elapsed`, rounded up: a pause begins late and ends late, so that a
    /// dependency is never asked too early.
    pub fn after(elapsed: Duration) -> Self {
        Self::of(elapsed.as_nanos().div_ceil(NANOS))
    }

    /// The ticks that have passed after `elapsed`, rounded down: a pause that ends within this
    /// millisecond has not ended.
    pub fn passed(elapsed: Duration) -> Self {
        Self::of(elapsed.as_nanos() / NANOS)
    }

    fn of(ticks: u128) -> Self {
        Self(u64::try_from(ticks).unwrap_or(UNTIL_MAX).min(UNTIL_MAX))
    }
}

/// Which pause a call was admitted after. A result of an earlier one changes nothing, so that a
/// hundred calls that fail together count as one failure and not as a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(u16);

/// When a dependency may be asked again, and how many calls in a row it failed.
///
/// 40 bits of "not before" (34 years), 8 of failures, 16 of generation.
///
/// ```
/// use std::time::Duration;
/// use aplomb_backoff::{Generation, Pace, Ticks};
///
/// let calm = Pace::clear();
/// let before: Generation = calm.generation();
/// let now = Ticks::passed(Duration::from_secs(1));
/// let paused = calm.pause(now, Duration::from_secs(2));
/// assert_eq!(paused.left(now), Duration::from_secs(2));
/// // A success that was admitted before the pause does not end it.
/// assert_eq!(paused.succeeded(before), paused);
/// assert_eq!(paused.succeeded(paused.generation()).failures(), 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace(u64);

impl Pace {
    /// Nothing is known against the dependency.
    pub const fn clear() -> Self {
        Self(0)
    }

    /// Whether no pause was ever asked for: then the time need not be read.
    pub const fn is_clear(self) -> bool {
        self.until() == 0
    }

    /// The word.
    pub const fn to_word(self) -> u64 {
        self.0
    }

    /// The state of this word.
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// How long the dependency is still to be left alone, at a `now` from [`Ticks::passed`].
    pub fn left(self, now: Ticks) -> Duration {
        Duration::from_millis(self.until().saturating_sub(now.0))
    }

    /// What to hand to a call that is sent now.
    pub const fn generation(self) -> Generation {
        Generation((self.0 >> 48) as u16)
    }

    /// How many failures in a row there were.
    pub const fn failures(self) -> u32 {
        (self.0 >> 40 & 0xff) as u32
    }

    /// A call of this generation succeeded: the failures before it are forgotten, a pause is kept.
    #[must_use]
    pub fn succeeded(self, of: Generation) -> Self {
        if of == self.generation() { Self::of(self.until(), 0, of) } else { self }
    }

    /// A call of this generation failed, where so many failures are a row. Past what can be counted, the
    /// last row is counted again.
    #[must_use]
    pub fn failed(self, of: Generation, row: u32) -> Self {
        if of != self.generation() {
            return self;
        }
        let failures = self.failures() + 1;
        let failures =
            if failures > FAILURES_MAX { failures.saturating_sub(row) } else { failures };
        Self::of(self.until(), failures.min(FAILURES_MAX), of)
    }

    /// Leaves the dependency alone until `pause` after a `now` from [`Ticks::after`], or longer if
    /// that was so already.
    /// Calls under way belong to the past from now on.
    #[must_use]
    pub fn pause(self, now: Ticks, pause: Duration) -> Self {
        let until = now.0.saturating_add(Ticks::after(pause).0).min(UNTIL_MAX).max(self.until());
        Self::of(until, self.failures(), Generation(self.generation().0.wrapping_add(1)))
    }

    const fn until(self) -> u64 {
        self.0 & UNTIL_MAX
    }

    fn of(until: u64, failures: u32, generation: Generation) -> Self {
        Self(until | u64::from(failures) << 40 | u64::from(generation.0) << 48)
    }
}

/// Nanoseconds of a tick.
const NANOS: u128 = 1_000_000;
const UNTIL_MAX: u64 = (1 << 40) - 1;
pub(crate) const FAILURES_MAX: u32 = 0xff;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hundred_calls_that_fail_together_are_one_failure() {
        let sent = Pace::clear().generation();
        let mut pace = Pace::clear().failed(sent, 1).pause(Ticks(0), ms(50));
        for _ in 0..99 {
            pace = pace.failed(sent, 1);
        }
        assert_eq!(pace.failures(), 1);
    }

    #[test]
    fn a_late_success_does_not_clear_what_came_after_it() {
        let sent = Pace::clear().generation();
        let pace = Pace::clear().failed(sent, 1).pause(Ticks(0), ms(50));
        assert_eq!(pace.succeeded(sent), pace);
        assert_eq!(pace.succeeded(pace.generation()).failures(), 0);
    }

    #[test]
    fn a_shorter_pause_does_not_cut_a_longer_one() {
        let pace = Pace::clear().pause(Ticks(0), ms(100)).pause(Ticks(10), ms(20));
        assert_eq!(pace.left(Ticks(10)), ms(90));
    }

    #[test]
    fn a_fraction_of_a_millisecond_is_waited_out() {
        assert_eq!(Ticks::after(Duration::from_nanos(1)), Ticks(1));
        assert_eq!(Ticks::passed(Duration::from_nanos(999_999)), Ticks(0));
        assert_eq!(Ticks::after(Duration::MAX), Ticks(UNTIL_MAX));
    }

    proptest! {
        #[test]
        fn the_parts_of_the_word_do_not_touch(
            steps in proptest::collection::vec((0_u8..3, 0_u64..1 << 42, 0_u64..1 << 42), 0..600)
        ) {
            let (mut pace, mut until, mut failures, mut generation) = (Pace::clear(), 0, 0, 0_u16);
            for (step, now, pause) in steps {
                let now = Ticks(now.min(UNTIL_MAX));
                let of = pace.generation();
                match step {
                    0 => {
                        pace = pace.failed(of, 5);
                        failures = if failures == 255 { 251 } else { failures + 1 };
                    }
                    1 => { pace = pace.succeeded(of); failures = 0; }
                    _ => {
                        pace = pace.pause(now, ms(pause));
                        until = until.max((now.0 + pause.min(UNTIL_MAX)).min(UNTIL_MAX));
                        generation = generation.wrapping_add(1);
                    }
                }
                prop_assert_eq!(pace.until(), until);
                prop_assert_eq!(pace.failures(), failures);
                prop_assert_eq!(pace.generation(), Generation(generation));
            }
        }
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }
}
