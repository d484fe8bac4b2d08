//! A run second by second, small enough to draw.

use crate::measure::{Measures, Second};
use crate::units::{SECOND, count, float};

/// What was counted over time: one point for each of at most [`POINTS`] stretches of equal length.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Series {
    /// How many seconds a stretch has.
    pub(crate) step: usize,
    pub(crate) points: Vec<Point>,
}

/// One stretch, everything a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Point {
    pub(crate) calls: f64,
    pub(crate) attempts: f64,
    pub(crate) goodput: f64,
    pub(crate) throughput: f64,
    /// Seconds that those queued who were served, on average; nothing when nobody was.
    pub(crate) wait: Option<f64>,
    /// Retries that a client holds; nothing without a budget.
    pub(crate) held: Option<f64>,
    /// The share of the clients with a circuit that is not closed.
    pub(crate) open: f64,
}

impl Series {
    pub(crate) fn of(measures: &Measures) -> Self {
        let step = measures.seconds.len().div_ceil(POINTS).max(1);
        let points = measures.seconds.chunks(step).map(Point::of).collect();
        Self { step, points }
    }

    /// The mean of several runs of the same length.
    pub(crate) fn mean<'a>(runs: impl Iterator<Item = &'a Self>) -> Self {
        let runs: Vec<&Self> = runs.collect();
        let Some(first) = runs.first() else { return Self::default() };
        let points = (0..first.points.len()).map(|place| {
            let at: Vec<&Point> = runs.iter().filter_map(|run| run.points.get(place)).collect();
            Point::mean(&at)
        });
        Self { step: first.step, points: points.collect() }
    }
}

impl Point {
    fn of(rows: &[Second]) -> Self {
        let seconds = float(count(rows.len()));
        let rate = |of: fn(&Second) -> u64| float(rows.iter().map(of).sum()) / seconds;
        let served = rate(|row| row.served);
        let held = rows.iter().map(|row| row.held).sum::<f64>() / seconds;
        Self {
            calls: rate(|row| row.calls),
            attempts: rate(|row| row.attempts),
            goodput: rate(|row| row.successes),
            throughput: rate(|row| row.completions),
            wait: (served > 0.0).then(|| rate(|row| row.wait) / served / float(SECOND)),
            held: Some(held).filter(|held| held.is_finite()),
            open: rows.iter().map(|row| row.open).sum::<f64>() / seconds,
        }
    }

    fn mean(points: &[&Self]) -> Self {
        let mean = |of: fn(&Self) -> f64| {
            points.iter().map(|point| of(point)).sum::<f64>() / float(count(points.len()))
        };
        let known = |of: fn(&Self) -> Option<f64>| {
            let known: Vec<f64> = points.iter().filter_map(|point| of(point)).collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / float(count(known.len())))
        };
        Self {
            calls: mean(|point| point.calls),
            attempts: mean(|point| point.attempts),
            goodput: mean(|point| point.goodput),
            throughput: mean(|point| point.throughput),
            wait: known(|point| point.wait),
            held: known(|point| point.held),
            open: mean(|point| point.open),
        }
    }
}

/// More than a picture this wide can show.
pub(crate) const POINTS: usize = 240;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_is_drawn_in_stretches() {
        let mut measures = Measures::new(1_000 * SECOND);
        measures.seconds.iter_mut().for_each(|row| row.calls = 7);
        let series = Series::of(&measures);
        assert_eq!((series.step, series.points.len()), (5, 200));
        assert!(series.points.iter().all(|point| point.calls.to_string() == "7"));
        assert!(series.points.iter().all(|point| point.wait.is_none()), "nobody was served");
    }

    #[test]
    fn what_only_some_runs_know_is_their_mean() {
        let known = Point { wait: Some(3.0), calls: 2.0, ..Point::default() };
        let mean = Point::mean(&[&known, &Point::default()]);
        assert_eq!((mean.wait, mean.calls.to_string()), (Some(3.0), "1".to_owned()));
    }
}
