//! What an experiment found, as JSON and as a table.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::figures::{self, figures};
use crate::keys::keys;
use crate::model::Model;
use crate::scenario::{Case, Scenario};
use crate::series::Series;
use crate::statistic::Statistic;
use crate::units::seconds;
use crate::words::Fault;

/// What was found.
#[derive(Debug)]
pub struct Report {
    pub(crate) scenario: String,
    pub(crate) about: String,
    show: Vec<String>,
    pub(crate) outcomes: Vec<Outcome>,
}

/// One case's runs.
#[derive(Debug)]
pub(crate) struct Outcome {
    case: Case,
    pub(crate) runs: Vec<Run>,
}

/// One run's figures.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) figures: Vec<Option<f64>>,
    pub(crate) events: u64,
    pub(crate) reached: u64,
    pub(crate) is_complete: bool,
    pub(crate) series: Series,
}

impl Outcome {
    pub(crate) fn name(&self) -> &str {
        &self.case.name
    }

    /// The policy alone.
    pub(crate) fn policy(&self) -> &str {
        self.case.name.split(' ').next().unwrap_or_default()
    }

    /// What varies, and how; nothing when nothing does.
    pub(crate) fn variant(&self) -> &str {
        self.case.name.split_once(' ').map_or("", |(_, variant)| variant)
    }

    pub(crate) fn model(&self) -> &Model {
        &self.case.model
    }

    /// A figure over all seeds.
    ///
    /// # Panics
    ///
    /// When there is no such figure: the names asked for here are the lab's own.
    pub(crate) fn figure(&self, name: &str) -> Statistic {
        self.statistic(figures::place(name).expect("the lab asks for figures that it has"))
    }

    /// The means over the runs that count.
    pub(crate) fn series(&self) -> Series {
        Series::mean(self.counted().map(|run| &run.series))
    }

    pub(crate) fn new(case: Case) -> Self {
        let runs = Vec::new();
        Self { case, runs }
    }

    /// The runs that count: the complete ones, or else what there is.
    fn counted(&self) -> impl Iterator<Item = &Run> {
        let any = self.runs.iter().any(|run| run.is_complete);
        self.runs.iter().filter(move |run| run.is_complete || !any)
    }

    pub(crate) fn is_complete(&self) -> bool {
        let complete = self.runs.iter().filter(|run| run.is_complete).count();
        complete as u64 == u64::from(self.case.model.seeds)
    }

    pub(crate) fn statistic(&self, figure: usize) -> Statistic {
        Statistic::of(self.counted().map(|run| run.figures[figure]).collect())
    }

    fn results(&self) -> Value {
        let results = figures().iter().enumerate().map(|(place, figure)| {
            let Statistic { mean, ci95, per_seed } = self.statistic(place);
            let mut value = json!({"mean": mean, "ci95": ci95, "per_seed": per_seed});
            if figure.name == "time_to_recover" {
                value["horizon"] = json!(seconds(self.case.model.horizon));
            }
            (figure.name.to_owned(), value)
        });
        Value::Object(results.collect())
    }
}

impl Report {
    pub(crate) fn new(scenario: &Scenario, outcomes: Vec<Outcome>) -> Self {
        Self {
            scenario: scenario.name().to_owned(),
            about: scenario.about().to_owned(),
            show: scenario.show().to_vec(),
            outcomes,
        }
    }

    /// Whether runs are missing, because somebody ended them.
    pub fn is_partial(&self) -> bool {
        !self.outcomes.iter().all(Outcome::is_complete)
    }

    /// How many events all runs handled.
    pub fn events(&self) -> u64 {
        let runs = self.outcomes.iter().flat_map(|outcome| &outcome.runs);
        runs.map(|run| run.events).sum()
    }

    /// A figure of a policy over all seeds.
    pub fn figure(&self, policy: &str, figure: &str) -> Option<Statistic> {
        let outcome = self.outcomes.iter().find(|o| o.case.name == policy)?;
        Some(outcome.statistic(figures::place(figure)?))
    }

