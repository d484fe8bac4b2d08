use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::Rng;

/// How long a job waits in its queue after each round that failed.
///
/// A closure is one, and so is any schedule of `aplomb-backoff` in a closure:
/// `move |round, rng| backoff.delay(round, rng)`. It must spread: jobs that failed together must not
/// come back together.
pub trait Schedule: Send + Sync {
    /// How long to wait after round number `round`, counted from 1.
    fn wait(&self, round: u32, rng: &mut Rng) -> Duration;
}

impl<F: Fn(u32, &mut Rng) -> Duration + Send + Sync> Schedule for F {
    fn wait(&self, round: u32, rng: &mut Rng) -> Duration {
        self(round, rng)
    }
}

/// Waits that double from a base to a cap, of which chance takes up to a half: over minutes at
/// first, over hours in the end.
///
/// ```
/// use std::time::Duration;
/// use aplomb_core::Dice;
/// use aplomb_dead_letter::{Rounds, Schedule};
///
/// let mut rng = Dice::seeded(7).roll();
/// let wait = Rounds::default().wait(3, &mut rng);
/// assert!(Duration::from_secs(120) <= wait && wait <= Duration::from_secs(240));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounds {
    base: Duration,
    cap: Duration,
}

impl Rounds {
    /// From `base` after the first round, doubling up to `cap`.
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap }
    }
}

impl Default for Rounds {
    /// From a minute to four hours.
    fn default() -> Self {
        Self::new(Duration::from_secs(60), Duration::from_secs(4 * 3600))
    }
}

impl Schedule for Rounds {
    /// The cap bounds what the dice are thrown over, so that a capped wait is spread too.
    fn wait(&self, round: u32, rng: &mut Rng) -> Duration {
        let factor = 1_u32.checked_shl(round.saturating_sub(1)).unwrap_or(u32::MAX);
        let ceiling = self.base.saturating_mul(factor).min(self.cap);
        ceiling / 2 + rng.up_to(ceiling.saturating_sub(ceiling / 2))
    }
}

/// A schedule that a layer and its clones share.
#[derive(Clone)]
pub(crate) struct SharedSchedule(pub(crate) Arc<dyn Schedule>);

impl SharedSchedule {
    /// How long to wait, never shorter than what the server asked for, and spread over at least a
    /// quarter of that.
    pub(crate) fn wait(&self, round: u32, asked: Option<Duration>, rng: &mut Rng) -> Duration {
        let own = self.0.wait(round, rng);
        let Some(asked) = asked else { return own };
        own.max(asked.saturating_add(rng.up_to(asked / 4)))
    }
}

impl fmt::Debug for SharedSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schedule(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aplomb_core::Rng;
    use proptest::prelude::*;

    #[test]
    fn what_a_server_asks_for_is_spread_and_never_cut_short() {
        let schedule = SharedSchedule(Arc::new(Rounds::new(Duration::ZERO, Duration::ZERO)));
        let (asked, mut rng) = (Duration::from_secs(100), Rng::seeded(3));
        let waits: Vec<_> = (0..200).map(|_| schedule.wait(1, Some(asked), &mut rng)).collect();
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(*least >= asked && *most <= asked * 5 / 4);
        assert!(most.saturating_sub(*least) > Duration::from_secs(20));
    }

    proptest! {
        #[test]
        fn a_wait_lies_between_half_its_ceiling_and_its_ceiling(seed: u64, round in 0_u32..=u32::MAX) {
            let (base, cap) = (Duration::from_secs(60), Duration::from_secs(4 * 3600));
            let wait = Rounds::new(base, cap).wait(round, &mut Rng::seeded(seed));
            prop_assert!(wait >= base / 2 && wait <= cap);
            prop_assert!(round < 10 || wait >= cap / 2);
        }
    }
}
