//! What came of the scenarios.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::paint::Paint;

/// Every scenario and what came of it.
pub(crate) struct Report {
    seed: u64,
    processes: u64,
    rows: &'static str,
    guarantee: &'static str,
    scenarios: Vec<Scenario>,
}

impl Report {
    pub(crate) fn new(
        seed: u64,
        processes: u64,
        rows: &'static str,
        guarantee: &'static str,
    ) -> Self {
        Self { seed, processes, rows, guarantee, scenarios: Vec::new() }
    }

    pub(crate) fn add(&mut self, scenario: Scenario) {
        self.scenarios.push(scenario);
    }

    /// Whether every invariant held.
    pub(crate) fn passed(&self) -> bool {
        self.scenarios.iter().all(Scenario::passed)
    }

    pub(crate) fn to_json(&self) -> Value {
        let scenarios: Vec<_> = self.scenarios.iter().map(Scenario::to_json).collect();
        json!({
            "seed": self.seed,
            "processes": self.processes,
            "rows": self.rows,
            "guarantee": self.guarantee,
            "passed": self.passed(),
            "millis": millis(self.took()),
            "scenarios": scenarios,
        })
    }

    /// A table for people.
    pub(crate) fn to_text(&self, paint: Paint) -> String {
        let mut text = String::new();
        for scenario in &self.scenarios {
            scenario.write(&mut text, paint);
        }
        let within = match self.processes {
            0 => "one process".to_owned(),
            1 => "a process of each role".to_owned(),
            count => format!("{count} processes of each role"),
        };
        let Self { seed, rows, guarantee, .. } = self;
        let verdict = if self.passed() { paint.good("pass") } else { paint.bad("FAIL") };
        let took = seconds(self.took());
        let all = format!("seed {seed}; {rows}; {within}; {took}");
        let _ = writeln!(text, "{verdict}  {all}\n      {}", paint.faint(guarantee));
        text
    }

    fn took(&self) -> Duration {
        self.scenarios.iter().map(|scenario| scenario.took).sum()
    }
}

/// One scenario: what was counted, and what should not have been.
pub(crate) struct Scenario {
    name: &'static str,
    took: Duration,
    facts: Vec<(&'static str, Value)>,
    lanes: Vec<LaneRow>,
    broken: Vec<String>,
    skipped: Option<&'static str>,
}

/// How the customers of one lane fared.
#[derive(Clone, Debug)]
pub(crate) struct LaneRow {
    pub(crate) lane: &'static str,
    pub(crate) orders: u64,
    /// How many of them were told that they have an order.
    pub(crate) accepted: u64,
    /// Requests that reached Inventory, or were sent to it.
    pub(crate) sends: u64,
    /// Reservations beyond the first for one order.
    pub(crate) duplicates: u64,
}

impl LaneRow {
    /// Requests for an order, in hundredths.
    pub(crate) fn sends_percent(&self) -> u64 {
        self.sends * 100 / self.orders.max(1)
    }

