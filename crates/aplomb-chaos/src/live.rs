//! The knobs of the moment, with the dice that fall under them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aplomb_core::time::Instant;
use aplomb_core::{Dice, Rng};

use crate::capacity::Capacity;
use crate::turns::Turns;
use crate::{Event, Knobs};

/// The knobs of the moment, with what belongs to them.
pub(crate) struct Live {
    pub(crate) knobs: Knobs,
    lose_left: AtomicU32,
    capacity: Option<Capacity>,
    turns: Option<Turns>,
    pub(crate) dice: Stations,
}

/// Dice for each station, so that turning one knob does not change how another one falls.
#[derive(Clone)]
pub(crate) struct Stations {
    drop: Dice,
    error: Dice,
    latency: Dice,
    lose: Dice,
    hang: Dice,
    refuse: Dice,
    cut: Dice,
    asks: Dice,
}

impl Live {
    pub(crate) fn new(knobs: Knobs, dice: Stations, now: Instant) -> Self {
        Self {
            knobs,
            lose_left: AtomicU32::new(knobs.lose_next),
            capacity: Capacity::per_second(knobs.capacity_per_second, now),
            turns: Turns::new(knobs.work(), knobs.workers, now),
            dice,
        }
    }

    /// How many answers are still to be lost, whatever their share.
    pub(crate) fn lose_next(&self) -> u32 {
        self.lose_left.load(Ordering::Acquire)
    }

    /// What happens to a call at the edge, if anything.
    pub(crate) fn stops(&self) -> Option<Event> {
        let Knobs { down, drop_connection_rate, hang_rate, .. } = self.knobs;
        if down {
            return Some(Event::Down);
        }
        // Both dice fall for every call: one knob does not change how the other one falls.
        let hung = self.dice.hang.roll().chance(hang_rate);
        if self.dice.drop.roll().chance(drop_connection_rate) {
            return Some(Event::Dropped);
        }
        hung.then_some(Event::Hung)
    }

    pub(crate) fn loses(&self) -> bool {
        // A promised loss is taken before a random one, so that "the next n" are exactly n.
        let one_less = |left: u32| left.checked_sub(1);
        let promised =
            self.lose_left.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less).is_ok();
        promised || self.dice.lose.roll().chance(self.knobs.lose_response_rate)
    }

    pub(crate) fn refuses(&self) -> bool {
        self.knobs.down || self.dice.refuse.roll().chance(self.knobs.refuse_rate)
    }

    pub(crate) fn cuts_short(&self) -> bool {
        self.dice.cut.roll().chance(self.knobs.cut_body_rate)
    }

    /// Whether a call at `now` is over the capacity; if not, it is counted.
    pub(crate) fn is_over_capacity(&self, now: Instant) -> bool {
        self.capacity.as_ref().is_some_and(|capacity| !capacity.admit(now))
    }

    pub(crate) fn fails(&self) -> bool {
        self.dice.error.roll().chance(self.knobs.error_rate)
    }

    /// How long a call at `now` waits: the latency, and its turn at a place where work is done.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        let (least, jitter) = self.knobs.latency();
        let latency = least + self.dice.latency.roll().up_to(jitter);
        let turn = self.turns.as_ref().map_or(Duration::ZERO, |turns| turns.take(now));
        let wait = latency + turn;
        (!wait.is_zero()).then_some(wait)
    }

    /// Spreads what callers are asked to wait.
    pub(crate) fn spread(&self) -> Rng {
        self.dice.asks.roll()
    }
}

impl Stations {
    pub(crate) fn seeded(seed: u64) -> Self {
        let station = |index| Dice::seeded(Rng::stream(seed, index).bits());
        Self {
            drop: station(1),
            error: station(2),
            latency: station(3),
            lose: station(4),
            hang: station(5),
            refuse: station(6),
            cut: station(7),
            asks: station(8),
        }
    }
}
