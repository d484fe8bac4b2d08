//! The terms of a circuit.

use std::time::Duration;

use aplomb_backoff::Backoff;
use aplomb_core::{Dice, Pushback};

use crate::trip::Trip;

/// The terms of a circuit.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// When it opens.
    pub trip: Trip,
    /// For how long: longer each time that a probe fails.
    pub open_for: Backoff,
    /// A pushback lengthens the open time by no more than this.
    pub longest_pushback: Duration,
    /// Half-open, a call that has not ended after this time no longer keeps another from going out.
    pub lease: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trip: Trip::default(),
            // linkerd waits up to a minute. After an outage of a minute that keeps circuits open for
            // most of another; ten seconds cost few sends more (the lab's `probe-storm`).
            open_for: Backoff::equal(Duration::from_secs(1), Duration::from_secs(10)),
            longest_pushback: Duration::from_secs(60),
            // Longer than a caller waits, so that it is met by what hangs alone.
            lease: Duration::from_secs(10),
        }
    }
}

impl Settings {
    /// The level after one more probe that failed. One that would lengthen nothing is not counted: it
    /// would have to be forgotten before anything gets shorter.
    pub(crate) fn raised(&self, level: u32) -> u32 {
        let ceiling = |level: u32| self.open_for.ceiling(level.saturating_add(1));
        let next = level.saturating_add(1);
        if ceiling(next) > ceiling(level) { next } else { level }
    }

    /// How long the dependency is left alone at this level; longer when it asked for more.
    pub(crate) fn open_time(&self, level: u32, pushback: Pushback, dice: &Dice) -> Duration {
        let mut rng = dice.roll();
        let own = self.open_for.delay(level.saturating_add(1), &mut rng);
        let Pushback::After(asked) = pushback else { return own };
        // Never shorter than asked, and spread over a quarter of it: callers that were told the same
        // time must not all come back at it.
        let asked = asked.min(self.longest_pushback);
        own.max(asked.saturating_add(rng.up_to(asked / 4)))
    }
}
