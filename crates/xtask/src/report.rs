use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::steps::{Line, Step};

/// What was done, how long it took, what failed.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    title: String,
    took: Duration,
    /// What to do about what failed, one line each; none when all is well.
    mends: Vec<String>,
}

impl Report {
    /// Runs the step; for each of its lines that fails, keeps the line that repeats it.
    pub(crate) fn run(&mut self, step: &Step) {
        self.judge(step, |failed| {
            failed.iter().map(|line| format!("repeat it with: {line}")).collect()
        });
    }

    /// Runs the step whatever its lines answer; `judge` then says what is left to mend.
    pub(crate) fn judge<'s>(
        &mut self,
        step: &'s Step,
        judge: impl FnOnce(Vec<&'s Line>) -> Vec<String>,
    ) {
        println!("\n== {}", step.title);
        let start = now();
        let mends = judge(step.run());
        self.rows.push(Row { title: step.title.clone(), took: start.elapsed(), mends });
    }

    /// Does work of our own; it answers with what is to be mended.
    pub(crate) fn work(&mut self, title: impl Into<String>, work: impl FnOnce() -> Vec<String>) {
        let title = title.into();
        println!("\n== {title}");
        let start = now();
        let mends = work();
        self.rows.push(Row { title, took: start.elapsed(), mends });
    }

    /// Notes what could not even be tried.
    pub(crate) fn fail(&mut self, title: impl Into<String>, mends: Vec<String>) {
        self.rows.push(Row { title: title.into(), took: Duration::ZERO, mends });
    }

    /// Prints the table; fails when a row did.
    pub(crate) fn conclude(self) -> ExitCode {
        println!("\n{self}");
        if self.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn is_well(&self) -> bool {
        self.rows.iter().all(Row::is_well)
    }
}

impl Row {
    fn is_well(&self) -> bool {
        self.mends.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = self.rows.iter().map(|row| row.title.chars().count());
        let width = titles.max().unwrap_or(0).max("step".len());
        writeln!(f, "{:width$}  minutes", "step")?;
        for row in &self.rows {
            let minutes = row.took.as_secs_f64() / 60.0;
            let failed = if row.is_well() { "" } else { "  FAILED" };
            writeln!(f, "{:width$}  {minutes:7.1}{failed}", row.title)?;
        }
        for row in self.rows.iter().filter(|row| !row.is_well()) {
            writeln!(f, "\n{} failed", row.title)?;
            row.mends.iter().try_for_each(|mend| writeln!(f, "  {mend}"))?;
        }
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a chore runs outside of the runtime whose clock the layers read"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lines_up_and_ends_with_what_to_do() {
        let mut report = Report::default();
        report.rows.push(Row {
            title: "a longer title".into(),
            took: Duration::from_secs(754),
            mends: Vec::new(),
        });
        report.fail("tools", vec!["run `cargo install x`".into()]);
        assert_eq!(
            report.to_string(),
            "\
step            minutes
a longer title     12.6
tools               0.0  FAILED

tools failed
  run `cargo install x`
"
        );
    }

    #[test]
    fn a_failed_line_is_named_with_the_way_to_repeat_it() {
        let mut report = Report::default();
        report.run(&Step::new("two", [Line::new("true", &[]), Line::new("false", &["-x"])]));
        assert_eq!(report.rows[0].mends, ["repeat it with: false -x"]);
    }

    #[test]
    fn one_failed_row_fails_the_whole() {
        let mut report = Report::default();
        report.run(&Step::new("well", [Line::new("true", &[])]));
        assert!(report.is_well());
        report.run(&Step::new("ill", [Line::new("false", &[])]));
        report.run(&Step::new("well again", [Line::new("true", &[])]));
        assert!(!report.is_well());
    }
}