    /// Everything, as the crate's guide describes it. The same bytes for the same seeds.
    pub fn to_json(&self) -> Value {
        let by_name = |value: fn(&Outcome) -> Value| {
            let pairs = self.outcomes.iter().map(|o| (o.case.name.clone(), value(o)));
            Value::Object(pairs.collect())
        };
        let names: Vec<&str> = self.outcomes.iter().map(|o| o.case.name.as_str()).collect();
        json!({
            "scenario": self.scenario,
            "about": self.about,
            "partial": self.is_partial(),
            "events": self.events(),
            "policies": names,
            "settings": by_name(|outcome| {
                let model = &outcome.case.model;
                let pairs = keys().map(|key| (key.name.to_owned(), json!(model.get(key.name))));
                Value::Object(pairs.collect::<Map<_, _>>())
            }),
            "runs": by_name(|outcome| {
                let run = |run: &Run| json!({
                    "seed": run.seed,
                    "events": run.events,
                    "reached": seconds(run.reached),
                    "complete": run.is_complete,
                });
                outcome.runs.iter().map(run).collect()
            }),
            "results": by_name(Outcome::results),
        })
    }

    /// Where the figures stand that the scenario shows.
    pub(crate) fn shown(&self) -> Vec<usize> {
        if self.show.is_empty() {
            return (0..figures().len()).collect();
        }
        self.show.iter().filter_map(|name| figures::place(name)).collect()
    }

    /// The figures that the scenario shows, for people.
    pub fn to_table(&self) -> String {
        let shown = self.shown();
        let mut rows = vec![
            std::iter::once("policy".to_owned())
                .chain(shown.iter().map(|&place| figures()[place].name.to_owned()))
                .collect::<Vec<_>>(),
        ];
        for outcome in &self.outcomes {
            let cells = shown.iter().map(|&place| cell(outcome, place));
            rows.push(std::iter::once(outcome.case.name.clone()).chain(cells).collect());
        }
        let mut text = format!("{}: {}\n\n", self.scenario, self.about);
        // Many figures of few policies read better downwards.
        if shown.len() > FIGURES_ACROSS {
            rows = (0..=shown.len())
                .map(|column| rows.iter().map(|row| row[column].clone()).collect())
                .collect();
        }
        align(&rows, &mut text);
        if self.is_partial() {
            text.push_str("\npartial: the run was ended early\n");
        }
        text
    }
}

/// Mean and confidence interval, or how often there was none.
pub(crate) fn cell(outcome: &Outcome, place: usize) -> String {
    let (model, statistic) = (&outcome.case.model, outcome.statistic(place));
    let never = statistic.per_seed.iter().filter(|value| value.is_none()).count();
    match (statistic.mean, statistic.ci95) {
        _ if statistic.per_seed.is_empty() => "-".to_owned(),
        (Some(mean), Some(ci95)) => format!("{} ± {}", short(mean), short(ci95)),
        (Some(mean), None) => short(mean),
        _ if is_never(outcome, place) => format!(
            "never in {}s ({never} of {})",
            seconds(model.horizon),
            statistic.per_seed.len()
        ),
        (None, _) => "-".to_owned(),
    }
}

/// Whether no value means that the run came to its end without recovering.
pub(crate) fn is_never(outcome: &Outcome, place: usize) -> bool {
    outcome.statistic(place).mean.is_none()
        && figures()[place].name == "time_to_recover"
        && outcome.case.model.fault != Fault::None
        && outcome.counted().all(|run| run.is_complete)
}

/// Four digits that count.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    let digits = [1000.0, 100.0, 10.0].iter().filter(|&&bound| size < bound).count();
    let text = format!("{value:.*}", if size < 1.0 { 4 } else { digits });
    match text.trim_end_matches('0').trim_end_matches('.') {
        _ if !text.contains('.') => text,
        "" | "-" => "0".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

fn align(rows: &[Vec<String>], text: &mut String) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let mut line = String::new();
        for (cell, &width) in row.iter().zip(&widths) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// More figures than these stand below each other.
const FIGURES_ACROSS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_show_four_digits_that_count() {
        for (value, text) in [
            (0.0, "0"),
            (0.95, "0.95"),
            (1.0, "1"),
            (1.2345, "1.234"),
            (88.0, "88"),
            (123.456, "123.5"),
            (2418.3, "2418"),
            (100.0, "100"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
