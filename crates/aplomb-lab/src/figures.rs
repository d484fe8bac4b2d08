//! The figures of a run, from what was counted.

use std::ops::Range;

use crate::measure::{Measures, Second};
use crate::model::Model;
use crate::units::{SECOND, count, float, index, seconds};
use crate::words::Fault;

/// One figure: a name in the results and what it means.
///
/// ```
/// use aplomb_lab::{Figure, Key, figures, keys};
///
/// // What can be asked, and what can be set.
/// let figure: &Figure = figures().iter().find(|figure| figure.name == "amplification_during").unwrap();
/// let key: &Key = &keys().find(|key| key.name == "clients").unwrap();
/// println!("{}; {} takes {}", figure.means, key.name, key.takes);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub means: &'static str,
    of: fn(&Model, &Measures) -> Option<f64>,
}

impl Figure {
    /// Its value in a run, if it has one there.
    pub fn of(&self, model: &Model, measures: &Measures) -> Option<f64> {
        (self.of)(model, measures)
    }
}

/// Every figure there is, in the order of the results.
pub fn figures() -> &'static [Figure] {
    &FIGURES
}

/// Where a figure stands in the results.
pub(crate) fn place(name: &str) -> Option<usize> {
    FIGURES.iter().position(|figure| figure.name == name)
}

macro_rules! figures {
    ($($name:ident, $means:literal, $of:expr;)*) => {
        [$(Figure { name: stringify!($name), means: $means, of: $of }),*]
    };
}

static FIGURES: [Figure; 23] = figures![
    amplification_during, "sends for each call, in the seconds of the fault", |model, m| amplification(m, during(model));
    amplification_after, "sends for each call, from the fault's end until calls stop beginning", |model, m| amplification(m, after(model));
    success_during, "share of the calls begun during the fault that succeeded", |model, m| success(rows(m, during(model)));
    success_late, "share of the calls begun late in the run that succeeded (the ten seconds that end five before calls stop beginning)", |model, m| success(rows(m, Some(late(model))));
    goodput_late, "calls a second that succeeded late in the run", |model, m| rate(rows(m, Some(late(model))), |row| row.successes);
    waste_after, "share of the answers that nobody waited for, from the fault's end on (without a fault: of all)", |model, m| waste(rows(m, Some(since_fault(model))));
    peak_attempts_per_second, "sends in the busiest second", |_, m| m.seconds.iter().map(|row| float(row.attempts)).reduce(f64::max);
    peak_after, "sends in the busiest second from the fault's end on", |model, m| rows(m, after(model)).iter().map(|row| float(row.attempts)).reduce(f64::max);
    peak_queue, "the longest queue", |_, m| m.seconds.iter().map(|row| float(row.queue)).reduce(f64::max);
    recovered, "1 when the run recovered before its horizon, else 0", |model, m| has_recovered(model, m).map(|recovered| f64::from(u8::from(recovered)));
    time_to_recover, "seconds from the fault's end to the first of five in which 95 % of the calls begun succeed; null: never before the horizon", |model, m| faulty(model).and_then(|()| recovery(model, m));
    p50, "seconds that half of the successful calls took at most", |_, m| m.latency.quantile(0.5).map(seconds);
    p99, "seconds that 99 % of the successful calls took at most", |_, m| m.latency.quantile(0.99).map(seconds);
    duplicates, "times that the work of a call was done again, for each thousand calls", |_, m| ratio(1000.0 * sum(&m.seconds, |row| row.duplicates), sum(&m.seconds, |row| row.calls));
    hedges_per_call, "second sends of an attempt, for each call", |_, m| ratio(sum(&m.seconds, |row| row.hedges), sum(&m.seconds, |row| row.calls));
    held_back_per_call, "attempts that an open circuit did not let out, for each call", |_, m| ratio(sum(&m.seconds, |row| row.held_back), sum(&m.seconds, |row| row.calls));
    sends, "sends to the last service", |_, m| Some(sum(&m.seconds, |row| row.attempts));
    sends_per_call, "the same for each call", |_, m| ratio(sum(&m.seconds, |row| row.attempts), sum(&m.seconds, |row| row.calls));
    success_ratio, "share of the calls that succeeded, of those that ended", |_, m| success(&m.seconds);
    goodput, "calls a second that succeeded, until calls stop beginning", |model, m| rate(rows(m, Some(0..last(model))), |row| row.successes);
    queue_wait_mean, "seconds that served requests queued, on average", |_, m| ratio(sum(&m.seconds, |row| row.wait) / float(SECOND), sum(&m.seconds, |row| row.served));
    queued_share, "share of the served requests that had to queue", |_, m| ratio(sum(&m.seconds, |row| row.queued), sum(&m.seconds, |row| row.served));
    finished, "seconds until the last call ended; null: not all did", |_, m| (m.unfinished == 0).then(|| seconds(m.last_end));
];

fn faulty(model: &Model) -> Option<()> {
    (model.fault != Fault::None).then_some(())
}

/// Seconds are whole; the fault's first is the one that begins in it.
fn during(model: &Model) -> Option<Range<u64>> {
    faulty(model)?;
    let end = second_at(model.fault_end()).min(last(model));
    Some(second_at(model.fault_start).min(end)..end)
}

