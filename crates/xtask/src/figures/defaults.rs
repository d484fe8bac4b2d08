//! The tables that the book includes, made by the lab.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::tables::{Column, Row, TABLES, Table, Unit};
use super::{keep, lab};
use crate::report::Report;

/// Makes every table, or the one in this file; the same code and seeds make the same bytes.
pub(crate) fn defaults(report: &mut Report, only: Option<&str>, check: bool) {
    for table in TABLES.iter().filter(|table| only.is_none_or(|only| only == table.file)) {
        let path = Path::new(FOLDER).join(table.file);
        report.work(table.file, || {
            let mut runs = Runs::default();
            let rows: Result<Vec<String>, String> =
                table.rows.iter().map(|row| runs.row(table, row)).collect();
            match rows {
                Ok(rows) => keep(&path, &page(table, &rows), check, "defaults"),
                Err(error) => vec![error],
            }
        });
    }
}

/// Makes the row of each table that stands for the default, and looks whether it is the one in the
/// book: seconds instead of minutes.
pub(crate) fn sample(report: &mut Report) {
    for table in TABLES.iter().filter(|table| table.file != SLOW) {
        report.work(format!("one row of {}", table.file), || {
            let made = match table.rows.first().map(|row| Runs::default().row(table, row)) {
                Some(Ok(made)) => made,
                Some(Err(error)) => return vec![error],
                None => return vec![format!("{} has no row", table.file)],
            };
            let path = Path::new(FOLDER).join(table.file);
            let stands = fs::read_to_string(&path).unwrap_or_default();
            if stands.lines().any(|line| line == made) {
                return Vec::new();
            }
            vec![format!(
                "{} lacks the row `{made}`; `cargo xtask figures defaults` writes it",
                path.display()
            )]
        });
    }
}

/// What the lab has said so far: columns of one scenario share a run.
#[derive(Default)]
struct Runs(BTreeMap<String, Value>);

impl Runs {
    fn row(&mut self, table: &Table, row: &Row) -> Result<String, String> {
        let mut line = format!("| {} |", row.title);
        for column in table.columns {
            let _ = write!(line, " {} |", self.cell(table, column, row)?);
        }
        Ok(line)
    }

    fn cell(&mut self, table: &Table, column: &Column, row: &Row) -> Result<String, String> {
        let policy = row.policy.unwrap_or(column.policy);
        // Rows that differ in the policy alone are one run.
        let mut policies: Vec<&str> = table.rows.iter().filter_map(|row| row.policy).collect();
        if policies.is_empty() {
            policies.push(policy);
        }
        let settings = column.settings.iter().chain(row.settings).chain(&[SEEDS]);
        let settings: Vec<&str> = settings.copied().collect();
        let name = format!("{} {} {}", column.scenario, policies.join(" "), settings.join(" "));
        if !self.0.contains_key(&name) {
            let run = lab(column.scenario, &policies, &settings)?;
            self.0.insert(name.clone(), run);
        }
        let figure = &self.0[&name]["results"][policy][column.figure];
        Ok(told(figure, column.unit))
    }
}

fn told(figure: &Value, unit: Unit) -> String {
    let Some(mean) = figure["mean"].as_f64() else {
        let runs = figure["per_seed"].as_array().map_or(&[][..], Vec::as_slice);
        let never = runs.iter().filter(|run| run.is_null()).count();
        return match unit {
            _ if never == runs.len() => "never".into(),
            _ => format!("never in {never} of {} runs", runs.len()),
        };
    };
    let ci95 = figure["ci95"].as_f64().unwrap_or_default();
    match unit {
        Unit::Ratio => format!("{mean:.3}"),
        Unit::Percent => format!("{:.2} %", 100.0 * mean),
        Unit::Recovery => format!("{mean:.0} ± {ci95:.0} s"),
        Unit::Seconds => format!("{mean:.2} ± {ci95:.2} s"),
        Unit::PerThousand => format!("{:.1}", 1000.0 * mean),
        Unit::Count => format!("{mean:.0}"),
    }
}

fn page(table: &Table, rows: &[String]) -> String {
    let titles: Vec<&str> = table.columns.iter().map(|column| column.title).collect();
    let rule = "---|".repeat(table.columns.len());
    format!(
        "| {} | {} |\n|---|{rule}\n{}\n\n{} Made by `cargo xtask figures defaults`.\n",
        table.of,
        titles.join(" | "),
        rows.join("\n"),
        table.foot
    )
}

const SEEDS: &str = "seeds=3";
const FOLDER: &str = "docs/book/src/figures";
/// Its rows take ten thousand clients each.
const SLOW: &str = "why-budgets-alone.md";
