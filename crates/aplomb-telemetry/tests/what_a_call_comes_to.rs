//! Each call is counted once, and its record tells what was decided.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::sync::{Arc, Mutex};

use aplomb_backoff::{Backoff, BackoffLayer};
use aplomb_circuit_breaker::{CircuitBreakerLayer, State};
use aplomb_core::{Condition, DegradedKind, Reason};
use aplomb_deadline::DeadlineLayer;
use aplomb_fallback::{Computed, FallbackLayer};
use aplomb_telemetry::{CallOutcome, CallReport, DependencyMetrics, Metrics};
use common::{Act, inventory, look, metrics, ms, outcomes, retry, stock, value};
use http::Response;
use tower::{Layer, ServiceBuilder, ServiceExt};

const LOST: Act = Act::Answer(503);

#[tokio::test(start_paused = true)]
async fn a_call_is_counted_once_by_how_it_ended() {
    let cases = [
        (vec![], "first_try"),
        (vec![LOST], "rescued"),
        (vec![LOST; 3], "failed"),
        (vec![Act::Answer(404)], "neutral"),
        (vec![LOST, Act::Answer(404)], "neutral"),
    ];
    for (acts, outcome) in cases {
        let metrics = metrics();
        let look_up = inventory(&metrics);
        let (stock, _) = stock(acts.clone());
        let client = ServiceBuilder::new()
            .layer(look_up.call_layer())
            .layer(retry().observe(look_up.clone()))
            .service(stock);
        client.oneshot(look()).await.unwrap();
        assert_eq!(outcomes(&metrics), [(outcome.to_owned(), 1)], "{acts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_hangs_up_is_abandoned_and_one_that_is_late_failed() {
    for (patience, outcome) in [(10, "abandoned"), (1_000, "failed")] {
        let metrics = metrics();
        let look_up = inventory(&metrics);
        let client = ServiceBuilder::new()
            .layer(look_up.call_layer())
            .layer(DeadlineLayer::total(ms(100)).observe(look_up.clone()))
            .layer(retry().observe(look_up.clone()))
            .service(stock([Act::Hang]).0);
        drop(tokio::time::timeout(ms(patience), client.oneshot(look())).await);
        assert_eq!(outcomes(&metrics), [(outcome.to_owned(), 1)]);
        assert!(value(&metrics, "retry_attempts_per_call_count", "") > 0.9);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_counted_without_the_call_layer_too() {
    let metrics = metrics();
    let look_up = inventory(&metrics);
    let client = retry().observe(look_up).layer(stock([Act::Hang]).0);
    drop(tokio::time::timeout(ms(10), client.oneshot(look())).await);
    assert_eq!(outcomes(&metrics), [("abandoned".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_fallback_answered_is_degraded_and_not_failed() {
    let metrics = metrics();
    let look_up = inventory(&metrics);
    let (report, listener) = listener();
    let limited = Computed::new(DegradedKind::Approximate, |_| {
        Ok::<_, aplomb_fallback::Nothing>(Response::new(bytes::Bytes::new()))
    });
    let client = ServiceBuilder::new()
        .layer(look_up.call_layer().observe(listener))
        .layer(FallbackLayer::new(limited).observe(look_up.clone()))
        .layer(retry().observe(look_up.clone()))
        .service(stock([LOST; 3]).0);
    client.oneshot(look()).await.unwrap();
    assert_eq!(outcomes(&metrics), [("degraded".to_owned(), 1)]);
    let used = value(&metrics, "fallback_used_total", r#"reason="upstream""#);
    assert_eq!(used.to_string(), "1");
    let report = report.lock().unwrap().take().unwrap();
    assert_eq!(report.fallback, Some(Condition::Upstream));
    assert_eq!(report.reason, Some(Reason::Attempts));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_that_gets_no_answer_is_one_timeout_whichever_deadline_ends_it() {
    // The total ends the third attempt together with its own deadline, or before it.
    for (attempt, total) in [(100, 260), (100, 360), (100, 200), (500, 100)] {
        let metrics = metrics();
        let look_up = inventory(&metrics);
        let (stock, seen) = stock([Act::Hang; 9]);
        client(&look_up, attempt, total, stock).oneshot(look()).await.unwrap_err();
        let (timeouts, sends) = (timeouts(&metrics), seen.lock().unwrap().len());
        assert_eq!(timeouts, sends.to_string(), "{attempt} ms of {total} ms");
        assert_eq!(outcomes(&metrics), [("failed".to_owned(), 1)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_total_that_ends_a_wait_ends_no_attempt() {
    let metrics = metrics();
    let look_up = inventory(&metrics);
    let paced = BackoffLayer::new(Backoff::exponential(ms(500), ms(500))).after_failures(1);
    let paced = paced.longest_wait(ms(5_000));
    let client = ServiceBuilder::new()
        .layer(look_up.call_layer())
        .layer(DeadlineLayer::total(ms(300)).observe(look_up.clone()))
        .layer(retry().unlimited_total().observe(look_up.clone()))
        .layer(tower::layer::layer_fn(|inner| Slow { inner, calls: 0 }))
        .layer(paced.observe(look_up.clone()))
        .layer(DeadlineLayer::attempt(ms(100)).observe(look_up.clone()))
        .service(stock([Act::Hang; 9]).0);
    client.oneshot(look()).await.unwrap_err();
    assert_eq!(timeouts(&metrics), "1");
    assert_eq!(outcomes(&metrics), [("failed".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_record_tells_every_attempt_its_class_its_wait_and_the_budget() {
    let metrics = metrics();
    let look_up = inventory(&metrics);
    let (report, listener) = listener();
    let client = ServiceBuilder::new()
        .layer(look_up.call_layer().observe(listener))
        .layer(DeadlineLayer::total(ms(1_000)).observe(look_up.clone()))
        .layer(retry().observe(look_up.clone()))
        .layer(CircuitBreakerLayer::default().observe(look_up.clone()))
        .layer(DeadlineLayer::attempt(ms(100)).observe(look_up.clone()))
        .service(stock([Act::Hang, LOST]).0);
    client.oneshot(look()).await.unwrap();
    let report = report.lock().unwrap().take().unwrap();
    assert_eq!((report.outcome, report.attempt.number()), (CallOutcome::Rescued, 3));
    assert_eq!(
        report.to_string(),
        "attempt 1 timeout, again after 30 ms; attempt 2 transient, again after 30 ms; \
         rescued at attempt 3"
    );
    assert_eq!(report.waited(), ms(60));
    let (before, after) = report.balances().unwrap();
    assert_eq!(before.to_string(), "100");
    assert!(after < 99.0, "{after}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_meets_an_open_circuit_says_so() {
    let metrics = metrics();
    let look_up = inventory(&metrics);
    let (report, listener) = listener();
    let breaker = CircuitBreakerLayer::default().observe(look_up.clone());
    breaker.handle().force_open();
    let client = ServiceBuilder::new()
        .layer(look_up.call_layer().observe(listener))
        .layer(retry().observe(look_up.clone()))
        .layer(breaker)
        .service(stock([]).0);
    client.oneshot(look()).await.unwrap_err();
    let report = report.lock().unwrap().take().unwrap();
    assert_eq!(report.circuit, Some(State::Open));
    assert!(report.to_string().contains("(held back)"), "{report}");
    assert!(value(&metrics, "circuit_breaker_rejected_total", "") > 0.9);
}

#[tokio::test(start_paused = true)]
async fn calls_of_two_operations_in_one_task_are_told_apart() {
    let metrics = metrics();
    let (outer, inner) = (metrics.dependency("gateway", "relay"), inventory(&metrics));
    let relayed =
        ServiceBuilder::new().layer(retry().observe(inner.clone())).service(stock([LOST]).0);
    let client = ServiceBuilder::new()
        .layer(outer.call_layer())
        .layer(retry().observe(outer.clone()))
        .service(relayed);
    client.oneshot(look()).await.unwrap();
    assert_eq!(outcomes(&metrics), [("rescued".to_owned(), 1)], "the inner one's");
    let page = metrics.encode().unwrap();
    let line =
        r#"dependency_calls_total{dependency="gateway",operation="relay",outcome="first_try"} 1"#;
    assert!(page.contains(line), "{page}");
}

#[tokio::test(start_paused = true)]
async fn without_retries_the_answer_itself_tells_how_a_call_ended() {
    for (act, outcome) in [(Act::Answer(200), "first_try"), (LOST, "failed")] {
        let metrics = metrics();
        let client = inventory(&metrics).call_layer().layer(stock([act]).0);
        client.oneshot(look()).await.unwrap();
        assert_eq!(outcomes(&metrics), [(outcome.to_owned(), 1)]);
    }
}

#[tokio::test(start_paused = true)]
async fn retries_that_only_observe_are_counted_apart() {
    let metrics = metrics();
    let look_up = inventory(&metrics);
    let (report, listener) = listener();
    let client = ServiceBuilder::new()
        .layer(look_up.call_layer().observe(listener))
        .layer(retry().observe_only().observe(look_up.clone()))
        .service(stock([LOST]).0);
    client.oneshot(look()).await.unwrap();
    assert_eq!(outcomes(&metrics), [("failed".to_owned(), 1)]);
    let would = value(&metrics, "would_have_total", r#"decision="retry""#);
    assert_eq!(would.to_string(), "1");
    assert_eq!(value(&metrics, "retry_added_wait_seconds_count", "").to_string(), "0");
    let report = report.lock().unwrap().take().unwrap();
    assert!(report.to_string().contains("would have been sent again after 30 ms"), "{report}");
}

/// A service that is ready for a second attempt only after a second.
#[derive(Clone)]
struct Slow<S> {
    inner: S,
    calls: u32,
}

impl<S, Req> tower::Service<Req> for Slow<S>
where
    S: tower::Service<Req> + Clone + Send + 'static,
    S::Future: Send,
    Req: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), S::Error>> {
        if self.calls > 0 {
            return std::task::Poll::Pending;
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        self.calls += 1;
        Box::pin(self.inner.call(request))
    }
}

fn client(
    look_up: &DependencyMetrics,
    attempt: u64,
    total: u64,
    stock: common::Stock,
) -> impl tower::Service<
    http::Request<common::Body>,
    Response = Response<common::Body>,
    Error: std::fmt::Debug,
> {
    ServiceBuilder::new()
        .layer(look_up.call_layer())
        .layer(DeadlineLayer::total(ms(total)).observe(look_up.clone()))
        .layer(retry().observe(look_up.clone()))
        .layer(DeadlineLayer::attempt(ms(attempt)).observe(look_up.clone()))
        .service(stock)
}

fn timeouts(metrics: &Metrics) -> String {
    value(metrics, "dependency_timeout_total", "").to_string()
}

type Told = Arc<Mutex<Option<CallReport>>>;

fn listener() -> (Told, impl Fn(&CallReport) + Send + Sync) {
    let told = Told::default();
    let into = Arc::clone(&told);
    (told, move |report: &CallReport| *into.lock().unwrap() = Some(report.clone()))
}
