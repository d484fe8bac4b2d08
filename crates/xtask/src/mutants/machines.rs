//! Whether the tests of the pure machines notice when one of them decides otherwise.
//!
//! cargo-mutants changes one decision at a time, in a copy of the repository. What the tests let pass
//! is read by somebody: it is caught by a new test, or it is no difference, and then it stands in
//! `equivalent.txt` with the reason.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use cargo_metadata::MetadataCommand;

use crate::needs;
use crate::report::Report;

const TITLE: &str = "mutants of the machines";

/// The machines, by file. Each crate's tests judge its own.
const MACHINES: &[&str] = &[
    "crates/aplomb-admission/src/allowance.rs",
    "crates/aplomb-admission/src/gate.rs",
    "crates/aplomb-admission/src/line.rs",
    "crates/aplomb-backoff/src/pace.rs",
    "crates/aplomb-backoff/src/schedule.rs",
    "crates/aplomb-circuit-breaker/src/breaker.rs",
    "crates/aplomb-circuit-breaker/src/trip.rs",
    "crates/aplomb-circuit-breaker/src/window.rs",
    "crates/aplomb-dead-letter/src/judge.rs",
    "crates/aplomb-dead-letter/src/machine.rs",
    "crates/aplomb-dead-letter/src/schedule.rs",
    "crates/aplomb-fallback/src/rules.rs",
    "crates/aplomb-idempotency/src/machine.rs",
    "crates/aplomb-retry/src/budget.rs",
    "crates/aplomb-retry/src/rules.rs",
];

/// What no test can notice, each with its reason: `file: what is done to it # why that is the same`.
const EQUIVALENT: &str = include_str!("equivalent.txt");

pub(super) fn run(report: &mut Report, only: Option<&str>) {
    if !needs::is_on_path("cargo-mutants") {
        let get = "cargo-mutants is not installed: `cargo install cargo-mutants`";
        report.fail(TITLE, vec![get.to_owned()]);
        return;
    }
    let is_meant = |file: &&&str| only.is_none_or(|word| file.contains(word));
    for file in MACHINES.iter().filter(is_meant) {
        report.work(format!("{TITLE}, {file}"), || match survivors(file) {
            Ok(survivors) => unread(file, &survivors),
            Err(error) => vec![error.to_string()],
        });
    }
}

/// What the tests let pass of one machine.
fn survivors(file: &str) -> io::Result<Vec<String>> {
    let metadata = MetadataCommand::new().no_deps().exec().map_err(io::Error::other)?;
    let target = metadata.target_directory.join("machines");
    let output = target.join(file.replace('/', "-"));
    fs::create_dir_all(&output)?;
    let mut mutants = Command::new("cargo");
    mutants.args(["mutants", "--package", package(file), "--file", file]);
    mutants.args(["--output", output.as_str(), "--baseline", "skip", "--no-shuffle"]);
    mutants.args(["--timeout", "120", "--jobs", "1", "--", "--lib", "--tests"]);
    // Built once for all of them; cargo-mutants itself would build everything for each file.
    let status = mutants.env("CARGO_TARGET_DIR", target.join("build").as_str()).status()?;
    // It says by these that some were missed, or took too long: that is what is read next.
    if !matches!(status.code(), Some(0 | 2 | 3)) {
        return Err(io::Error::other(format!("cargo-mutants could not do its work: {status}")));
    }
    let missed = fs::read_to_string(Path::new(output.as_str()).join("mutants.out/missed.txt"))?;
    Ok(missed.lines().map(without_its_place).collect())
}

/// `crates/aplomb-retry/src/rules.rs` is of `aplomb-retry`.
fn package(file: &str) -> &str {
    file.split('/').nth(1).unwrap_or(file)
}

/// Lines move; what is done to a function is known by its words.
fn without_its_place(missed: &str) -> String {
    let mut parts = missed.splitn(4, ':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(file), Some(_), Some(_), Some(what)) => format!("{file}:{what}"),
        _ => missed.to_owned(),
    }
}

/// Survivors that nobody has read, and rows that nothing survives by any more.
fn unread(file: &str, survivors: &[String]) -> Vec<String> {
    let known: Vec<&str> = equivalents().map(|(what, _)| what).collect();
    let new = survivors.iter().filter(|what| !known.contains(&what.as_str()));
    let mut mends: Vec<String> = new
        .map(|what| format!("{what}: catch it by a test, or say in equivalent.txt why not"))
        .collect();
    let ours = known.iter().filter(|what| what.starts_with(&format!("{file}: ")));
    let stale = ours.filter(|what| !survivors.iter().any(|survivor| survivor == *what));
    mends.extend(stale.map(|what| format!("{what}: is caught now; take it out of equivalent.txt")));
    mends
}

/// What is done to a machine, and why that is the same.
fn equivalents() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = EQUIVALENT.lines().filter(|line| !line.is_empty());
    rows.map(|row| row.split_once(" # ").unwrap_or((row, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_is_there() {
        for file in MACHINES {
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file).exists());
        }
    }

    #[test]
    fn every_equivalent_is_of_a_machine_and_has_its_reason() {
        for (what, why) in equivalents() {
            let is_known = MACHINES.iter().any(|file| what.starts_with(&format!("{file}: ")));
            assert!(is_known && why.len() > 20, "{what} # {why}");
        }
    }

    #[test]
    fn a_survivor_is_known_wherever_its_line_is() {
        let missed = "crates/a/src/b.rs:12:5: replace f -> u32 with 0";
        assert_eq!(without_its_place(missed), "crates/a/src/b.rs: replace f -> u32 with 0");
    }

    #[test]
    fn a_survivor_that_nobody_has_read_is_told() {
        let survivor = "crates/aplomb-retry/src/rules.rs: replace everything".to_owned();
        let mends = unread("crates/aplomb-retry/src/rules.rs", &[survivor]);
        assert!(mends[0].contains("replace everything"), "{mends:?}");
    }
}
