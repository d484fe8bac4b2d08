//! The row under optimistic locking, against published runs of the AWS simulator.

use aplomb_lab::{Experiment, Scenario};

/// 100 clients; writes, milliseconds.
const PUBLISHED: [(&str, f64, f64); 5] = [
    ("none", 2418.0, 2022.0),
    ("exponential", 1858.0, 63_677.0),
    ("equal", 812.0, 6_541.0),
    ("full", 796.0, 4_918.0),
    ("decorrelated", 1000.0, 4_568.0),
];

#[test]
fn writes_and_time_are_those_of_the_aws_simulator() {
    let mut scenario = Scenario::named("aws-jitter").unwrap();
    scenario.set("seeds", "200").unwrap();
    let report = Experiment::new(scenario).unwrap().run(2, &<_>::default());
    for (policy, writes, millis) in PUBLISHED {
        let sends = report.figure(policy, "sends").unwrap().mean.unwrap();
        let finished = report.figure(policy, "finished").unwrap().mean.unwrap() * 1000.0;
        assert!((sends / writes - 1.0).abs() < 0.03, "{policy}: {sends} writes, not {writes}");
        assert!((finished / millis - 1.0).abs() < 0.08, "{policy}: {finished} ms, not {millis}");
    }
}
