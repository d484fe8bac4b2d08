//! Whatever is set, the books balance.

use aplomb_lab::{Control, Estimate, Measures, Model, simulate};
use proptest::prelude::*;
use proptest::sample::select;

/// Values that are ordinary, extreme or at odds with each other.
const VALUES: [(&str, &[&str]); 38] = [
    ("clients", &["1", "3", "50", "2000"]),
    ("arrivals_per_second", &["0.001", "1", "300", "3000"]),
    ("start", &["open", "open", "together"]),
    ("arrivals_end", &["none", "1", "0"]),
    ("horizon", &["1ns", "100ms", "3", "3", "5.5"]),
    ("attempts", &["1", "3", "20", "unlimited"]),
    ("attempt_timeout", &["none", "2ms", "50ms", "1h"]),
    ("total", &["none", "1ns", "300ms", "8000h"]),
    ("backoff", &["none", "exponential", "full", "equal", "decorrelated"]),
    ("base", &["0", "1ns", "10ms", "8000h"]),
    ("cap", &["0", "10ms", "5", "8000h"]),
    ("budget", &["none", "per-call", "per-success", "tower", "grpc", "aws", "finagle", "aplomb"]),
    ("ratio", &["0", "0.2", "0.7", "1"]),
    ("budget_cap", &["0", "10", "1000"]),
    ("budget_initial", &["none", "0", "10"]),
    ("budget_floor", &["0", "10", "100000"]),
    ("timer_tick", &["0", "1ms", "8000h"]),
    ("layers", &["1", "1", "2", "3"]),
    ("servers", &["1", "50", "unlimited"]),
    ("service_time", &["0", "1ns", "40ms", "8000h"]),
    ("service_distribution", &["exponential", "constant"]),
    ("network_delay", &["0", "1ms", "2s", "8000h"]),
    ("queue_limit", &["0", "10", "unlimited"]),
    ("queue_wait_limit", &["none", "0", "100ms"]),
    ("discipline", &["fifo", "lifo", "adaptive"]),
    ("shed", &["none", "deadline", "cancel"]),
    (
        "fault",
        &[
            "none",
            "error",
            "blackhole",
            "lost",
            "pause",
            "slow",
            "capacity",
            "surge",
            "dead-shard",
            "restart",
        ],
    ),
    ("fault_seconds", &["1", "0.5", "8000h"]),
    ("fault_ratio", &["0", "0.3", "1"]),
    ("hedge_after", &["none", "none", "1ns", "10ms", "8000h"]),
    ("hedge_ratio", &["0.05", "1"]),
    ("breaker", &["none", "together", "per-shard"]),
    ("breaker_open", &["1ms", "1"]),
    ("shards", &["1", "1", "8"]),
    ("admission", &["none", "none", "aplomb"]),
    ("keys", &["none", "replay"]),
    ("retry_after", &["none", "0", "1", "8000h"]),
    ("heed", &["spread", "exactly", "no"]),
];

fn model() -> impl Strategy<Value = Model> {
    let choices: Vec<_> = VALUES.iter().map(|(_, values)| select(*values)).collect();
    (choices, select(&["1", "7.5", "1000000"][..]), select(&["workers", "workers", "row"][..]))
        .prop_map(|(values, factor, service)| {
            let mut model = Model::default();
            let mut set = |key: &str, value: &str| model.set(key, value).expect("it is listed");
            for ((key, _), value) in VALUES.iter().zip(values) {
                set(key, value);
            }
            set("fault_factor", factor);
            set("service", service);
            model
        })
        .prop_filter("possible and small", |model| {
            model.check().is_ok() && Estimate::of_run(model).events < 3e5
        })
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 10_000_000, failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn the_books_balance(model in model(), seed: u64) {
        let measures = simulate(&model, seed, &mut (), &Control::default());
        let sum = |of: fn(&aplomb_lab::Second) -> u64| measures.seconds.iter().map(of).sum::<u64>();
        let calls = sum(|row| row.calls);
        let Measures { unfinished, events, .. } = measures;

        prop_assert_eq!(calls, sum(|row| row.calls_succeeded) + sum(|row| row.calls_failed) + unfinished);
        prop_assert_eq!(sum(|row| row.successes), sum(|row| row.calls_succeeded));
        prop_assert!(sum(|row| row.arrivals) <= sum(|row| row.attempts));
        prop_assert!(sum(|row| row.completions) <= sum(|row| row.arrivals));
        prop_assert!(sum(|row| row.served) + sum(|row| row.rejects) <= sum(|row| row.arrivals));
        prop_assert!(events >= calls);
        if model.get("layers").as_deref() == Some("1") {
            prop_assert!(sum(|row| row.attempts) + sum(|row| row.held_back) >= calls);
            prop_assert!(sum(|row| row.hedges) <= sum(|row| row.attempts));
            prop_assert!(sum(|row| row.duplicates) <= sum(|row| row.completions));
            prop_assert!(sum(|row| row.useful) == sum(|row| row.calls_succeeded));
        }
    }
}
