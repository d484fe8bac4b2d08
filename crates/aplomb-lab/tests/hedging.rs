//! Second sends, against what arithmetic says.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use aplomb_lab::{Experiment, Report, Scenario};

/// With workers enough and exponential times of mean `m`, a second send after `h` is needed by
/// exp(-h/m) of the calls; those then wait for the sooner of two, which takes m/2.
#[test]
fn a_second_send_takes_what_the_sooner_of_two_takes() {
    for (after, mean) in [(0.120_f64, 0.040_f64), (0.028, 0.040), (0.010, 0.100)] {
        let report = run(&[
            ("hedge_after", format!("{after}s")),
            ("hedge_ratio", "1".into()),
            ("service_time", format!("{mean}s")),
        ]);
        let needed = (-after / mean).exp();
        let hedged = value(&report, "hedges_per_call");
        assert!((hedged / needed - 1.0).abs() < 0.05, "{hedged}, not {needed}");
        // Half of the calls: the time at which the share that still waits is a half.
        let median =
            if needed < 0.5 { mean * 2_f64.ln() } else { after + mean / 2.0 * (2.0 * needed).ln() };
        let found = value(&report, "p50");
        assert!((found / median - 1.0).abs() < 0.03, "p50 {found}, not {median}");
        let late = 0.01_f64;
        let p99 = after + mean / 2.0 * (needed / late).ln();
        let found = value(&report, "p99");
        assert!((found / p99 - 1.0).abs() < 0.04, "p99 {found}, not {p99}");
    }
}

#[test]
fn no_more_second_sends_than_were_earned() {
    let report = run(&[("hedge_after", "1ms".into()), ("hedge_ratio", "0.05".into())]);
    let hedged = value(&report, "hedges_per_call");
    assert!((0.049..=0.05).contains(&hedged), "{hedged}");
    assert!((value(&report, "sends_per_call") - 1.0 - hedged).abs() < 1e-9);
}

#[test]
fn an_answer_that_fails_leaves_the_other_send_its_chance() {
    let report = run(&[
        ("network_delay", "10ms".into()),
        ("hedge_after", "1ms".into()),
        ("hedge_ratio", "1".into()),
        ("fault", "error".into()),
        ("fault_ratio", "0.3".into()),
        ("fault_seconds", "60".into()),
    ]);
    let success = value(&report, "success_ratio");
    assert!((success - 0.91).abs() < 0.01, "1 - 0.3 squared, not {success}");
}

fn run(settings: &[(&str, String)]) -> Report {
    let mut scenario = Scenario::named("free").unwrap();
    for (key, value) in [
        ("servers", "unlimited"),
        ("network_delay", "0"),
        ("arrivals_end", "55"),
        ("arrivals_per_second", "2000"),
        ("seeds", "2"),
    ] {
        scenario.set(key, value).unwrap();
    }
    for (key, value) in settings {
        scenario.set(key, value).unwrap();
    }
    Experiment::new(scenario).unwrap().run(2, &<_>::default())
}

fn value(report: &Report, figure: &str) -> f64 {
    report.figure("set", figure).unwrap().mean.unwrap()
}
