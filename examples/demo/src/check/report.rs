//! What came of the scenarios.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

/// Every scenario and what came of it.
pub(crate) struct Report {
    seed: u64,
    seconds: u64,
    guarantee: &'static str,
    scenarios: Vec<Scenario>,
}

impl Report {
    pub(crate) fn new(seed: u64, seconds: u64, guarantee: &'static str) -> Self {
        Self { seed, seconds, guarantee, scenarios: Vec::new() }
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
            "seconds": self.seconds,
            "guarantee": self.guarantee,
            "passed": self.passed(),
            "scenarios": scenarios,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.scenarios.iter().map(|s| s.name.chars().count());
        let width = names.max().unwrap_or_default();
        for scenario in &self.scenarios {
            let verdict = if scenario.passed() { "pass" } else { "FAIL" };
            let millis = scenario.took.as_millis();
            write!(f, "{verdict}  {:width$}  {millis:>6} ms ", scenario.name)?;
            for (name, value) in &scenario.facts {
                write!(f, "  {name} {value}")?;
            }
            writeln!(f)?;
            for broken in &scenario.broken {
                writeln!(f, "      {broken}")?;
            }
        }
        let (seed, verdict) = (self.seed, if self.passed() { "pass" } else { "FAIL" });
        writeln!(f, "{verdict}  seed {seed}; {}", self.guarantee)
    }
}

/// One scenario: what was counted, and what should not have been.
pub(crate) struct Scenario {
    name: &'static str,
    took: Duration,
    facts: Vec<(&'static str, Value)>,
    broken: Vec<String>,
}

impl Scenario {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, took: Duration::ZERO, facts: Vec::new(), broken: Vec::new() }
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

    /// Notes what should not have happened.
    pub(crate) fn broke(&mut self, broken: impl IntoIterator<Item = String>) {
        self.broken.extend(broken);
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
        json!({
            "name": self.name,
            "passed": self.passed(),
            "millis": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "facts": facts,
            "broken": self.broken,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_figure_fails_the_whole_report() {
        let mut report = Report::new(7, 1, "as promised");
        let mut fine = Scenario::new("fine");
        fine.expect("duplicates", 0, 0);
        report.add(fine);
        assert!(report.passed());
        let mut wrong = Scenario::new("wrong");
        wrong.expect("distinct keys", 2, 1);
        report.add(wrong);
        assert!(!report.passed());
        let json = report.to_json();
        assert_eq!(json["scenarios"][1]["facts"]["distinct_keys"], 2);
        assert_eq!(json["scenarios"][1]["broken"][0], "distinct keys is 2, not 1");
        assert!(report.to_string().contains("FAIL  wrong"));
    }
}
