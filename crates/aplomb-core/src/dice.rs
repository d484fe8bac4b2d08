use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand_core::{Rng as _, SeedableRng};
use rand_xoshiro::SplitMix64;

use crate::Ratio;

/// A source of independent random streams: one per call, never the same one twice.
///
/// A layer that clones a generator into each call makes all calls wait the same "random" time.
/// `Dice` hands every call a stream of its own, and the same streams in the same order when it
/// was seeded. Clones share the source. Safe to share among threads; a roll is one atomic add.
///
/// ```
/// use aplomb_core::Dice;
///
/// let (dice, again) = (Dice::seeded(7), Dice::seeded(7));
/// let (mut first, mut second) = (dice.roll(), dice.roll());
/// let one = first.below(1_000_000);
/// assert_ne!(one, second.below(1_000_000));
/// assert_eq!(one, again.roll().below(1_000_000));
/// ```
#[derive(Clone, Debug)]
pub struct Dice {
    next: Arc<AtomicU64>,
}

impl Dice {
    /// Dice that nobody can foretell.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks for real randomness")]
    pub fn from_entropy() -> Self {
        use std::hash::BuildHasher;
        // The standard library seeds this from the operating system and cannot fail.
        Self::seeded(std::collections::hash_map::RandomState::new().hash_one(0_u8))
    }

    /// Dice that fall the same way for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self { next: Arc::new(AtomicU64::new(Rolls::seeded(seed).next)) }
    }

    /// A stream that no other call gets.
    pub fn roll(&self) -> Rng {
        // Neighbouring SplitMix64 states yield overlapping streams, so the counter is mixed first.
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        Rng::stream(0, count)
    }
}

impl Default for Dice {
    fn default() -> Self {
        Self::from_entropy()
    }
}

/// What [`Dice`] rolls, for a single owner who needs no atomics.
///
/// ```
/// use aplomb_core::{Dice, Rolls};
///
/// let (dice, mut rolls) = (Dice::seeded(7), Rolls::seeded(7));
/// assert_eq!(dice.roll().bits(), rolls.roll().bits());
/// ```
#[derive(Clone, Debug)]
pub struct Rolls {
    next: u64,
}

impl Rolls {
    /// The streams that belong to `seed`.
    pub fn seeded(seed: u64) -> Self {
        // A counter numbers the streams; seeds that lie side by side must not start it side by side.
        Self { next: Rng::seeded(seed).bits() }
    }

    /// The next stream.
    pub fn roll(&mut self) -> Rng {
        let count = self.next;
        self.next = count.wrapping_add(1);
        Rng::stream(0, count)
    }
}

/// One stream of random numbers: fast, seeded, the same on every machine.
///
/// Good enough to spread load; not for secrets.
///
/// ```
/// use std::time::Duration;
/// use aplomb_core::{Ratio, Rng};
///
/// let (mut one, mut other) = (Rng::seeded(7), Rng::seeded(7));
/// assert_eq!(one.bits(), other.bits());
/// assert!(one.up_to(Duration::from_secs(1)) <= Duration::from_secs(1));
/// assert!(!one.chance(Ratio::percent(0)));
/// ```
#[derive(Clone, Debug)]
pub struct Rng(SplitMix64);

impl Rng {
    /// The stream that belongs to `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self::stream(seed, 0)
    }

    /// Stream number `index` of `seed`: streams of different numbers are independent.
    pub fn stream(seed: u64, index: u64) -> Self {
        let mut outer = SplitMix64::from_seed(seed.to_le_bytes());
        let mut inner = SplitMix64::from_seed((outer.next_u64() ^ index).to_le_bytes());
        Self(SplitMix64::from_seed(inner.next_u64().to_le_bytes()))
    }

    /// The next 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, each equally likely; 0 when `bound` is 0.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // Lemire's multiply and reject (ACM TOMACS 29, 2019): no bias, hardly ever a second draw.
        let mut wide = u128::from(self.bits()) * u128::from(bound);
        if low(wide) < bound {
            let threshold = bound.wrapping_neg() % bound;
            while low(wide) < threshold {
                wide = u128::from(self.bits()) * u128::from(bound);
            }
        }
        (wide >> 64) as u64
    }

    /// A fraction in `0.0..1.0`, with all 53 bits of an `f64`.
    pub fn fraction(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
        let bits = (self.bits() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    /// A duration from nothing up to and including `most`, to the nanosecond.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX - 1);
        Duration::from_nanos(self.below(nanos.saturating_add(1)))
    }

    /// Whether something that happens with this probability happens now.
    pub fn chance(&mut self, probability: Ratio) -> bool {
        self.below(u64::from(Ratio::ONE.millionths())) < u64::from(probability.millionths())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low(wide: u128) -> u64 {
    wide as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_calls_never_share_a_stream() {
        let dice = Dice::seeded(1);
        let streams: std::collections::HashSet<_> =
            (0..10_000).map(|_| dice.roll().bits()).collect();
        assert_eq!(streams.len(), 10_000);
    }

    #[test]
    fn streams_of_neighbouring_calls_do_not_overlap() {
        let dice = Dice::seeded(1);
        let (mut a, mut b) = (dice.roll(), dice.roll());
        let first: std::collections::HashSet<_> = (0..1000).map(|_| a.bits()).collect();
        assert!((0..1000).all(|_| !first.contains(&b.bits())));
    }

    #[test]
    fn neighbouring_seeds_share_no_stream() {
        let streams = |seed| {
            let dice = Dice::seeded(seed);
            (0..1000).map(move |_| dice.roll().bits())
        };
        let one: std::collections::HashSet<_> = streams(1).collect();
        assert!(streams(2).all(|bits| !one.contains(&bits)));
    }

    #[test]
    fn clones_share_the_source() {
        let dice = Dice::seeded(3);
        assert_ne!(dice.clone().roll().bits(), dice.roll().bits());
    }

    #[test]
    fn every_face_of_a_die_comes_up_alike() {
        let mut rng = Rng::seeded(11);
        let mut faces = [0_u32; 6];
        for _ in 0..60_000 {
            faces[usize::try_from(rng.below(6)).unwrap()] += 1;
        }
        // Six standard deviations of a binomial with n = 60,000, p = 1/6 are 548.
        assert!(faces.iter().all(|&n| n.abs_diff(10_000) < 548), "{faces:?}");
    }

    #[test]
    fn certainty_and_impossibility_are_exact() {
        let mut rng = Rng::seeded(5);
        assert!((0..10_000).all(|_| rng.chance(Ratio::ONE) && !rng.chance(Ratio::ZERO)));
    }

    #[test]
    fn bounds_are_kept_at_the_edges() {
        let mut rng = Rng::seeded(5);
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
        assert_eq!(rng.up_to(Duration::ZERO), Duration::ZERO);
        assert!(rng.up_to(Duration::MAX) <= Duration::MAX);
        assert!((0..1000).all(|_| rng.fraction() < 1.0));
    }

    #[test]
    fn the_first_numbers_of_a_seed_never_change() {
        // A lab run is named by its seed; these numbers are part of that promise.
        let mut rng = Rng::seeded(42);
        assert_eq!([rng.bits(), rng.bits()], PINNED);
    }

    const PINNED: [u64; 2] = [7_138_415_436_909_018_950, 16_995_303_060_395_781_456];
}
