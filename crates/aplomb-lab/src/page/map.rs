//! Phase maps: from which faults, at which loads, a policy comes back.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{escape, head};
use crate::report::{Outcome, Report, short};
use crate::sweep::Grid;
use crate::units::{count, float};
use crate::value::written;

impl Report {
    /// A sweep as one HTML file: a map for each policy.
    pub fn to_map_html(&self, grid: &Grid) -> String {
        let mut page = head(&format!("{}: phase map", self.scenario));
        let _ = write!(
            page,
            "<h1>{}: phase map</h1><p class=\"about\">{}</p>",
            escape(&self.scenario),
            escape(&self.about)
        );
        if self.is_partial() {
            page.push_str("<p><b>Partial:</b> the run was ended early; runs are missing.</p>");
        }
        page.push_str(
            "<p class=\"soft\">Across: the load, in parts of the capacity. Down: how long the fault \
             lasts. In each place: seconds from the fault's end until all is well, or <i>never</i> \
             before the horizon.</p><ul class=\"legend\"><li><b class=\"r0\">at once</b></li>\
             <li><b class=\"r1\">up to 10 s</b></li><li><b class=\"r2\">up to a minute</b></li>\
             <li><b class=\"r3\">longer</b></li><li><b class=\"rn\">never</b></li></ul>\
             <div class=\"cards\">",
        );
        for (policy, outcomes) in self.by_policy() {
            let _ = write!(
                page,
                "<section class=\"card\"><h3>{}</h3><p class=\"soft\">{}</p>{}</section>",
                escape(policy),
                escape(&sentence(&outcomes)),
                table(&outcomes, grid)
            );
        }
        page.push_str("</div>");
        let _ = writeln!(
            page,
            "<p class=\"soft\">{} events were handled. Made by <code>aplomb lab sweep</code>; the same \
             seeds make the same file.</p></body></html>",
            self.events()
        );
        page
    }

    /// The same for a terminal.
    pub fn to_map_table(&self, grid: &Grid) -> String {
        let mut text = format!("{}: {}\n", self.scenario, self.about);
        for (policy, outcomes) in self.by_policy() {
            let _ = write!(text, "\n{policy}: {}\n{:>8}", sentence(&outcomes), "");
            for load in &grid.loads {
                let _ = write!(text, " {:>6}", format!("{:.0}%", 100.0 * load));
            }
            text.push('\n');
            for (row, length) in grid.faults.iter().enumerate() {
                let _ = write!(text, "{:>8}", written(*length));
                for column in 0..grid.loads.len() {
                    let place = row * grid.loads.len() + column;
                    let told = outcomes.get(place).map_or(String::new(), |outcome| told(outcome).1);
                    let _ = write!(text, " {told:>6}");
                }
                text.push('\n');
            }
        }
        if self.is_partial() {
            text.push_str("\npartial: the run was ended early\n");
        }
        text
    }

    /// What [`to_json`](Self::to_json) says, and the maps: `sweep.recovers.POLICY` has a row for each
    /// length of the fault, in it a share of runs that recovered for each load.
    pub fn to_map_json(&self, grid: &Grid) -> Value {
        let mut json = self.to_json();
        let maps = self.by_policy().into_iter().map(|(policy, outcomes)| {
            let rows = outcomes.chunks(grid.loads.len());
            let rows = rows.map(|row| row.iter().map(|outcome| recovers(outcome)).collect());
            (policy.to_owned(), Value::Array(rows.collect::<Vec<Value>>()))
        });
        json["sweep"] = json!({
            "loads": grid.loads,
            "faults": grid.faults.iter().map(|&nanos| written(nanos)).collect::<Vec<_>>(),
            "recovers": Value::Object(maps.collect()),
        });
        json
    }

    fn by_policy(&self) -> Vec<(&str, Vec<&Outcome>)> {
        let mut maps: Vec<(&str, Vec<&Outcome>)> = Vec::new();
        for outcome in &self.outcomes {
            match maps.last_mut().filter(|(policy, _)| *policy == outcome.policy()) {
                Some((_, outcomes)) => outcomes.push(outcome),
                None => maps.push((outcome.policy(), vec![outcome])),
            }
        }
        maps
    }
}

fn sentence(outcomes: &[&Outcome]) -> String {
    let recovered = outcomes.iter().filter(|outcome| recovers(outcome) == json!(1.0)).count();
    format!("well again in {recovered} of {} places", outcomes.len())
}

/// The share of the runs that recovered; nothing when none came so far.
fn recovers(outcome: &Outcome) -> Value {
    let known = outcome.figure("recovered").per_seed;
    let known: Vec<f64> = known.into_iter().flatten().collect();
    if known.is_empty() {
        return Value::Null;
    }
    json!(known.iter().sum::<f64>() / float(count(known.len())))
}

/// A class and a word for one place.
fn told(outcome: &Outcome) -> (&'static str, String) {
    let figure = outcome.figure("time_to_recover");
    let Some(share) = recovers(outcome).as_f64() else { return ("", "–".to_owned()) };
    match figure.mean {
        Some(time) if time < 1.0 => ("r0", short(time)),
        Some(time) if time <= 10.0 => ("r1", short(time)),
        Some(time) if time <= 60.0 => ("r2", short(time)),
        Some(time) => ("r3", format!("{time:.0}")),
        None if share > 0.0 => ("rn", format!("{:.0}%", 100.0 * share)),
        None => ("rn", "never".to_owned()),
    }
}

fn table(outcomes: &[&Outcome], grid: &Grid) -> String {
    let mut table = String::from("<div class=\"wide\"><table class=\"map\"><thead><tr><th></th>");
    for load in &grid.loads {
        let _ = write!(table, "<th>{:.0} %</th>", 100.0 * load);
    }
    table.push_str("</tr></thead><tbody>");
    for (row, length) in outcomes.chunks(grid.loads.len()).zip(&grid.faults) {
        let _ = write!(table, "<tr><th>{}</th>", written(*length));
        for outcome in row {
            let (class, text) = told(outcome);
            let _ = write!(table, "<td class=\"{class}\">{text}</td>");
        }
        table.push_str("</tr>");
    }
    table.push_str("</tbody></table></div>");
    table
}
