//! What was measured beside what was predicted.

use std::fmt::Write as _;
use std::ops::Range;

use serde_json::json;

use super::lane::{FAULT, Lane};

/// One second of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// Calls that began.
    pub(crate) calls: u64,
    pub(crate) sends: u64,
    /// Calls that ended in success.
    pub(crate) good: u64,
}

/// A lane in both worlds.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) name: &'static str,
    pub(crate) predicted: Vec<Row>,
    pub(crate) measured: Vec<Row>,
    pub(crate) phases: Vec<Phase>,
}

/// Both worlds in one stretch of time, its edges left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    /// Sends for each call: predicted, measured.
    pub(crate) sends: (f64, f64),
    /// Calls that succeed, in parts of those that begin: predicted, measured.
    pub(crate) good: (f64, f64),
}

impl Phase {
    fn of(name: &'static str, seconds: Range<usize>, predicted: &[Row], measured: &[Row]) -> Self {
        let sum = |rows: &[Row], of: fn(&Row) -> u64| -> f64 {
            let rows = rows.get(seconds.clone()).unwrap_or_default();
            f64::from(u32::try_from(rows.iter().map(of).sum::<u64>()).unwrap_or(u32::MAX))
        };
        let share =
            |rows: &[Row], of: fn(&Row) -> u64| sum(rows, of) / sum(rows, |row| row.calls).max(1.0);
        Self {
            name,
            sends: (share(predicted, |row| row.sends), share(measured, |row| row.sends)),
            good: (share(predicted, |row| row.good), share(measured, |row| row.good)),
        }
    }

    /// How far the measured sends are from the prediction, in percent of it.
    pub(crate) fn sends_off(&self) -> f64 {
        100.0 * (self.sends.1 - self.sends.0).abs() / self.sends.0.max(1e-9)
    }

    /// How far goodput is, in percent of the calls that begin.
    pub(crate) fn good_off(&self) -> f64 {
        100.0 * (self.good.1 - self.good.0).abs()
    }
}

impl Comparison {
    pub(crate) fn of(lane: &Lane, predicted: Vec<Row>, measured: Vec<Row>) -> Self {
        let second = |second: u64| usize::try_from(second).unwrap_or(0);
        let (start, end) = (second(FAULT.0), second(FAULT.1));
        let last = predicted.len().min(measured.len());
        // What happens in the seconds beside an edge depends on fractions of one.
        let phases = [
            ("before", EDGE..start - EDGE),
            ("in the fault", start + EDGE..end - EDGE),
            ("after", end + EDGE..last.saturating_sub(EDGE)),
        ];
        let phases = phases.map(|(name, seconds)| Phase::of(name, seconds, &predicted, &measured));
        Self { name: lane.name, predicted, measured, phases: phases.to_vec() }
    }
}

/// The largest distance anywhere, in percent.
pub(crate) fn worst(compared: &[Comparison]) -> f64 {
    let phases = compared.iter().flat_map(|comparison| &comparison.phases);
    phases.map(|phase| phase.sends_off().max(phase.good_off())).fold(0.0, f64::max)
}

pub(crate) fn table(compared: &[Comparison]) -> String {
    let mut text = format!(
        "{:<16}{:<14}{:>8}{:>9}{:>7}   {:>8}{:>9}{:>7}\n{:<30}{:>24}   {:>24}\n",
        "",
        "",
        "lab",
        "sockets",
        "off",
        "lab",
        "sockets",
        "off",
        "",
        "sends for each call",
        "good, of the calls"
    );
    for Comparison { name, phases, .. } in compared {
        for phase in phases {
            let Phase { name: when, sends, good } = phase;
            let _ = writeln!(
                text,
                "{name:<16}{when:<14}{:>8.3}{:>9.3}{:>6.1}%   {:>8.3}{:>9.3}{:>6.1}%",
                sends.0,
                sends.1,
                phase.sends_off(),
                good.0,
                good.1,
                phase.good_off()
            );
        }
    }
    let _ = write!(text, "furthest apart: {:.1} %", worst(compared));
    text
}

pub(crate) fn json(compared: &[Comparison]) -> serde_json::Value {
    let lane = |comparison: &Comparison| {
        let phase = |phase: &Phase| {
            json!({
                "phase": phase.name,
                "sends_per_call": { "lab": phase.sends.0, "sockets": phase.sends.1 },
                "good_share": { "lab": phase.good.0, "sockets": phase.good.1 },
                "sends_off_percent": phase.sends_off(),
                "good_off_percent": phase.good_off(),
            })
        };
        let phases: Vec<_> = comparison.phases.iter().map(phase).collect();
        json!({ "lane": comparison.name, "phases": phases })
    };
    let lanes: Vec<_> = compared.iter().map(lane).collect();
    json!({ "lanes": lanes, "worst_percent": worst(compared) })
}

/// So many seconds at each end of a phase are not compared.
const EDGE: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_leave_out_the_seconds_beside_the_edges() {
        let mut predicted = vec![Row { calls: 100, sends: 200, good: 50 }; 40];
        let measured = vec![Row { calls: 100, sends: 210, good: 45 }; 40];
        predicted[10] = Row { calls: 100, sends: 9_000, good: 0 };
        let lane = &super::super::lane::all(1_000, 40, 1).unwrap()[0];
        let comparison = Comparison::of(lane, predicted, measured);
        for phase in &comparison.phases {
            assert!((phase.sends_off() - 5.0).abs() < 1e-9, "{phase:?}");
            assert!((phase.good_off() - 5.0).abs() < 1e-9, "{phase:?}");
        }
        assert!(table(&[comparison]).contains("furthest apart: 5.0 %"));
    }
}
