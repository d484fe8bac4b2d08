use std::time::Duration;

use aplomb_backoff::{Backoff, Jitter};

/// How long a call waits between its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    jitter: Jitter,
    base: Duration,
    cap: Duration,
}

impl Waits {
    /// From `base`, doubling up to `cap`, spread by `jitter`.
    pub const fn new(jitter: Jitter, base: Duration, cap: Duration) -> Self {
        Self { jitter, base, cap }
    }

    /// How chance spreads them.
    pub const fn jitter(&self) -> Jitter {
        self.jitter
    }

    /// The ceiling of the first.
    pub const fn base(&self) -> Duration {
        self.base
    }

    /// The ceiling that none exceeds.
    pub const fn cap(&self) -> Duration {
        self.cap
    }

    /// For [`RetryLayer::backoff`](aplomb_retry::RetryLayer::backoff).
    pub const fn backoff(&self) -> Backoff {
        let Self { jitter, base, cap } = *self;
        match jitter {
            Jitter::Equal => Backoff::equal(base, cap),
            Jitter::Decorrelated => Backoff::decorrelated(base, cap),
            Jitter::None => Backoff::exponential(base, cap),
            _ => Backoff::full(base, cap),
        }
    }

    /// The longest wait before retry number `retry`, counted from 1.
    pub fn longest(&self, retry: u32) -> Duration {
        match self.jitter {
            // Up to three times the wait before, and the first is drawn from three times the base.
            Jitter::Decorrelated => {
                let factor = 3_u32.checked_pow(retry.max(1)).unwrap_or(u32::MAX);
                self.base.saturating_mul(factor).min(self.cap)
            }
            _ => self.backoff().ceiling(retry),
        }
    }

    /// The shortest.
    pub fn shortest(&self, retry: u32) -> Duration {
        match self.jitter {
            Jitter::Equal => self.longest(retry) / 2,
            Jitter::Decorrelated => self.base.min(self.cap),
            Jitter::None => self.longest(retry),
            _ => Duration::ZERO,
        }
    }

    /// The word for the jitter in a policy file.
    pub(crate) fn jitter_word(&self) -> &'static str {
        let known = JITTERS.iter().find(|(_, jitter)| *jitter == self.jitter);
        known.map_or("full", |(word, _)| word)
    }
}

pub(crate) const JITTERS: &[(&str, Jitter)] = &[
    ("full", Jitter::Full),
    ("equal", Jitter::Equal),
    ("decorrelated", Jitter::Decorrelated),
    ("none", Jitter::None),
];

#[cfg(test)]
mod tests {
    use aplomb_core::Rng;

    use super::*;

    /// The bounds that the lint reckons with, held against what the backoff really draws.
    #[test]
    fn no_wait_is_longer_or_shorter_than_said() {
        let (base, cap) = (Duration::from_millis(50), Duration::from_millis(700));
        for (_, jitter) in JITTERS {
            let waits = Waits::new(*jitter, base, cap);
            for seed in 0..500 {
                let (mut delays, mut rng) = (waits.backoff().delays(), Rng::seeded(seed));
                for retry in 1..8 {
                    let drawn = delays.next(&mut rng);
                    let bounds = waits.shortest(retry)..=waits.longest(retry);
                    assert!(bounds.contains(&drawn), "{jitter:?} {retry}: {drawn:?} {bounds:?}");
                }
            }
        }
    }

    #[test]
    fn no_number_of_retries_overflows() {
        for (_, jitter) in JITTERS {
            let waits = Waits::new(*jitter, Duration::from_secs(1), Duration::MAX);
            assert!(waits.longest(u32::MAX) >= waits.longest(1));
        }
    }
}
