//! The server model against queueing theory.

use aplomb_lab::{Experiment, Scenario};

/// Erlang's C formula (1917): the share of requests that queue at `servers` workers which
/// `offered` of them would keep busy.
fn erlang_c(servers: u32, offered: f64) -> f64 {
    // The recursion of Erlang's B formula never overflows.
    let b = (1..=servers).fold(1.0, |b, n| offered * b / (f64::from(n) + offered * b));
    let busy = offered / f64::from(servers);
    b / (1.0 - busy * (1.0 - b))
}

#[test]
fn waits_are_those_of_erlangs_formula() {
    for (servers, service, load) in [(1, 0.001, 0.5), (5, 0.01, 0.8), (50, 0.04, 0.9)] {
        let rate = f64::from(servers) / service * load;
        let mut scenario = Scenario::named("free").unwrap();
        for (key, value) in [
            ("arrivals_per_second", rate.to_string()),
            ("servers", servers.to_string()),
            ("service_time", format!("{service}s")),
            ("horizon", "300".into()),
            ("seeds", "4".into()),
        ] {
            scenario.set(key, &value).unwrap();
        }
        let report = Experiment::new(scenario).unwrap().run(2, &<_>::default());

        let queued = erlang_c(servers, rate * service);
        let wait = queued / (f64::from(servers) / service - rate);
        for (figure, expected) in [("queued_share", queued), ("queue_wait_mean", wait)] {
            let found = report.figure("set", figure).unwrap();
            let (mean, ci95) = (found.mean.unwrap(), found.ci95.unwrap());
            let off = (mean / expected - 1.0).abs();
            assert!(off < 0.05, "{servers} workers, {figure}: {mean} ± {ci95}, not {expected}");
        }
    }
}

#[test]
fn a_queue_without_room_loses_what_erlangs_other_formula_says() {
    let mut scenario = Scenario::named("free").unwrap();
    for (key, value) in [
        ("arrivals_per_second", "1000"),
        ("servers", "40"),
        ("service_time", "40ms"),
        ("queue_limit", "0"),
        ("horizon", "200"),
        ("arrivals_end", "195"),
    ] {
        scenario.set(key, value).unwrap();
    }
    let report = Experiment::new(scenario).unwrap().run(2, &<_>::default());
    let lost = (1..=40).fold(1.0, |b, n| 40.0 * b / (f64::from(n) + 40.0 * b));
    let found = 1.0 - report.figure("set", "success_ratio").unwrap().mean.unwrap();
    assert!((found / lost - 1.0).abs() < 0.03, "{found}, not {lost}");
}