fn after(model: &Model) -> Option<Range<u64>> {
    faulty(model)?;
    Some(second_at(model.fault_end()).min(last(model))..last(model))
}

fn since_fault(model: &Model) -> Range<u64> {
    let begin = match model.fault {
        Fault::None => 0,
        _ => second_at(model.fault_end()),
    };
    let end = second_at(model.horizon);
    begin.min(end)..end
}

fn late(model: &Model) -> Range<u64> {
    let end = last(model);
    let settled = end.saturating_sub(5).max(end / 2);
    settled.saturating_sub(10)..settled
}

/// The second in which calls stop beginning.
fn last(model: &Model) -> u64 {
    second_at(model.arrivals_end())
}

fn second_at(nanos: u64) -> u64 {
    nanos.div_ceil(SECOND)
}

fn rows(measures: &Measures, range: Option<Range<u64>>) -> &[Second] {
    let Some(range) = range else { return &[] };
    // Of a run that was ended early, what it did not reach says nothing.
    let reached = second_at(measures.reached).min(range.end);
    let rows = &measures.seconds;
    let end = index(reached).min(rows.len());
    &rows[index(range.start).min(end)..end]
}

fn amplification(measures: &Measures, range: Option<Range<u64>>) -> Option<f64> {
    let rows = rows(measures, range);
    ratio(sum(rows, |row| row.attempts), sum(rows, |row| row.calls))
}

fn success(rows: &[Second]) -> Option<f64> {
    let succeeded = sum(rows, |row| row.calls_succeeded);
    ratio(succeeded, succeeded + sum(rows, |row| row.calls_failed))
}

fn waste(rows: &[Second]) -> Option<f64> {
    let wasted = sum(rows, |row| row.wasted);
    ratio(wasted, wasted + sum(rows, |row| row.useful))
}

fn rate(rows: &[Second], of: impl Fn(&Second) -> u64) -> Option<f64> {
    ratio(sum(rows, of), float(count(rows.len())))
}

/// Nothing when a run was ended before it could tell.
fn has_recovered(model: &Model, measures: &Measures) -> Option<bool> {
    faulty(model)?;
    let recovered = recovery(model, measures).is_some();
    (recovered || measures.reached == model.horizon).then_some(recovered)
}

fn recovery(model: &Model, measures: &Measures) -> Option<f64> {
    let end = second_at(model.fault_end());
    let after = rows(measures, Some(end..last(model)));
    let well = |row: &Second| row.calls_succeeded * 100 >= row.calls * HEALTHY_PERCENT;
    let first = after.windows(HEALTHY_SECONDS).position(|five| five.iter().all(well))?;
    Some(float(count(first)))
}

fn sum(rows: &[Second], of: impl Fn(&Second) -> u64) -> f64 {
    float(rows.iter().map(of).sum())
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

const HEALTHY_PERCENT: u64 = 95;
const HEALTHY_SECONDS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_is_the_first_of_five_healthy_seconds() {
        let (model, mut measures) = outage();
        for (second, succeeded) in [(10, 94), (11, 95), (12, 95), (13, 90), (14, 95)] {
            measures.seconds[second].calls_succeeded = succeeded;
        }
        assert_eq!(recovery(&model, &measures), Some(4.0), "second 14 is the first");
        measures.seconds[18].calls_succeeded = 0;
        assert_eq!(recovery(&model, &measures), Some(9.0));
    }

    #[test]
    fn four_healthy_seconds_are_no_recovery() {
        let (model, mut measures) = outage();
        for second in [14, 19, 24, 29] {
            measures.seconds[second].calls_succeeded = 0;
        }
        for second in 10..14 {
            measures.seconds[second].calls_succeeded = 0;
        }
        assert_eq!(recovery(&model, &measures), None);
    }

    #[test]
    fn a_run_without_a_fault_has_no_recovery() {
        let model = Model::default();
        let measures = Measures::new(model.horizon);
        let figure = &FIGURES[place("recovered").unwrap()];
        assert_eq!(figure.of(&model, &measures), None);
    }

    #[test]
    fn seconds_that_a_run_did_not_reach_are_not_healthy() {
        let (model, mut measures) = outage();
        measures.reached = 12 * SECOND;
        for row in &mut measures.seconds[12..] {
            (row.calls, row.calls_succeeded) = (0, 0);
        }
        assert_eq!(recovery(&model, &measures), None);
        assert_eq!(has_recovered(&model, &measures), None, "nobody knows yet");
    }

    /// A fault from second 5 to second 10 of 30, 100 calls a second, all of them fine.
    fn outage() -> (Model, Measures) {
        let mut model = Model::default();
        for (key, value) in
            [("horizon", "30"), ("fault", "error"), ("fault_start", "5"), ("fault_seconds", "5")]
        {
            model.set(key, value).unwrap();
        }
        let mut measures = Measures::new(model.horizon);
        measures.reached = model.horizon;
        for row in &mut measures.seconds {
            (row.calls, row.calls_succeeded) = (100, 100);
        }
        (model, measures)
    }
}