    fn accepted_percent(&self) -> u64 {
        self.accepted * 100 / self.orders.max(1)
    }
}

impl Scenario {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            took: Duration::ZERO,
            facts: Vec::new(),
            lanes: Vec::new(),
            broken: Vec::new(),
            skipped: None,
        }
    }

    /// One that is not played, and why.
    pub(crate) fn skipped(name: &'static str, why: &'static str) -> Self {
        Self { skipped: Some(why), ..Self::new(name) }
    }

    /// Says how long it took.
    pub(crate) fn took(mut self, took: Duration) -> Self {
        self.took = took;
        self
    }

    /// Notes a figure.
    pub(crate) fn note(&mut self, name: &'static str, value: impl Into<Value>) {
        self.facts.push((name, value.into()));
    }

    /// Notes a figure that has to be this one.
    pub(crate) fn expect(
        &mut self,
        name: &'static str,
        value: impl Into<Value>,
        expected: impl Into<Value>,
    ) {
        let (value, expected) = (value.into(), expected.into());
        if value != expected {
            self.broken.push(format!("{name} is {value}, not {expected}"));
        }
        self.facts.push((name, value));
    }

    /// Notes how a lane fared.
    pub(crate) fn lane(&mut self, row: LaneRow) {
        self.lanes.push(row);
    }

    /// Notes what should not have happened.
    pub(crate) fn broke(&mut self, broken: impl IntoIterator<Item = String>) {
        self.broken.extend(broken);
    }

    /// Notes that something does not hold, if it does not.
    pub(crate) fn require(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        self.broken.extend((!holds).then(otherwise));
    }

    fn passed(&self) -> bool {
        self.broken.is_empty()
    }

    fn to_json(&self) -> Value {
        let facts: Map<_, _> = self
            .facts
            .iter()
            .map(|(name, value)| (name.replace(' ', "_"), value.clone()))
            .collect();
        let lanes: Map<_, _> = self.lanes.iter().map(LaneRow::to_json).collect();
        json!({
            "name": self.name,
            "passed": self.passed(),
            "skipped": self.skipped,
            "millis": millis(self.took),
            "facts": facts,
            "lanes": lanes,
            "broken": self.broken,
        })
    }

    fn write(&self, text: &mut String, paint: Paint) {
        let (verdict, took) = match (self.skipped, self.passed()) {
            (Some(_), _) => (paint.faint("skip"), String::new()),
            (None, true) => (paint.good("pass"), seconds(self.took)),
            (None, false) => (paint.bad("FAIL"), seconds(self.took)),
        };
        let room = WIDTH - INDENT.len() - self.name.chars().count();
        let _ = writeln!(text, "{verdict}  {}{took:>room$}", paint.strong(self.name));
        let facts = self.facts.iter().map(|(name, value)| match value.as_str() {
            Some(word) => format!("{name} {word}"),
            None => format!("{name} {value}"),
        });
        for line in wrapped(facts.chain(self.skipped.map(str::to_owned)), WIDTH - INDENT.len()) {
            let _ = writeln!(text, "{INDENT}{}", paint.faint(&line));
        }
        if !self.lanes.is_empty() {
            let _ = writeln!(text, "{INDENT}{}", paint.faint(LANES_HEAD));
        }
        for lane in &self.lanes {
            let _ = writeln!(text, "{INDENT}{}", lane.to_text());
        }
        for broken in &self.broken {
            let _ = writeln!(text, "{INDENT}{}", paint.bad(broken));
        }
    }
}

impl LaneRow {
    fn to_json(&self) -> (String, Value) {
        let figures = json!({
            "orders": self.orders,
            "accepted": self.accepted,
            "sends": self.sends,
            "duplicates": self.duplicates,
        });
        (self.lane.to_owned(), figures)
    }

    fn to_text(&self) -> String {
        let Self { lane, orders, duplicates, .. } = self;
        let (accepted, sends) = (self.accepted_percent(), self.sends_percent());
        let (whole, part) = (sends / 100, sends % 100);
        format!("{lane:<18}{orders:>8}{accepted:>9} %{whole:>12}.{part:02}{duplicates:>13}")
    }
}

const LANES_HEAD: &str = "lane                orders   accepted    sends/order   duplicates";

/// Puts as many words into a line as fit.
fn wrapped(words: impl Iterator<Item = String>, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + GAP.len() + word.chars().count() <= width => {
                line.push_str(GAP);
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What fits on every terminal.
const WIDTH: usize = 79;
const INDENT: &str = "      ";
const GAP: &str = " · ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_figure_fails_the_whole_report() {
        let mut report = report();
        let mut fine = Scenario::new("fine");
        fine.expect("duplicates", 0, 0);
        report.add(fine);
        report.add(Scenario::skipped("apart", "needs --processes"));
        assert!(report.passed());
        let mut wrong = Scenario::new("wrong");
        wrong.expect("distinct keys", 2, 1);
        report.add(wrong);
        assert!(!report.passed());
        let json = report.to_json();
        assert_eq!(json["scenarios"][1]["skipped"], "needs --processes");
        assert_eq!(json["scenarios"][2]["facts"]["distinct_keys"], 2);
        assert_eq!(json["scenarios"][2]["broken"][0], "distinct keys is 2, not 1");
        assert!(report.to_text(Paint::off()).contains("FAIL  wrong"));
    }

    #[test]
    fn the_table_fits_eighty_columns_whatever_is_counted() {
        let mut scenario = Scenario::new("a story").took(Duration::from_millis(123_456));
        for _ in 0..30 {
            scenario.note("some figure or other", 1_234_567);
        }
        scenario.lane(LaneRow {
            lane: "naive",
            orders: 60,
            accepted: 30,
            sends: 231,
            duplicates: 171,
        });
        let mut report = report();
        report.add(scenario);
        let text = report.to_text(Paint::off());
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("50 %"), "{text}");
        assert!(text.contains("3.85"), "{text}");
        assert!(!text.contains('\u{1b}'), "nobody sees colours here");
    }

    fn report() -> Report {
        Report::new(7, 0, "SQLite", "as promised")
    }
}
