//! What would break whoever depends on us.

use std::process::{Command, Stdio};

use cargo_metadata::{Metadata, MetadataCommand, Package, TargetKind};

use crate::needs::{self, Need, Source};
use crate::package::is_published;
use crate::report::Report;
use crate::steps::{Line, Step};

const TITLE: &str = "what would break a caller";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The revision to compare with: the tag of the last release, or any commit
    #[arg(long, value_name = "REV")]
    since: Option<String>,
    /// Only this crate
    #[arg(long)]
    package: Option<String>,
}

const TOOL: Need = Need {
    program: "cargo-semver-checks",
    or: &[],
    source: Source::Crate("cargo-semver-checks"),
    why: "it compares what two versions of a crate offer",
};

/// Compares what each published crate offers with what it offered at a revision.
///
/// Before 1.0 a new middle number may break, so a finding stops nothing by itself: it says that the
/// next version needs one, with a line in the changelog.
pub(crate) fn run(report: &mut Report, args: &Args) {
    let Some(since) = &args.since else {
        report.fail(TITLE, vec![NO_BASELINE.to_owned()]);
        return;
    };
    needs::meet(report, &[TOOL]);
    match MetadataCommand::new().no_deps().exec() {
        Ok(metadata) => compare(report, &metadata, since, args.package.as_deref()),
        Err(error) => report.fail(TITLE, vec![error.to_string()]),
    }
}

const NO_BASELINE: &str = "nothing of this is on a registry yet, so there is no release to compare \
                           with; name a revision: `cargo xtask semver --since REV`";

fn compare(report: &mut Report, metadata: &Metadata, since: &str, only: Option<&str>) {
    if !is_there(&format!("{since}^{{commit}}")) {
        report.fail(TITLE, vec![format!("git knows no revision `{since}`")]);
        return;
    }
    let packages = metadata.workspace_packages();
    let packages =
        packages.into_iter().filter(|package| is_published(package) && is_library(package));
    let packages = packages.filter(|package| only.is_none_or(|only| package.name.as_str() == only));
    let (old, new): (Vec<&Package>, Vec<&Package>) =
        packages.partition(|package| was_there(package, metadata, since));
    for package in new {
        println!("{} is younger than {since}: nothing of it can break", package.name);
    }
    let mut names: Vec<&str> = old.iter().map(|package| package.name.as_str()).collect();
    names.sort_unstable();
    report.run(&step(&names, since));
}

fn is_library(package: &Package) -> bool {
    package.targets.iter().any(|target| target.kind.contains(&TargetKind::Lib))
}

fn was_there(package: &Package, metadata: &Metadata, since: &str) -> bool {
    let manifest = package.manifest_path.strip_prefix(&metadata.workspace_root);
    manifest.is_ok_and(|manifest| is_there(&format!("{since}:{manifest}")))
}

/// Whether git has an object of this name.
fn is_there(object: &str) -> bool {
    let asked = Command::new("git")
        .args(["cat-file", "-e", object])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}

/// A line a crate, so that one crate can be repeated.
fn step(names: &[&str], since: &str) -> Step {
    let lines = names.iter().map(|name| {
        // The version is the same on both sides while nothing is released; additions are no break.
        let judged = ["semver-checks", "--release-type", "minor", "--all-features"];
        Line::cargo(&[&judged[..], &["--baseline-rev", since, "--package", name]].concat())
    });
    Step::new(TITLE, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crate_is_compared_with_the_revision_that_was_named() {
        let typed: Vec<String> =
            step(&["a", "b"], "v0.1.0").lines.iter().map(ToString::to_string).collect();
        let line = "cargo semver-checks --release-type minor --all-features --baseline-rev v0.1.0";
        assert_eq!(typed, [format!("{line} --package a"), format!("{line} --package b")]);
    }

    #[test]
    fn git_is_asked_what_there_was() {
        assert!(is_there("HEAD^{commit}"));
        assert!(!is_there("HEAD:crates/no-such-crate/Cargo.toml"));
    }
}
