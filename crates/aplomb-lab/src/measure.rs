use crate::units::{SECOND, float, index};

/// What was counted in a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measures {
    /// One row a second.
    pub seconds: Vec<Second>,
    /// How long calls that succeeded took.
    pub latency: Histogram,
    /// How many events the kernel handled.
    pub events: u64,
    /// When the last call ended, in nanoseconds.
    pub last_end: u64,
    /// How far virtual time came: less than the horizon when the run was interrupted.
    pub reached: u64,
    /// Calls that neither succeeded nor failed before the end.
    pub unfinished: u64,
}

/// What was counted in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Second {
    /// Calls that began.
    pub calls: u64,
    /// Those of them that succeeded, whenever they did.
    pub calls_succeeded: u64,
    /// Those of them that failed, whenever they did.
    pub calls_failed: u64,
    /// Attempts sent to the last service.
    pub attempts: u64,
    /// Requests that reached the last service.
    pub arrivals: u64,
    /// Requests that a worker finished.
    pub completions: u64,
    /// Answers that somebody waited for.
    pub useful: u64,
    /// Answers that nobody waited for any more.
    pub wasted: u64,
    /// Requests refused: a full queue, too long a wait, or shed.
    pub rejects: u64,
    /// Calls that ended in success: goodput.
    pub successes: u64,
    /// The longest queue.
    pub queue: u64,
    /// Requests that began to be served.
    pub served: u64,
    /// Those of them that had to queue.
    pub queued: u64,
    /// How long all of them queued together, in nanoseconds.
    pub wait: u64,
    /// Attempts that an open circuit did not let out.
    pub held_back: u64,
    /// Second sends of an attempt.
    pub hedges: u64,
    /// Times that the work of a call was done though it was done before.
    pub duplicates: u64,
    /// The retries that a client holds when the second ends, on average.
    pub held: f64,
    /// The share of the clients with a circuit that is not closed then.
    pub open: f64,
}

impl Measures {
    pub(crate) fn new(horizon: u64) -> Self {
        let rows = index(horizon.div_ceil(SECOND));
        Self {
            seconds: vec![Second::default(); rows.max(1)],
            latency: Histogram::default(),
            events: 0,
            last_end: 0,
            reached: 0,
            unfinished: 0,
        }
    }

    /// The row of the second that `at` lies in.
    pub(crate) fn at(&mut self, at: u64) -> &mut Second {
        &mut self.seconds[index(at / SECOND)]
    }
}

/// Times, counted in steps of less than one part in a hundred.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; index(place(u64::MAX)) + 1], total: 0 }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, nanos: u64) {
        self.counts[index(place(nanos))] += 1;
        self.total += 1;
    }

    /// The time that this share of all times does not exceed, in nanoseconds.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        if self.total == 0 {
            return None;
        }
        let mut below = 0;
        let step = self.counts.iter().position(|count| {
            below += count;
            float(below) >= share * float(self.total)
        })?;
        Some(middle(step as u64))
    }
}

/// The step of a time: exact below 128 ns, then 128 steps to each doubling.
fn place(nanos: u64) -> u64 {
    let doublings = nanos.max(STEPS).ilog2() - STEPS.ilog2();
    u64::from(doublings) * STEPS + (nanos >> doublings)
}

/// The time in the middle of a step.
fn middle(step: u64) -> u64 {
    let doublings = (step / STEPS).saturating_sub(1);
    let least = (step - doublings * STEPS) << doublings;
    least + (1 << doublings) / 2
}

const STEPS: u64 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_narrower_than_a_hundredth() {
        for nanos in [0, 1, 127, 128, 129, 1_000, 123_456_789, u64::MAX / 3] {
            let back = middle(place(nanos));
            assert!(float(back.abs_diff(nanos)) <= float(nanos) / 200.0, "{nanos}: {back}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_times() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        (1..=100).for_each(|n| histogram.record(n * 1_000_000));
        let median = histogram.quantile(0.5).unwrap();
        assert!(median.abs_diff(50_000_000) < 500_000, "{median}");
        assert!(histogram.quantile(0.99).unwrap().abs_diff(99_000_000) < 990_000);
    }
}
