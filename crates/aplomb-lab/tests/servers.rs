//! Shards, faults, doors and keys, against what arithmetic says.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use aplomb_lab::{Experiment, Report, Scenario};

#[test]
fn every_shard_is_a_server_of_its_own() {
    // Eight shards of one worker each queue like one worker at an eighth of the traffic: M/M/1.
    let report = free(&[
        ("shards", "8"),
        ("servers", "1"),
        ("service_time", "4ms"),
        ("arrivals_per_second", "1200"),
        ("horizon", "300"),
        ("seeds", "4"),
    ]);
    let load = 0.6;
    let wait = load * 0.004 / (1.0 - load);
    let found = value(&report, "set", "queue_wait_mean");
    assert!((found / wait - 1.0).abs() < 0.05, "{found}, not {wait}");
}

#[test]
fn a_dead_shard_fails_its_share_of_the_calls() {
    let report = named("dead-shard", &["none", "full"], &[]);
    for policy in ["none", "full"] {
        let success = value(&report, policy, "success_during");
        assert!((success - 7.0 / 8.0).abs() < 0.01, "{policy}: {success}");
    }
    let sends = value(&report, "full", "amplification_during");
    assert!((sends - (7.0 + 3.0) / 8.0).abs() < 0.01, "seven once, one three times: {sends}");
}

#[test]
fn one_circuit_for_all_shards_takes_the_healthy_ones_down() {
    let report = named("dead-shard", &["aplomb", "one-circuit", "circuit-per-shard"], &[]);
    let success = |policy| value(&report, policy, "success_during");
    assert!(success("one-circuit") < success("aplomb") - 0.1, "{}", success("one-circuit"));
    assert!(success("circuit-per-shard") > success("aplomb") - 0.01);
    let sends = value(&report, "circuit-per-shard", "amplification_during");
    assert!(sends < 0.95, "the dead shard is left alone: {sends}");
}

#[test]
fn a_loss_of_capacity_is_as_if_there_were_fewer_workers() {
    let few = free(&[("servers", "44"), ("arrivals_end", "55"), ("seeds", "3")]);
    let lost = free(&[
        ("servers", "55"),
        ("fault", "capacity"),
        ("fault_ratio", "0.2"),
        ("fault_seconds", "60"),
        ("arrivals_end", "55"),
        ("seeds", "3"),
    ]);
    let [few, lost] = [few, lost].map(|report| value(&report, "set", "queue_wait_mean"));
    assert!((few / lost - 1.0).abs() < 1e-9, "{few}, {lost}");
}

#[test]
fn a_surge_multiplies_the_calls_while_it_lasts() {
    let report = free(&[
        ("servers", "unlimited"),
        ("fault", "surge"),
        ("fault_factor", "3"),
        ("fault_start", "20"),
        ("fault_seconds", "10"),
        ("seeds", "3"),
    ]);
    let calls = value(&report, "set", "sends");
    assert!((calls / 80_000.0 - 1.0).abs() < 0.01, "50 seconds and 10 thrice: {calls}");
    let peak = value(&report, "set", "peak_attempts_per_second");
    assert!((2_950.0..3_350.0).contains(&peak), "{peak}");
}

#[test]
fn lost_answers_are_work_done_twice_unless_there_is_a_key() {
    let report = named("last-item", &["full", "aplomb-without-key", "aplomb"], &[]);
    let twice = value(&report, "full", "duplicates");
    // Two of three answers may be lost: 0.1 + 0.01 for each call.
    assert!((twice / 110.0 - 1.0).abs() < 0.05, "{twice} of a thousand");
    assert!(value(&report, "aplomb-without-key", "duplicates") > 50.0);
    assert_eq!(value(&report, "aplomb", "duplicates").to_string(), "0");
    assert!(value(&report, "aplomb", "success_ratio") > 0.99);
}

#[test]
fn a_restart_loses_what_the_server_held_and_refuses_what_comes() {
    let report = free(&[
        ("servers", "10"),
        ("service_time", "1s"),
        ("service_distribution", "constant"),
        ("arrivals_per_second", "100"),
        ("queue_limit", "20"),
        ("fault", "restart"),
        ("fault_start", "10"),
        ("fault_seconds", "40"),
        ("arrivals_end", "20"),
        ("seeds", "1"),
    ]);
    // Ten a second for nine seconds: those at work at second ten, and those in the queue, are gone.
    let succeeded = value(&report, "set", "success_ratio");
    let json = report.to_json();
    let unfinished = json["results"]["set"]["finished"]["mean"].is_null();
    assert!(unfinished, "callers without patience hear nothing");
    assert!((0.03..0.06).contains(&succeeded), "{succeeded}");
}

#[test]
fn admission_keeps_a_server_useful_at_three_times_its_capacity() {
    let settings = [
        ("arrivals_per_second", "3000"),
        ("servers", "100"),
        ("service_time", "100ms"),
        ("attempt_timeout", "500ms"),
        ("attempts", "3"),
        ("budget", "aplomb"),
        ("clients", "10000"),
        ("horizon", "30"),
        ("seeds", "1"),
    ];
    let guarded = free(&[&settings[..], &[("admission", "aplomb")]].concat());
    // What the admission crate measures with its own world: 0.99 of the capacity, 1.03 sends a call.
    let goodput = value(&guarded, "set", "goodput_late") / 1_000.0;
    assert!((0.95..=1.01).contains(&goodput), "{goodput}");
    let sends = value(&guarded, "set", "sends_per_call");
    assert!((1.0..=1.05).contains(&sends), "{sends}");
    let open = free(&settings);
    assert!(value(&open, "set", "goodput_late") < 20.0, "without, nothing in time");
}

#[test]
fn a_queue_served_from_its_end_is_in_time_for_most() {
    let late = |discipline| {
        let settings = [("discipline", discipline), ("seeds", "2"), ("horizon", "120")];
        value(&named("surge", &["none"], &settings), "none", "success_during")
    };
    let (fifo, adaptive) = (late("fifo"), late("adaptive"));
    assert!(fifo < 0.1 && adaptive > 0.4, "{fifo} {adaptive}");
}

#[test]
fn callers_that_come_back_exactly_when_told_come_all_at_once() {
    let report =
        named("retry-after-herd", &["exactly", "spread", "aplomb-admission"], &[("seeds", "2")]);
    let peak = |policy| value(&report, policy, "peak_after");
    assert!(peak("exactly") > peak("aplomb-admission") * 2.0, "{}", peak("exactly"));
    assert!(value(&report, "aplomb-admission", "time_to_recover") < 40.0);
}

fn free(settings: &[(&str, &str)]) -> Report {
    run(Scenario::named("free").unwrap(), settings)
}

fn named(name: &str, policies: &[&str], settings: &[(&str, &str)]) -> Report {
    let mut scenario = Scenario::named(name).unwrap();
    scenario.keep(policies).unwrap();
    run(scenario, settings)
}

fn run(mut scenario: Scenario, settings: &[(&str, &str)]) -> Report {
    for (key, value) in settings {
        scenario.set(key, value).unwrap();
    }
    Experiment::new(scenario).unwrap().run(2, &<_>::default())
}

fn value(report: &Report, policy: &str, figure: &str) -> f64 {
    report.figure(policy, figure).unwrap().mean.unwrap()
}
