//! How many events a second the kernel handles on one core.

use aplomb_core::time;
use aplomb_lab::{Control, Model, simulate};

fn main() {
    for (title, settings) in RUNS {
        let mut model = Model::default();
        for (key, value) in settings {
            model.set(key, value).expect("the bench's keys are known");
        }
        let best = (0..ROUNDS)
            .map(|round| {
                let begin = time::now();
                let measures = simulate(&model, round, &mut (), &Control::default());
                let took = begin.elapsed().as_secs_f64();
                (took / to_float(measures.events), measures.events)
            })
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let Some((each, events)) = best else { continue };
        println!(
            "{title}: {:.2} million events/s ({events} events, {:.0} ns each)",
            1e-6 / each,
            each * 1e9
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer events than 2^53 fit a run")]
fn to_float(count: u64) -> f64 {
    count as f64
}

type Settings = &'static [(&'static str, &'static str)];

const ROUNDS: u64 = 3;
const RUNS: [(&str, Settings); 5] = [
    (
        "healthy, 10,000 clients",
        &[
            ("clients", "10000"),
            ("arrivals_per_second", "1000"),
            ("attempt_timeout", "500ms"),
            ("horizon", "300"),
        ],
    ),
    (
        "outage with aplomb's budget, 10,000 clients",
        &[
            ("clients", "10000"),
            ("attempts", "3"),
            ("budget", "aplomb"),
            ("attempt_timeout", "500ms"),
            ("fault", "error"),
            ("fault_seconds", "300"),
            ("horizon", "300"),
        ],
    ),
    (
        "storm without a budget, 10,000 clients",
        &[
            ("clients", "10000"),
            ("attempts", "3"),
            ("attempt_timeout", "500ms"),
            ("fault", "slow"),
            ("fault_factor", "5"),
            ("fault_start", "10"),
            ("fault_seconds", "30"),
            ("horizon", "300"),
        ],
    ),
    (
        "storm with breakers and admission, 10,000 clients",
        &[
            ("clients", "10000"),
            ("attempts", "3"),
            ("budget", "aplomb"),
            ("breaker", "together"),
            ("admission", "aplomb"),
            ("attempt_timeout", "500ms"),
            ("fault", "slow"),
            ("fault_factor", "5"),
            ("fault_start", "10"),
            ("fault_seconds", "30"),
            ("horizon", "300"),
        ],
    ),
    (
        "healthy, 1,000,000 clients",
        &[
            ("clients", "1000000"),
            ("arrivals_per_second", "100000"),
            ("servers", "5000"),
            ("attempt_timeout", "500ms"),
            ("horizon", "20"),
        ],
    ),
];
