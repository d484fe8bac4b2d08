//! How the customers of one lane fare: counted since the start, measured over the last seconds.

use std::collections::VecDeque;
use std::time::Duration;

use aplomb_core::time::Instant;

use super::{Outcome, Told};

/// Counts the answers of one lane.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    counts: Counts,
    recent: VecDeque<Answered>,
    last: Option<Outcome>,
}

/// Since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) orders: u64,
    pub(crate) confirmed: u64,
    pub(crate) pending: u64,
    pub(crate) sold_out: u64,
    pub(crate) failed: u64,
    /// Orders that were not placed, since too many were under way.
    pub(crate) shed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Answered {
    at: Instant,
    took: Duration,
    accepted: bool,
}

/// One look at a gauge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) counts: Counts,
    /// The share of customers, in percent, who have an order.
    pub(crate) accepted: Option<f64>,
    pub(crate) p50: Option<Duration>,
    pub(crate) p99: Option<Duration>,
    /// What the last customer was told.
    pub(crate) last: Option<Outcome>,
}

impl Gauge {
    /// Somebody was told something.
    pub(crate) fn told(&mut self, told: &Told, now: Instant) {
        let Told { outcome, took, .. } = *told;
        let counts = &mut self.counts;
        counts.orders += 1;
        *match outcome {
            Outcome::Confirmed => &mut counts.confirmed,
            Outcome::Pending => &mut counts.pending,
            Outcome::SoldOut => &mut counts.sold_out,
            Outcome::Failed => &mut counts.failed,
        } += 1;
        self.last = Some(outcome);
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Answered { at: now, took, accepted: outcome.is_accepted() });
    }

    /// An order was not placed.
    pub(crate) fn shed(&mut self) {
        self.counts.shed += 1;
    }

    pub(crate) fn read(&mut self, now: Instant) -> Reading {
        while self.recent.front().is_some_and(|answered| now - answered.at > WINDOW) {
            self.recent.pop_front();
        }
        let mut times: Vec<_> = self.recent.iter().map(|answered| answered.took).collect();
        times.sort_unstable();
        let accepted = self.recent.iter().filter(|answered| answered.accepted).count();
        Reading {
            counts: self.counts,
            accepted: percent(accepted, times.len()),
            p50: quantile(&times, 50),
            p99: quantile(&times, 99),
            last: self.last,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a window holds a few thousand answers")]
fn percent(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

/// The smallest time that so many percent of all times do not exceed.
fn quantile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// Long enough to be calm, short enough that a knob is seen to act.
const WINDOW: Duration = Duration::from_secs(4);
const RECENT_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use aplomb_core::time;

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_the_window_no_longer_counts() {
        let mut gauge = Gauge::default();
        gauge.told(&told(Outcome::Failed, 900), time::now());
        tokio::time::advance(WINDOW / 2).await;
        gauge.told(&told(Outcome::Pending, 30), time::now());
        let both = gauge.read(time::now());
        assert_eq!((both.accepted, both.p99), (Some(50.0), Some(Duration::from_millis(900))));
        tokio::time::advance(WINDOW * 2 / 3).await;
        let later = gauge.read(time::now());
        assert_eq!((later.accepted, later.p99), (Some(100.0), Some(Duration::from_millis(30))));
        assert_eq!((later.counts.orders, later.counts.failed), (2, 1));
        assert_eq!(later.last, Some(Outcome::Pending));
        tokio::time::advance(WINDOW).await;
        assert_eq!(gauge.read(time::now()).p50, None);
    }

    #[test]
    fn quantiles_are_times_that_were_measured() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(quantile(&times, 50), Some(Duration::from_millis(100)));
        assert_eq!(quantile(&times, 99), Some(Duration::from_millis(198)));
        assert_eq!(quantile(&times[..1], 99), Some(Duration::from_millis(1)));
        assert_eq!(quantile(&[], 50), None);
    }

    fn told(outcome: Outcome, millis: u64) -> Told {
        Told { outcome, took: Duration::from_millis(millis), order: None }
    }
}
