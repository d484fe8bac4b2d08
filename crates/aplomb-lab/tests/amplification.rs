//! How many sends a call costs, against what arithmetic says.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use aplomb_lab::{Experiment, Report, Scenario};

#[test]
fn independent_failures_cost_a_geometric_sum_of_sends() {
    for (attempts, p) in [(2, 0.1_f64), (3, 0.1), (3, 0.5), (5, 0.9)] {
        let report = run(
            "independent-failures",
            &[
                ("attempts", attempts.to_string()),
                ("fault_ratio", p.to_string()),
                ("fault_seconds", "60".into()),
                ("arrivals_end", "30".into()),
                ("horizon", "60".into()),
            ],
            &["full", "immediate"],
        );
        let expected = (1.0 - p.powi(attempts)) / (1.0 - p);
        for policy in ["full", "immediate"] {
            let found = mean(&report, policy, "sends_per_call");
            assert!((found / expected - 1.0).abs() < 0.01, "{policy}: {found}, not {expected}");
            let success = mean(&report, policy, "success_ratio");
            assert!((success - (1.0 - p.powi(attempts))).abs() < 0.01, "{success}");
        }
    }
}

#[test]
fn stacked_retries_multiply() {
    for (attempts, layers, p) in [(3, 3, 0.5_f64), (2, 4, 0.9), (3, 2, 0.8), (4, 1, 0.5)] {
        let report = run(
            "layers",
            &[
                ("attempts", attempts.to_string()),
                ("layers", layers.to_string()),
                ("fault_ratio", p.to_string()),
            ],
            &["full"],
        );
        let most = i32::pow(attempts, layers);
        let expected = (1.0 - p.powi(most)) / (1.0 - p);
        let found = mean(&report, "full", "sends_per_call");
        assert!((found / expected - 1.0).abs() < 0.02, "{found}, not {expected}");
    }
}

#[test]
fn in_a_total_outage_three_services_send_27_times() {
    let report = run("layers", &[("fault_ratio", "1".into())], &["full"]);
    assert_eq!(mean(&report, "full", "sends_per_call").to_string(), "27");
}

#[test]
fn ownership_alone_makes_them_three_and_with_the_budget_hardly_more_than_one() {
    let policies = ["full-owned", "aplomb-owned"];
    let report = run("layers", &[("fault_ratio", "1".into())], &policies);
    assert_eq!(mean(&report, "full-owned", "sends_per_call").to_string(), "3");
    let owned = mean(&report, "aplomb-owned", "sends_per_call");
    assert!((1.0..=1.25).contains(&owned), "{owned}");
}

#[test]
fn a_budget_earned_by_calls_allows_its_ratio_and_what_it_held() {
    for (ratio, initial, clients) in [(0.2, 0, 1), (0.1, 0, 10), (0.2, 10, 100), (0.5, 0, 5)] {
        let report = run(
            "fleet-size",
            &[
                ("clients", clients.to_string()),
                ("ratio", ratio.to_string()),
                ("budget_initial", initial.to_string()),
            ],
            &["per-call"],
        );
        let found = mean(&report, "per-call", "amplification_during");
        // The outage lasts for 60,000 calls.
        let bound = 1.0 + ratio + f64::from(initial * clients) / 60_000.0;
        assert!(found <= bound + 0.001, "{found}, over {bound}");
        assert!(found >= bound - 0.005, "{found}, far below {bound}");
    }
}

/// The goals of aplomb's budget: full balances, no trouble before.
#[test]
fn aplombs_budget_dries_up_whatever_the_number_of_clients() {
    for (clients, most) in [(1, 1.01), (10, 1.01), (100, 1.01), (1_000, 1.03), (10_000, 1.17)] {
        let report = run(
            "fleet-size",
            &[("clients", clients.to_string()), ("seeds", "2".into())],
            &["aplomb"],
        );
        let found = mean(&report, "aplomb", "amplification_during");
        assert!(found <= most, "{clients} clients: {found}");
    }
}

#[test]
fn aplombs_budget_rescues_calls_from_independent_failures() {
    for (clients, least) in [(100, 0.995), (1_000, 0.995), (10_000, 0.985)] {
        let report = run(
            "independent-failures",
            &[("clients", clients.to_string()), ("seeds", "2".into())],
            &["aplomb"],
        );
        let found = mean(&report, "aplomb", "success_ratio");
        assert!(found >= least, "{clients} clients: {found}");
    }
}

fn run(scenario: &str, settings: &[(&str, String)], policies: &[&str]) -> Report {
    let mut scenario = Scenario::named(scenario).unwrap();
    for (key, value) in settings {
        scenario.set(key, value).unwrap();
    }
    scenario.keep(policies).unwrap();
    Experiment::new(scenario).unwrap().run(2, &<_>::default())
}

fn mean(report: &Report, policy: &str, figure: &str) -> f64 {
    report.figure(policy, figure).unwrap().mean.unwrap()
}
