//! The kernel against the real tower stack, step by step.
//!
//! One client calls through `RetryLayer`, `CircuitBreakerLayer` and `DeadlineLayer` on a paused runtime, at the times at
//! which the kernel's client called, with the same dice and the same faults. Every step must be
//! the same: when, which attempt, how it failed, how long it waits, why it ended, and what the
//! budget holds then. Tokio's timers fire at whole milliseconds, so the kernel's do too here.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aplomb_backoff::Backoff;
use aplomb_circuit_breaker::{CircuitBreakerLayer, Trip};
use aplomb_core::{BoxError, Dice, Ratio, Reason, Rng, time};
use aplomb_deadline::DeadlineLayer;
use aplomb_lab::{Control, Model, Purpose, Step, What, simulate};
use aplomb_retry::{Budget, RetryEvent, RetryLayer, Terms};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

/// A fault, a seed, more settings. Calls that meet at the same millisecond have no order of their own:
/// these seeds have no such meeting.
type Case = (&'static str, u64, &'static [(&'static str, &'static str)]);

/// A circuit that opens soon: few calls, few failures in a row.
const CIRCUIT: &[(&str, &str)] = &[
    ("breaker", "together"),
    ("breaker_calls", "5"),
    ("breaker_row", "3"),
    // Shorter ones wake so many calls that some wake in the millisecond of an arrival: either may be first.
    ("breaker_cap", "60s"),
    ("arrivals_per_second", "2"),
    ("fault_ratio", "0.7"),
    ("ratio", "1"),
];

const CASES: [Case; 8] = [
    ("error", 1, &[("fault_ratio", "0.6"), ("ratio", "0.5")]),
    ("error", 2, &[("fault_ratio", "0.4"), ("ratio", "1"), ("total", "150ms")]),
    ("error", 5, &[("fault_ratio", "0.4"), ("ratio", "1"), ("attempts", "2")]),
    ("blackhole", 3, &[("fault_ratio", "0.4"), ("budget_cap", "20")]),
    ("slow", 4, &[("fault_factor", "30"), ("backoff", "decorrelated")]),
    ("error", 8, CIRCUIT),
    ("blackhole", 6, CIRCUIT),
    (
        "error",
        7,
        &[
            ("breaker", "together"),
            ("total", "3s"),
            ("breaker_cap", "8s"),
            ("arrivals_per_second", "4"),
            ("attempts", "2"),
        ],
    ),
];

#[tokio::test(start_paused = true)]
async fn every_step_of_the_kernel_is_a_step_of_the_stack() {
    let mut all = Vec::new();
    for (fault, seed, settings) in CASES {
        let model = model(fault, settings);
        let mut kernel: Vec<Step> = Vec::new();
        simulate(&model, seed, &mut kernel, &Control::default());
        let stack = replay(&model, seed, &kernel).await;
        for (kernel, stack) in kernel.iter().zip(&stack) {
            assert_eq!(kernel, stack, "{fault} {seed}");
        }
        assert_eq!(kernel.len(), stack.len(), "{fault} {seed}");
        all.extend(kernel);
    }
    assert_all_kinds_are_there(&all);
}

/// A comparison of steps that never happened proves nothing.
fn assert_all_kinds_are_there(steps: &[Step]) {
    let count = |is: fn(&RetryEvent) -> bool| {
        let what = steps.iter().map(|step| step.what);
        what.filter(|what| matches!(what, What::Retry(event) if is(event))).count()
    };
    let refused = |wanted: Reason| {
        let what = steps.iter().map(|step| step.what);
        what.filter(
            |what| matches!(what, What::Retry(RetryEvent::Refused { reason, .. }) if *reason == wanted),
        )
        .count()
    };
    assert!(count(|event| matches!(event, RetryEvent::Waiting { .. })) > 100);
    let held_back = |event: &RetryEvent| matches!(event, RetryEvent::Waiting { failure, .. } | RetryEvent::Refused { failure, .. } if failure.held_back);
    assert!(count(held_back) > 100, "no circuit was open");
    assert!(count(|event| matches!(event, RetryEvent::Resent { .. })) > 100);
    assert!(count(|event| matches!(event, RetryEvent::Done { success: true, .. })) > 100);
    for reason in [Reason::Attempts, Reason::Budget, Reason::Time] {
        assert!(refused(reason) > 0, "no call ended for {reason:?}");
    }
}

/// One call a second to a service of unlimited workers, constant times, whole milliseconds.
fn model(fault: &str, more: &[(&str, &str)]) -> Model {
    let mut model = Model::default();
    let common = [
        ("clients", "1"),
        ("arrivals_per_second", "1"),
        ("attempts", "4"),
        ("attempt_timeout", "500ms"),
        ("budget", "aplomb"),
        ("timer_tick", "1ms"),
        ("servers", "unlimited"),
        ("service_distribution", "constant"),
        ("service_time", "20ms"),
        ("network_delay", "3ms"),
        ("fault_start", "30"),
        ("fault_seconds", "240"),
        ("arrivals_end", "300"),
        ("horizon", "330"),
        ("fault", fault),
    ];
    for (key, value) in common.iter().chain(more) {
        model.set(key, value).unwrap();
    }
    model.check().unwrap();
    model
}

type Log = Arc<Mutex<Vec<Step>>>;

