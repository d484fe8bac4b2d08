use std::time::Duration;

use aplomb_core::Rng;

/// How long to wait before each retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    jitter: Jitter,
    base: Duration,
    cap: Duration,
    // The same in nanoseconds, as far as they fit: what chance is drawn from.
    base_nanos: u64,
    cap_nanos: u64,
}

/// How chance spreads a delay.
///
/// ```
/// use std::time::Duration;
/// use aplomb_backoff::{Backoff, Jitter};
///
/// let (base, cap) = (Duration::from_millis(50), Duration::from_secs(5));
/// assert_eq!(Backoff::full(base, cap).jitter(), Jitter::Full);
/// assert_eq!(Backoff::exponential(base, cap).jitter(), Jitter::None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Jitter {
    /// Anything from nothing to the ceiling: spreads best.
    Full,
    /// At least half of the ceiling: never immediate.
    Equal,
    /// Between the base and three times the delay before.
    Decorrelated,
    /// None at all.
    None,
}

impl Backoff {
    /// Full jitter: anything from nothing to the ceiling, which starts at `base` and doubles up
    /// to `cap`.
    pub const fn full(base: Duration, cap: Duration) -> Self {
        Self::new(Jitter::Full, base, cap)
    }

    /// Equal jitter: half of the ceiling, with up to the other half added.
    pub const fn equal(base: Duration, cap: Duration) -> Self {
        Self::new(Jitter::Equal, base, cap)
    }

    /// Decorrelated jitter: between `base` and three times the delay before, up to `cap`.
    pub const fn decorrelated(base: Duration, cap: Duration) -> Self {
        Self::new(Jitter::Decorrelated, base, cap)
    }

    /// No jitter. Callers that fail together come back together; it is here to be compared with.
    pub const fn exponential(base: Duration, cap: Duration) -> Self {
        Self::new(Jitter::None, base, cap)
    }

    const fn new(jitter: Jitter, base: Duration, cap: Duration) -> Self {
        Self { jitter, base, cap, base_nanos: nanos(base), cap_nanos: nanos(cap) }
    }

    /// For calls that somebody waits for: full jitter, base 50 ms, cap 5 s.
    pub const fn interactive() -> Self {
        Self::full(Duration::from_millis(50), Duration::from_secs(5))
    }

    /// For work that nobody watches: full jitter, base 50 ms, cap 60 s.
    pub const fn background() -> Self {
        Self::full(Duration::from_millis(50), Duration::from_secs(60))
    }

    /// The delays of one call, from its first retry on.
    pub const fn delays(self) -> Delays {
        self.delays_after(0, self.base)
    }

    /// A delay before retry number `retry`, for callers that keep no history of their own.
    pub fn delay(&self, retry: u32, rng: &mut Rng) -> Duration {
        let retry = retry.saturating_sub(1);
        self.delays_after(retry, self.ceiling(retry)).next(rng)
    }

    /// The longest delay before retry number `retry`, counted from 1.
    pub fn ceiling(&self, retry: u32) -> Duration {
        let doublings = retry.saturating_sub(1);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// The delays of a call that has been retried so many times.
    const fn delays_after(self, retry: u32, previous: Duration) -> Delays {
        let factor = if retry < u32::BITS { 1_u64 << retry } else { u32::MAX as u64 };
        let nanos = self.base_nanos.saturating_mul(factor);
        let nanos = if nanos < self.cap_nanos { nanos } else { self.cap_nanos };
        Delays { backoff: self, retry, previous, nanos }
    }

    /// How chance spreads the delays.
    pub const fn jitter(&self) -> Jitter {
        self.jitter
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::interactive()
    }
}

/// In nanoseconds, with room for one more.
#[expect(clippy::cast_possible_truncation, reason = "compared before")]
const fn nanos(time: Duration) -> u64 {
    const MOST: u64 = u64::MAX - 1;
    let nanos = time.as_nanos();
    if nanos < MOST as u128 { nanos as u64 } else { MOST }
}

/// The delays of one call. Decorrelated jitter remembers the last one, so each call has its own.
///
/// ```
/// use std::time::Duration;
/// use aplomb_backoff::{Backoff, Delays};
/// use aplomb_core::Dice;
///
/// let mut rng = Dice::seeded(7).roll();
/// let mut delays: Delays = Backoff::interactive().delays();
/// assert!(delays.next(&mut rng) <= Duration::from_millis(50));
/// // What a server asked for is a floor, and chance comes on top.
/// let asked = Duration::from_secs(2);
/// assert!(delays.next_after(asked, &mut rng) >= asked);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    backoff: Backoff,
    retry: u32,
    previous: Duration,
    /// The longest that the next delay may be with full jitter.
    nanos: u64,
}

impl Delays {
    /// The delay before the next retry.
    #[inline]
    pub fn next(&mut self, rng: &mut Rng) -> Duration {
        if self.backoff.jitter == Jitter::Full {
            // What nearly everybody uses, without arithmetic on seconds and without counting.
            let most = self.nanos;
            self.nanos = most.saturating_add(most).min(self.backoff.cap_nanos);
            return Duration::from_nanos(rng.below(most + 1));
        }
        self.retry = self.retry.saturating_add(1);
        self.next_of_few(rng)
    }

