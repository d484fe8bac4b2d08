//! What `/metrics` shows, by name.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{Attempt, Failure, FailureKind, Observe, Reason};
use aplomb_deadline::DeadlineEvent;
use aplomb_idempotency::IdempotencyEvent;
use aplomb_retry::{Budget, Cost, RetryEvent};
use aplomb_telemetry::{METRICS, Metrics, Prometheus, Recorder};
use prometheus::Registry;

#[test]
fn every_promised_name_is_served_before_anything_happened() {
    let page = metrics().encode().unwrap();
    for name in [
        "retry_attempts_total",
        "retry_exhausted_total",
        "dependency_timeout_total",
        "circuit_breaker_open_total",
        "fallback_used_total",
        "idempotency_key_reused_total",
        "dead_letter_messages_total",
    ] {
        assert!(page.contains(&format!("# TYPE {name} counter")), "{name} in\n{page}");
    }
}

#[test]
fn what_is_watched_stands_at_zero_from_the_start() {
    let metrics = metrics();
    metrics.dependency("inventory", "reserve");
    metrics.operation("POST /orders");
    for name in ["retry_attempts_total", "circuit_breaker_open_total", "fallback_kept_total"] {
        assert_served(
            &metrics,
            &format!(r#"{name}{{dependency="inventory",operation="reserve"}} 0"#),
        );
    }
    let line = r#"dead_letter_messages_total{dependency="",operation="POST /orders"} 0"#;
    assert_served(&metrics, line);
}

#[test]
fn a_rescued_call_counts_its_sends_and_its_wait() {
    let metrics = metrics();
    let reserve = metrics.dependency("inventory", "reserve");
    let (failed, wait) = (Attempt::FIRST, Duration::from_millis(30));
    reserve.observe(&RetryEvent::Waiting { failed, failure: transient(), wait });
    reserve.observe(&RetryEvent::Resent { attempt: failed.next() });
    reserve.observe(&RetryEvent::Done { attempt: failed.next(), success: true });
    assert_served(
        &metrics,
        r#"retry_attempts_total{dependency="inventory",operation="reserve"} 1"#,
    );
    assert_served(&metrics, r#"outcome="rescued"} 1"#);
    assert_served(&metrics, r#"outcome="first_try"} 0"#);
    assert_served(
        &metrics,
        r#"retry_added_wait_seconds_sum{dependency="inventory",operation="reserve"} 0.03"#,
    );
}

#[test]
fn only_a_call_whose_limits_ran_out_is_exhausted() {
    let metrics = metrics();
    let reserve = metrics.dependency("inventory", "reserve");
    for reason in [Reason::Budget, Reason::Unsafe] {
        let attempt = Attempt::FIRST;
        reserve.observe(&RetryEvent::Refused { attempt, failure: transient(), reason });
    }
    assert_served(
        &metrics,
        r#"retry_exhausted_total{dependency="inventory",operation="reserve"} 1"#,
    );
    assert_served(&metrics, r#"reason="budget"} 1"#);
    assert_served(&metrics, r#"reason="unsafe"} 1"#);
    assert_served(&metrics, r#"outcome="failed"} 2"#);
}

#[test]
fn only_what_was_sent_and_not_answered_is_a_timeout() {
    let metrics = metrics();
    let reserve = metrics.dependency("inventory", "reserve");
    reserve.observe(&DeadlineEvent::Exceeded);
    reserve.observe(&DeadlineEvent::Unsent);
    assert_served(
        &metrics,
        r#"dependency_timeout_total{dependency="inventory",operation="reserve"} 1"#,
    );
}

#[test]
fn replays_and_conflicts_are_told_apart() {
    let metrics = metrics();
    let orders = metrics.operation("POST /orders");
    for event in [IdempotencyEvent::Claimed, IdempotencyEvent::Replayed, IdempotencyEvent::Mismatch]
    {
        orders.observe(&event);
    }
    assert_served(&metrics, r#"idempotency_key_reused_total{operation="POST /orders"} 1"#);
    assert_served(&metrics, r#"reason="mismatch"} 1"#);
    assert_served(&metrics, r#"reason="in_flight"} 0"#);
}

#[test]
fn the_balance_is_read_when_it_is_served() {
    let (metrics, budget) = (metrics(), Budget::percent(20));
    metrics.watch_budget("inventory", "reserve", &budget);
    budget.withdraw(Cost::ONE).unwrap().sent().failed();
    assert_served(
        &metrics,
        r#"retry_budget_balance{dependency="inventory",operation="reserve"} 9"#,
    );
}

#[test]
fn a_budget_watched_in_the_place_of_another_lets_that_one_go() {
    let (metrics, first, second) = (metrics(), Budget::percent(20), Budget::percent(20));
    metrics.watch_budget("inventory", "reserve", &first);
    metrics.watch_budget("inventory", "cancel", &first);
    metrics.watch_budget("inventory", "reserve", &second);
    first.withdraw(Cost::ONE).unwrap().sent().failed();
    assert_served(&metrics, r#"{dependency="inventory",operation="reserve"} 10"#);
    assert_served(&metrics, r#"{dependency="inventory",operation="cancel"} 9"#);
}

#[test]
fn what_is_watched_no_more_is_let_go() {
    let registry = Registry::new();
    let recorder = Prometheus::register(&registry, None).unwrap();
    let balance = METRICS.iter().find(|metric| metric.name == "retry_budget_balance").unwrap();
    let labels = ["inventory", "reserve"];
    let first = Arc::new(7.0);
    let watched = Arc::clone(&first);
    recorder.watch(balance, &labels, Box::new(move || *watched));
    recorder.watch(balance, &labels, Box::new(|| 9.0));
    assert_eq!(Arc::strong_count(&first), 1);
    // Who gathers the registry itself sees the same.
    let gathered = registry.gather();
    assert_eq!(gathered[0].get_metric()[0].get_gauge().get_value().to_string(), "9");
    recorder.forget(balance, &labels);
    assert!(registry.gather().is_empty());
}

#[test]
fn an_admission_shows_how_full_it_is() {
    let metrics = metrics();
    let admission = aplomb_admission::AdmissionLayer::outbound(16);
    metrics.watch_admission("inventory", "reserve", &admission.handle());
    let of = r#"{dependency="inventory",operation="reserve"}"#;
    for line in ["admission_running{} 0", "admission_waiting{} 0", "admission_limit{} 16"] {
        assert_served(&metrics, &line.replace("{}", of));
    }
}

#[test]
fn every_event_of_a_key_is_counted_by_its_word() {
    let metrics = metrics();
    let orders = metrics.operation("POST /orders");
    let events = [
        IdempotencyEvent::Waiting,
        IdempotencyEvent::Recovered,
        IdempotencyEvent::Unreadable,
        IdempotencyEvent::Resolved,
        IdempotencyEvent::Purged,
    ];
    for event in events {
        orders.observe(&event);
        let labels = format!(r#"event="{}",operation="POST /orders""#, event.as_str());
        assert_served(&metrics, &format!("idempotency_events_total{{{labels}}} 1"));
    }
}

#[test]
fn what_a_server_answers_with_has_few_words() {
    let metrics = metrics();
    let orders = metrics.operation("POST /orders");
    orders.problem(http::StatusCode::BAD_GATEWAY);
    orders.unready(http::StatusCode::SERVICE_UNAVAILABLE);
    orders.problem(http::StatusCode::IM_A_TEAPOT);
    for labels in [
        r#"event="failed",operation="POST /orders",status="502""#,
        r#"event="unready",operation="POST /orders",status="503""#,
        r#"event="failed",operation="POST /orders",status="other""#,
    ] {
        assert_served(&metrics, &format!("problem_answers_total{{{labels}}} 1"));
    }
}

#[test]
fn a_prefix_stands_before_every_name() {
    let metrics = Metrics::register(&Registry::new(), Some("shop")).unwrap();
    assert_served(&metrics, "# TYPE shop_retry_attempts_total counter");
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let registry = Registry::new();
    Metrics::register(&registry, None).unwrap();
    assert!(Metrics::register(&registry, None).is_err());
}

fn assert_served(metrics: &Metrics, line: &str) {
    let page = metrics.encode().unwrap();
    assert!(page.contains(line), "no {line} in\n{page}");
}

fn metrics() -> Metrics {
    Metrics::register(&Registry::new(), None).unwrap()
}

fn transient() -> Failure {
    Failure::new(FailureKind::Transient)
}