/// Calls the real stack whenever the kernel's client began a call.
async fn replay(model: &Model, seed: u64, kernel: &[Step]) -> Vec<Step> {
    let (origin, log) = (time::now(), Log::default());
    let budget = Budget::new(terms(model));
    let dice = Dice::seeded(Purpose::Dice.stream(seed, 0).bits());
    let heard = {
        let (log, budget) = (Arc::clone(&log), budget.clone());
        move |what: What| {
            let at = u64::try_from(origin.elapsed().as_nanos()).unwrap();
            log.lock().unwrap().push(Step::new(at, 0, what, budget.balance()));
        }
    };
    let retry = RetryLayer::new(budget)
        .max_attempts(model.get("attempts").unwrap().parse::<u32>().unwrap())
        .backoff(backoff(model))
        .dice(dice)
        .observe({
            let heard = heard.clone();
            move |event: &RetryEvent| heard(What::Retry(*event))
        });
    let retry = match duration(model, "total") {
        Some(total) => retry.total(total),
        None => retry.unlimited_total(),
    };
    let patience = duration(model, "attempt_timeout").unwrap();
    let server = Script::new(model, seed, origin);
    let client = ServiceBuilder::new()
        .layer(retry)
        .option_layer(circuit(model, seed))
        .layer(DeadlineLayer::attempt(patience))
        .service(service_fn(move |_: Request<Empty<Bytes>>| server.clone().answer()));

    let mut calls = tokio::task::JoinSet::new();
    for step in kernel.iter().filter(|step| step.what == What::Begins) {
        let (mut client, heard, at) = (client.clone(), heard.clone(), step.at);
        calls.spawn(async move {
            tokio::time::sleep_until(origin + Duration::from_nanos(at)).await;
            let request = Request::new(Empty::new());
            let ready = client.ready().await.unwrap();
            heard(What::Begins);
            // How it ended is in the log.
            let _ = ready.call(request).await;
        });
    }
    while let Some(ended) = calls.join_next().await {
        ended.unwrap();
    }
    log.lock().unwrap().clone()
}

/// The breaker as it stands in a stack, if the model has one.
fn circuit(model: &Model, seed: u64) -> Option<CircuitBreakerLayer> {
    let number = |key| model.get(key).unwrap().parse::<u32>().unwrap();
    let ratio = Ratio::from_fraction(model.get("breaker_ratio").unwrap().parse().unwrap()).unwrap();
    let trip = Trip::failure_ratio(ratio)
        .at_least(number("breaker_calls"))
        .over(Duration::from_secs(10))
        .failures_in_a_row(number("breaker_row"));
    let cap = model.get("breaker_cap").unwrap();
    let cap = Duration::from_secs(cap.strip_suffix('s').unwrap().parse().unwrap());
    let layer = CircuitBreakerLayer::new(trip)
        .open_for(Backoff::equal(Duration::from_secs(1), cap))
        .dice(Dice::seeded(Purpose::Circuit.stream(seed, 0).bits()));
    (model.get("breaker").unwrap() != "none").then_some(layer)
}

/// The kernel's server, written once more with tokio's timers.
#[derive(Clone)]
struct Script {
    origin: time::Instant,
    model: Model,
    coins: Arc<Mutex<Rng>>,
}

impl Script {
    fn new(model: &Model, seed: u64, origin: time::Instant) -> Self {
        let coins = Arc::new(Mutex::new(Purpose::Fault.stream(seed, 0)));
        let model = model.clone();
        Self { origin, model, coins }
    }

    async fn answer(self) -> Result<Response<Empty<Bytes>>, BoxError> {
        let get = |key| self.model.get(key).unwrap();
        let (way, mut work) = (millis("3ms"), millis("20ms"));
        tokio::time::sleep(way).await;
        let is_faulty = (30..270).contains(&self.origin.elapsed().as_secs());
        let hit = || {
            let ratio = Ratio::from_fraction(get("fault_ratio").parse().unwrap()).unwrap();
            is_faulty && self.coins.lock().unwrap().chance(ratio)
        };
        match get("fault").as_str() {
            "error" if hit() => {
                tokio::time::sleep(way).await;
                let mut response = Response::new(Empty::new());
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                return Ok(response);
            }
            "blackhole" if hit() => std::future::pending().await,
            "slow" if is_faulty => work *= get("fault_factor").parse().unwrap(),
            _ => {}
        }
        tokio::time::sleep(work + way).await;
        Ok(Response::new(Empty::new()))
    }
}

fn terms(model: &Model) -> Terms {
    let get = |key| model.get(key).unwrap();
    let ratio = Ratio::from_fraction(get("ratio").parse().unwrap()).unwrap();
    Terms::earning(ratio).cap(get("budget_cap").parse().unwrap())
}

fn backoff(model: &Model) -> Backoff {
    let (base, cap) = (millis("50ms"), Duration::from_secs(5));
    match model.get("backoff").unwrap().as_str() {
        "decorrelated" => Backoff::decorrelated(base, cap),
        _ => Backoff::full(base, cap),
    }
}

fn duration(model: &Model, key: &str) -> Option<Duration> {
    let text = model.get(key).unwrap();
    (text != "none").then(|| millis(&text))
}

fn millis(text: &str) -> Duration {
    match text.strip_suffix("ms") {
        Some(millis) => Duration::from_millis(millis.parse().unwrap()),
        None => Duration::from_secs(text.strip_suffix('s').unwrap().parse().unwrap()),
    }
}
