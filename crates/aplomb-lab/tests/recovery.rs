//! Who brings a slow dependency down for good.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use aplomb_lab::{Experiment, Report, Scenario};

#[test]
fn after_a_slow_spell_aplomb_recovers_and_towers_budget_never_does() {
    let report = run("article", &[("seeds", "2")], &["none", "tower", "aplomb"]);
    let none = recovery(&report, "none").unwrap();
    let aplomb = recovery(&report, "aplomb").unwrap();
    assert!((80.0..=96.0).contains(&none), "no retries: {none} s");
    assert!(none < aplomb && aplomb <= 135.0, "aplomb: {aplomb} s");
    assert_eq!(recovery(&report, "tower"), None);
}

#[test]
fn a_storm_after_a_pause_outlives_the_pause() {
    let report = run("pause", &[("seeds", "2")], &["none", "full", "aplomb"]);
    assert!(recovery(&report, "none").is_some_and(|seconds| seconds < 60.0));
    assert!(recovery(&report, "aplomb").is_some_and(|seconds| seconds < 60.0));
    assert_eq!(recovery(&report, "full"), None);
}

#[test]
fn a_queue_shorter_than_the_callers_patience_ends_the_storm() {
    let report = run("pause", &[("queue_limit", "100"), ("seeds", "2")], &["full"]);
    assert!(recovery(&report, "full").is_some_and(|seconds| seconds <= 2.0));
}

#[test]
fn work_that_nobody_waits_for_can_be_dropped() {
    let waste = |shed| {
        let settings = [("discipline", "lifo"), ("shed", shed), ("seeds", "2")];
        let report = run("pause", &settings, &["full"]);
        report.figure("full", "waste_after").unwrap().mean.unwrap()
    };
    let kept = waste("none");
    assert!(kept > 0.05, "{kept}");
    assert!(waste("deadline") < 0.01);
    assert!(waste("cancel") < 0.01);
}

fn run(scenario: &str, settings: &[(&str, &str)], policies: &[&str]) -> Report {
    let mut scenario = Scenario::named(scenario).unwrap();
    for (key, value) in settings {
        scenario.set(key, value).unwrap();
    }
    scenario.keep(policies).unwrap();
    Experiment::new(scenario).unwrap().run(2, &<_>::default())
}

fn recovery(report: &Report, policy: &str) -> Option<f64> {
    report.figure(policy, "time_to_recover").unwrap().mean
}