    fn next_of_few(&mut self, rng: &mut Rng) -> Duration {
        let Backoff { jitter, base, cap, .. } = self.backoff;
        let ceiling = self.backoff.ceiling(self.retry);
        self.previous = match jitter {
            Jitter::Full => rng.up_to(ceiling),
            Jitter::Equal => ceiling / 2 + rng.up_to(ceiling.saturating_sub(ceiling / 2)),
            Jitter::Decorrelated => {
                let least = base.min(cap);
                let most = self.previous.saturating_mul(3).clamp(least, cap.max(least));
                least + rng.up_to(most.saturating_sub(least))
            }
            Jitter::None => ceiling,
        };
        self.previous
    }

    /// The delay before the next retry when the server asked for `floor`.
    ///
    /// Never shorter than asked, and spread over at least a quarter of it: callers that were told
    /// the same time must not all come back at it.
    pub fn next_after(&mut self, floor: Duration, rng: &mut Rng) -> Duration {
        let own = self.next(rng);
        floor.saturating_add(own.max(rng.up_to(floor / 4)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aplomb_core::Rng;
    use proptest::prelude::*;

    #[test]
    fn ceilings_double_from_the_base_to_the_cap() {
        let backoff = Backoff::full(ms(50), ms(300));
        let ceilings: Vec<_> = (1..=5).map(|retry| backoff.ceiling(retry)).collect();
        assert_eq!(ceilings, [ms(50), ms(100), ms(200), ms(300), ms(300)]);
    }

    #[test]
    fn no_attempt_number_overflows() {
        for jitter in [Backoff::full, Backoff::equal, Backoff::decorrelated, Backoff::exponential] {
            let backoff = jitter(Duration::from_secs(u64::MAX), Duration::MAX);
            let mut delays = backoff.delays_after(u32::MAX - 1, backoff.base);
            let mut rng = Rng::seeded(1);
            let _ = (delays.next(&mut rng), delays.next(&mut rng));
            assert_eq!(backoff.ceiling(u32::MAX), Duration::MAX);
        }
    }

    #[test]
    fn full_jitter_goes_up_to_the_ceiling_of_every_retry() {
        let backoff = Backoff::full(Duration::from_nanos(1), Duration::from_secs(3600));
        for retry in 0..70 {
            let most = Duration::from_nanos(backoff.delays_after(retry, backoff.base).nanos);
            assert_eq!(most, backoff.ceiling(retry + 1), "before retry {}", retry + 1);
        }
    }

    #[test]
    fn full_jitter_reaches_its_ceiling() {
        let one = Duration::from_nanos(1);
        let mut rng = Rng::seeded(5);
        let waits: Vec<_> =
            (0..64).map(|_| Backoff::full(one, one).delays().next(&mut rng)).collect();
        assert!(waits.contains(&one) && waits.contains(&Duration::ZERO), "{waits:?}");
    }

    #[test]
    fn full_jitter_is_uniform_at_the_cap() {
        let (backoff, n) = (Backoff::full(ms(50), ms(1000)), 10_000_u32);
        let mut rng = Rng::seeded(3);
        let mut shares: Vec<f64> = (0..n)
            .map(|_| backoff.delays_after(20, backoff.base).next(&mut rng).as_secs_f64())
            .collect();
        shares.sort_by(f64::total_cmp);
        // Kolmogorov and Smirnov: at the 0.1 % level the distance stays below 1.95 / sqrt(n).
        let distance = shares
            .iter()
            .enumerate()
            .map(|(i, share)| (share - f64::from(u32::try_from(i).unwrap()) / f64::from(n)).abs())
            .fold(0.0, f64::max);
        assert!(distance < 1.95 / f64::from(n).sqrt(), "{distance}");
    }

    #[test]
    fn two_calls_do_not_wait_alike() {
        let dice = aplomb_core::Dice::seeded(1);
        let wait = || Backoff::interactive().delays().next(&mut dice.roll());
        assert_ne!(wait(), wait());
    }

    #[test]
    fn a_pushback_is_spread_over_a_quarter_of_itself() {
        let mut rng = Rng::seeded(9);
        let waits: Vec<_> = (0..1000)
            .map(|_| Backoff::full(ms(1), ms(1)).delays().next_after(ms(1000), &mut rng))
            .collect();
        assert!(waits.iter().all(|wait| (ms(1000)..=ms(1250)).contains(wait)));
        assert!(waits.iter().max().unwrap().abs_diff(*waits.iter().min().unwrap()) > ms(240));
    }

    proptest! {
        #[test]
        fn every_delay_lies_within_its_law(
            seed: u64, base in 0_u64..10_000, cap in 0_u64..100_000, retries in 1_u32..70
        ) {
            let (base, cap) = (ms(base), ms(cap));
            let mut rng = Rng::seeded(seed);
            let (mut full, mut equal) =
                (Backoff::full(base, cap).delays(), Backoff::equal(base, cap).delays());
            let mut decorrelated = Backoff::decorrelated(base, cap).delays();
            for retry in 1..=retries {
                let ceiling = Backoff::full(base, cap).ceiling(retry);
                prop_assert!(ceiling <= cap);
                prop_assert!(full.next(&mut rng) <= ceiling);
                let half = equal.next(&mut rng);
                prop_assert!(ceiling / 2 <= half && half <= ceiling);
                let wait = decorrelated.next(&mut rng);
                prop_assert!(base.min(cap) <= wait && wait <= cap);
            }
        }

        #[test]
        fn a_pushback_is_never_cut_short(seed: u64, floor in 0_u64..100_000, retries in 1_u32..20) {
            let mut rng = Rng::seeded(seed);
            let mut delays = Backoff::interactive().delays();
            for _ in 0..retries {
                prop_assert!(delays.next_after(ms(floor), &mut rng) >= ms(floor));
            }
        }
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }
}
