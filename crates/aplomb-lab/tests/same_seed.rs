//! Same seed, same bytes.

use aplomb_lab::{Control, Experiment, Model, Scenario, Step, simulate};

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let json = |threads| {
        let mut scenario = Scenario::named("pause").unwrap();
        for (key, value) in [("horizon", "60"), ("seeds", "3"), ("clients", "50")] {
            scenario.set(key, value).unwrap();
        }
        let report = Experiment::new(scenario).unwrap().run(threads, &<_>::default());
        report.to_json().to_string()
    };
    assert_eq!(json(1), json(2));
    assert_eq!(json(2), json(5));
}

#[test]
fn a_run_that_is_ended_early_tells_how_far_it_came() {
    let mut scenario = Scenario::named("free").unwrap();
    for (key, value) in [("horizon", "24h"), ("seeds", "1")] {
        scenario.set(key, value).unwrap();
    }
    let (experiment, control) = (Experiment::new(scenario).unwrap(), Control::default());
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(|| experiment.run(1, &control));
        while control.reached() == 0 {
            std::thread::yield_now();
        }
        control.stop();
        running.join().unwrap()
    });
    assert!(report.is_partial());
    let json = report.to_json();
    let reached = json["runs"]["set"][0]["reached"].as_f64().unwrap();
    assert!(0.0 < reached && reached < 86_400.0, "{reached}");
    assert_eq!(json["results"]["set"]["sends_per_call"]["mean"], 1.0);
}

#[test]
fn another_seed_gives_another_run() {
    let figure = |seed: &str| {
        let mut scenario = Scenario::named("free").unwrap();
        scenario.set("seed", seed).unwrap();
        let report = Experiment::new(scenario).unwrap().run(2, &<_>::default());
        report.figure("set", "sends").unwrap()
    };
    assert_ne!(figure("1"), figure("100"));
    assert_eq!(figure("1").per_seed[1..], figure("2").per_seed[..4], "seeds lie one apart");
}

#[test]
fn one_more_client_changes_nobody_elses_dice() {
    let steps = |clients: u32| {
        let mut model = Model::default();
        for (key, value) in [
            ("clients", clients.to_string()),
            // A call a second for each client.
            ("arrivals_per_second", clients.to_string()),
            ("servers", "unlimited".into()),
            ("attempts", "3".into()),
            ("budget", "aplomb".into()),
            ("fault", "error".into()),
            ("fault_ratio", "0.3".into()),
            ("fault_seconds", "60".into()),
        ] {
            model.set(key, &value).unwrap();
        }
        let mut steps: Vec<Step> = Vec::new();
        simulate(&model, 7, &mut steps, &Control::default());
        steps.retain(|step| step.client < 10);
        steps
    };
    assert_eq!(steps(10), steps(11));
    assert!(steps(10).len() > 1000);
}

/// A run is named by its seed; these numbers are part of that promise.
#[test]
fn the_figures_of_a_seed_never_change() {
    let mut scenario = Scenario::named("article").unwrap();
    scenario.keep(&["aplomb"]).unwrap();
    for (key, value) in [("seeds", "1"), ("clients", "1000"), ("horizon", "120")] {
        scenario.set(key, value).unwrap();
    }
    let report = Experiment::new(scenario).unwrap().run(1, &<_>::default());
    let value = |figure| report.figure("aplomb", figure).unwrap().mean;
    let found = ["sends", "peak_queue", "p99"].map(value);
    assert_eq!(found.map(|value| value.unwrap().to_string()), PINNED);
}

const PINNED: [&str; 3] = ["120980", "23928", "0.208142336"];
