//! A tally of the last seconds, as budgets with a time to live keep it.

use crate::units::SECOND;

/// What was deposited and withdrawn in the last second under way, and in `N` seconds before it.
///
/// A slice ends with the first look after its time, however late that comes; both originals do so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally<const N: usize> {
    slots: [i32; N],
    writer: i32,
    slot: u8,
    since: u64,
}

impl<const N: usize> Default for Tally<N> {
    fn default() -> Self {
        Self { slots: [0; N], writer: 0, slot: 0, since: 0 }
    }
}

impl<const N: usize> Tally<N> {
    pub(crate) fn add(&mut self, amount: i32) {
        self.writer = self.writer.saturating_add(amount);
    }

    pub(crate) fn sum(&self) -> i32 {
        self.slots.iter().fold(self.writer, |sum, &slot| sum.saturating_add(slot))
    }

    /// Ends the slice under way, if its time is over, and forgets what is too old.
    pub(crate) fn expire(&mut self, now: u64, skipped: impl Fn(u64) -> u64) {
        let passed = now - self.since;
        if passed < SECOND {
            return;
        }
        self.slots[usize::from(self.slot)] = self.writer;
        self.writer = 0;
        self.slot = self.after(1);
        let skipped = skipped(passed);
        // Once round, all are empty; where it stops decides which slot is written next.
        for n in 0..skipped.min(N as u64) {
            self.slots[usize::from(self.after(n))] = 0;
        }
        self.slot = self.after(skipped);
        self.since = now;
    }

    fn after(&self, slots: u64) -> u8 {
        u8::try_from((u64::from(self.slot) + slots) % N as u64).unwrap_or(0)
    }
}
