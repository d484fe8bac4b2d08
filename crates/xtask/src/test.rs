use crate::loom;
use crate::needs::{self, TESTS};
use crate::report::Report;
use crate::steps::{Line, Step};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// For the test runner: a filter, its own flags. The doctests and loom's models are left out then.
    #[arg(last = true)]
    pub(crate) runner: Vec<String>,
}

pub(crate) fn run(report: &mut Report, args: &Args) {
    needs::meet(report, TESTS);
    for step in steps(&args.runner, needs::is_on_path("cargo-nextest")) {
        report.run(&step);
    }
    if !args.runner.is_empty() {
        println!(
            "\nthe doctests and loom's models were left out: arguments were given for the test runner"
        );
    }
}

/// The tests; the doctests and loom's models too, unless the run was narrowed by arguments.
///
/// The features are those of the other steps in [`ci`](crate::ci): with others, cargo would build
/// macros and build scripts once more.
pub(crate) fn steps(runner: &[String], has_nextest: bool) -> Vec<Step> {
    let mut steps = vec![Step::new("tests", [tests(has_nextest).args(runner)])];
    if runner.is_empty() {
        let doctests = Line::cargo(&["test", "--doc"]).args(&WHOLE.map(String::from));
        steps.push(Step::new("doctests", [doctests]));
        steps.push(loom::step());
    }
    steps
}

fn tests(has_nextest: bool) -> Line {
    if has_nextest {
        const RUN: [&str; 4] = ["nextest", "run", "--config-file", ".ci/nextest.toml"];
        return Line::cargo(&RUN).args(&WHOLE.map(String::from));
    }
    Line::cargo(&["test", "--lib", "--bins", "--tests"]).args(&WHOLE.map(String::from))
}

const WHOLE: [&str; 3] = ["--workspace", "--all-features", "--no-fail-fast"];

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(runner: &[String], has_nextest: bool) -> Vec<String> {
        let steps = steps(runner, has_nextest);
        let native = steps.iter().filter(|step| **step != loom::step());
        let lines = native.flat_map(|step| &step.lines);
        lines.map(ToString::to_string).collect()
    }

    #[test]
    fn every_test_runs_with_or_without_nextest() {
        let doctests = "cargo test --doc --workspace --all-features --no-fail-fast";
        assert_eq!(
            typed(&[], true),
            [
                "cargo nextest run --config-file .ci/nextest.toml \
                 --workspace --all-features --no-fail-fast",
                doctests
            ]
        );
        assert_eq!(
            typed(&[], false),
            ["cargo test --lib --bins --tests --workspace --all-features --no-fail-fast", doctests]
        );
    }

    #[test]
    fn the_models_run_with_the_whole_and_not_with_a_part() {
        assert!(steps(&[], true).contains(&loom::step()));
        assert!(!steps(&["a_probe".into()], true).contains(&loom::step()));
    }

    #[test]
    fn arguments_narrow_the_tests_and_leave_the_doctests_out() {
        let lines = typed(&["a_probe".into()], true);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with(" a_probe"), "{lines:?}");
    }
}
