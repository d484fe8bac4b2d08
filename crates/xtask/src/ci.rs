use cargo_metadata::{Metadata, MetadataCommand, Package};

use crate::package::is_published;
use crate::report::Report;
use crate::steps::{Line, Step};
use crate::{bench, book, deny, docs, figures, needs, outside, package, readmes, test};

/// Runs all there is, also past a failure, so that one run tells everything.
///
/// Cheap steps come first. The steps share builds: the same features and the same profile
/// everywhere, warnings denied by flags of clippy and rustdoc, since `RUSTFLAGS` would make cargo
/// build every dependency once more.
pub(crate) fn run(report: &mut Report) {
    needs::meet(report, &[needs::TESTS, bench::NEEDS, &[deny::TOOL]].concat());
    report.run(&format());
    report.run(&deny::rules());
    report.run(&lints());
    report.run(&docs::step());
    readmes::all(report, true);
    report.run(&book::step());
    match MetadataCommand::new().no_deps().exec() {
        Ok(metadata) => {
            report.run(&package::step(&metadata));
            report.run(&each_alone(&metadata));
        }
        Err(error) => report.fail(ALONE, vec![error.to_string()]),
    }
    outside::run(report);
    for step in test::steps(&[], needs::is_on_path("cargo-nextest")) {
        report.run(&step);
    }
    bench::gate(report);
    figures::budget(report, true);
    figures::sample(report);
}

fn format() -> Step {
    Step::new("format", [Line::cargo(&["fmt", "--all", "--check"])])
}

fn lints() -> Step {
    const CLIPPY: [&str; 4] = ["clippy", "--workspace", "--all-targets", "--all-features"];
    let line = Line::cargo(&CLIPPY).args(&["--", "-D", "warnings"].map(String::from));
    Step::new("lints", [line])
}

const ALONE: &str = "each crate and feature alone";

/// Compiles what is published as its users do: without what the rest of the workspace turns on.
///
/// In the workspace's own builds a feature of tokio that one crate asks for is there for all of
/// them, so that a crate which forgot to ask compiles here and fails at its user's.
fn each_alone(metadata: &Metadata) -> Step {
    let packages = metadata.workspace_packages();
    let published = packages.into_iter().filter(|package| is_published(package));
    let mut published: Vec<&Package> = published.collect();
    published.sort_by(|a, b| a.name.cmp(&b.name));
    let lines = published.into_iter().flat_map(|package| {
        let features = package.features.keys().map(String::as_str);
        checks(&package.name, features)
    });
    Step::new(ALONE, lines)
}

fn checks<'a>(package: &str, features: impl Iterator<Item = &'a str>) -> Vec<Line> {
    let bare = Line::cargo(&["check", "--package", package, "--no-default-features"]);
    let with = |feature: &str| bare.clone().args(&["--features".into(), feature.into()]);
    let with_each: Vec<Line> = features.filter(|&name| name != "default").map(with).collect();
    [vec![bare], with_each].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_checked_bare_and_with_each_feature_alone() {
        let lines = checks("x", ["axum", "default", "h2"].into_iter());
        let typed: Vec<String> = lines.iter().map(ToString::to_string).collect();
        assert_eq!(
            typed,
            [
                "cargo check --package x --no-default-features",
                "cargo check --package x --no-default-features --features axum",
                "cargo check --package x --no-default-features --features h2",
            ]
        );
    }

    #[test]
    fn what_is_published_is_checked_alone_and_nothing_else() {
        let metadata = MetadataCommand::new().no_deps().exec().unwrap();
        let lines = each_alone(&metadata).lines;
        let names = |name: &str| {
            let package = format!(" --package {name} ");
            lines.iter().any(|line| format!("{line} ").contains(&package))
        };
        assert!(names("aplomb-core"));
        assert!(!names("xtask") && !names("aplomb-tests"));
    }

    #[test]
    fn no_step_sets_flags_that_rebuild_the_dependencies() {
        let steps = [format(), lints(), docs::step(), deny::rules()];
        let lines = steps.iter().flat_map(|step| &step.lines);
        assert!(lines.map(ToString::to_string).all(|line| !line.contains("RUSTFLAGS=")));
    }
}
