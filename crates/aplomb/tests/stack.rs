//! The one order of a client's layers, and what a policy makes of them.

#![cfg(feature = "policy")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "stack/wire.rs"]
mod wire;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aplomb::circuit_breaker::{BreakerEvent, CircuitOpen, State};
use aplomb::core::{
    BoxError, DeadlineExceeded, DegradedKind, Dice, NotRetried, Observe, OperationClass, Reason,
    cause,
};
use aplomb::fallback::Fixed;
use aplomb::policy::{Change, InFlight, Key, Mode, OperationName, Policy, PolicyFile, Repeat};
use aplomb::retry::RetryEvent;
use aplomb::stack::{self, NoOperation, Stack};
use aplomb::{admission, backoff, deadline, fallback};
use tower::{Layer, Service, ServiceExt};

use wire::{Stock, get, post, timed};

const LOOK: &str = "http://stock:7001/stock/mug";
const RESERVE: &str = "http://stock:7001/reservations";

fn policies(extra: &str) -> PolicyFile {
    let text = format!(
        r#"
        version = 1
        [service]
        name = "shop"
        [dependency.stock]
        authority = "stock:7001"
        budget = {{ ratio = 0.2 }}
        breaker = {{ failure_ratio = 0.5, window = "10s", minimum_calls = 20 }}
        [dependency.stock.operation.look]
        class = "read"
        match = "GET /stock/{{sku}}"
        [dependency.stock.operation.reserve]
        class = "keyed-write"
        match = "POST /reservations"
        key = {{ from = "order line", kept = "24h" }}
        {extra}
        "#
    );
    PolicyFile::parse("aplomb.toml", &text).unwrap()
}

fn preset(class: OperationClass) -> Policy {
    let key = Key::new("order line", Duration::from_secs(24 * 3600));
    match class {
        OperationClass::KeyedWrite | OperationClass::Deferred => {
            Policy::preset(class).key(key).build().unwrap()
        }
        _ => Policy::preset(class).build().unwrap(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_without_a_key_is_sent_once_by_every_preset() {
    for &class in OperationClass::ALL {
        for status in [503, 500, 429, 408, 0] {
            let stock = Stock::says([status]);
            // Where the policy names a key, its maker finds none for this work.
            let keys = aplomb::idempotency::KeyLayer::derived(|_: &wire::Sent| None);
            let client = Stack::new(preset(class)).keys(keys).layer(stock.clone());
            let _failed = client.oneshot(post(RESERVE)).await;
            assert_eq!(stock.sends(), 1, "{class} after {status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_stamped_once_for_all_attempts() {
    let stock = Stock::says([503]);
    let client = Stack::new(preset(OperationClass::KeyedWrite)).layer(stock.clone());
    assert_eq!(client.oneshot(post(RESERVE)).await.unwrap().status(), 200);
    let keys = stock.header("idempotency-key");
    assert_eq!(keys.len(), 2);
    assert!(keys[0].is_some() && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[tokio::test(start_paused = true)]
async fn where_no_policy_names_a_key_none_is_stamped() {
    let stock = Stock::says([]);
    let client = Stack::new(preset(OperationClass::Confirm)).layer(stock.clone());
    client.oneshot(post(RESERVE)).await.unwrap();
    assert_eq!(stock.header("idempotency-key"), [None]);
}

#[tokio::test(start_paused = true)]
async fn a_post_that_only_reads_is_sent_again() {
    let stock = Stock::says([503]);
    let policy = Policy::preset(OperationClass::Read).repeat(Repeat::Always).build().unwrap();
    let client = Stack::new(policy).layer(stock.clone());
    assert_eq!(client.oneshot(post(RESERVE)).await.unwrap().status(), 200);
    assert_eq!(stock.sends(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_is_neither_retried_nor_paid() {
    let stock = Stock::always(200);
    let stack = Stack::new(preset(OperationClass::Read));
    let budget = stack.budget().unwrap();
    stack.breaker_handle().unwrap().force_open();
    let client = stack.layer(stock.clone());
    let error = client.oneshot(get(LOOK)).await.unwrap_err();
    assert!(cause::<CircuitOpen>(&*error).is_some(), "{error}");
    assert_eq!((stock.sends(), budget.balance().to_string()), (0, "10".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn every_attempt_of_a_call_counts_in_the_breaker() {
    let stock = Stock::always(500);
    let stack = Stack::new(preset(OperationClass::Read));
    let handle = stack.breaker_handle().unwrap();
    let client = stack.layer(stock.clone());
    // Two attempts, then one for want of budget: ten failures in a row open it.
    while handle.snapshot().state == State::Closed {
        let _failed = client.clone().oneshot(get(LOOK)).await;
        assert!(stock.sends() < 12);
    }
    assert_eq!(stock.sends(), 10);
}

#[tokio::test(start_paused = true)]
async fn the_total_deadline_bounds_all_attempts_and_waits() {
    let stock = Stock::always(0);
    let client = Stack::new(preset(OperationClass::Read)).layer(stock.clone());
    let (answer, time) = timed(client.oneshot(get(LOOK))).await;
    let error = answer.unwrap_err();
    assert!(cause::<DeadlineExceeded>(&*error).is_some());
    assert_eq!(stock.sends(), 2);
    assert!(time <= Duration::from_millis(801), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_cut_off_in_its_own_time_and_the_next_one_answers() {
    let stock = Stock::says([0]);
    let client = Stack::new(preset(OperationClass::Read)).layer(stock.clone());
    let (answer, time) = timed(client.oneshot(get(LOOK))).await;
    assert_eq!(answer.unwrap().status(), 200);
    assert!(time >= Duration::from_millis(350), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fallback_answers_outside_of_everything() {
    let stock = Stock::always(200);
    let limited = Fixed::new(DegradedKind::Approximate, http::Response::new("few".into()));
    let stack = Stack::new(preset(OperationClass::Read));
    stack.breaker_handle().unwrap().force_open();
    let client = stack.fallback(limited).layer(stock.clone());
    let answer = client.oneshot(get(LOOK)).await.unwrap();
    assert!(aplomb::core::Degraded::of(answer.extensions()).is_some());
    assert_eq!(stock.sends(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_says_fail_is_answered_by_no_fallback() {
    let limited = Fixed::new(DegradedKind::Approximate, http::Response::new("few".into()));
    let stack = Stack::new(preset(OperationClass::Confirm)).fallback(limited);
    let answer = stack.layer(Stock::always(500)).oneshot(post(RESERVE)).await.unwrap();
    assert_eq!(answer.status(), 500);
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_in_flight_than_the_limit() {
    let stock = Stock::always(0);
    let one = InFlight::new(std::num::NonZeroU32::MIN, Duration::from_millis(10));
    let client = Stack::new(preset(OperationClass::Confirm)).in_flight(one).layer(stock.clone());
    let hanging = tokio::spawn(client.clone().oneshot(get(LOOK)));
    tokio::task::yield_now().await;
    let error = client.oneshot(get(LOOK)).await.unwrap_err();
    assert!(cause::<aplomb::core::Saturated>(&*error).is_some(), "{error}");
    assert_eq!(stock.sends(), 1);
    hanging.abort();
}

#[tokio::test(start_paused = true)]
async fn each_request_goes_by_the_policy_of_its_operation() {
    let stock = Stock::says([503, 503, 503, 503, 503]);
    let client = stack::client(policies("")).service(stock.clone());
    assert_eq!(client.clone().oneshot(get(LOOK)).await.unwrap().status(), 503);
    assert_eq!(stock.sends(), 2, "a read has two attempts");
    let mut named = get("http://elsewhere/");
    named.extensions_mut().insert(OperationName::new("stock.reserve"));
    client.oneshot(named).await.unwrap();
    assert!(stock.sends() > 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_operation_is_not_sent() {
    let stock = Stock::always(200);
    let client = stack::client(policies("")).service(stock.clone());
    let error = client.oneshot(get("http://stock:7001/other?secret=1")).await.unwrap_err();
    assert!(error.is::<NoOperation>());
    assert_eq!(
        error.to_string(),
        "no policy for `GET stock:7001/other`: match it with an operation, or name one; nothing was \
         sent"
    );
    assert_eq!(stock.sends(), 0);
    let otherwise = preset(OperationClass::Confirm);
    let client = stack::client(policies("")).otherwise(otherwise).service(stock.clone());
    assert_eq!(client.oneshot(get("http://stock:7001/other")).await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn operations_of_a_dependency_share_its_breaker_and_each_class_its_budget() {
    let stock = Stock::always(500);
    let client = stack::client(policies("")).service(stock.clone());
    let handle = client.handle();
    let breaker = handle.breaker("stock").unwrap();
    while breaker.snapshot().state == State::Closed {
        let _failed = client.clone().oneshot(get(LOOK)).await;
    }
    // Until told otherwise: a write would wait for the probe.
    breaker.force_open();
    let error = client.oneshot(post(RESERVE)).await.unwrap_err();
    assert!(cause::<CircuitOpen>(&*error).is_some());
    let balance = |class| handle.budget("stock", class).unwrap().balance();
    assert!(balance(OperationClass::Read) < 10.0);
    assert_eq!(balance(OperationClass::KeyedWrite).to_string(), "10");
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_the_policy_and_keeps_what_is_known() {
    let stock = Stock::always(500);
    let client = stack::client(policies("")).service(stock.clone());
    let handle = client.handle();
    let _failed = client.clone().oneshot(get(LOOK)).await;
    let spent = handle.budget("stock", OperationClass::Read).unwrap().balance();
    assert!(spent < 10.0);
    let breaker = handle.breaker("stock").unwrap();
    breaker.force_open();

    let reload = handle.apply(policies("attempts = 2"));
    let (of, name) = (Arc::from("stock"), Arc::from("reserve"));
    assert_eq!(reload.changes(), [Change::OperationChanged(of, name)]);
    let kept = handle.budget("stock", OperationClass::Read).unwrap().balance();
    assert_eq!(kept.to_string(), spent.to_string());
    let error = client.clone().oneshot(get(LOOK)).await.unwrap_err();
    assert!(cause::<CircuitOpen>(&*error).is_some(), "the breaker is open as before");

    breaker.force_closed();
    stock.next([503, 503, 503]);
    stock.usually(200);
    let before = stock.sends();
    assert_eq!(client.oneshot(post(RESERVE)).await.unwrap().status(), 503);
    assert_eq!(stock.sends() - before, 2, "two attempts instead of three");
}

#[tokio::test(start_paused = true)]
async fn a_budget_on_other_terms_keeps_what_it_holds() {
    let stock = Stock::always(500);
    let text = policies("");
    let client = stack::client(text).service(stock.clone());
    let handle = client.handle();
    let _failed = client.clone().oneshot(get(LOOK)).await;
    let held = || handle.budget("stock", OperationClass::Read).unwrap().balance();
    let spent = held();
    let other = PolicyFile::parse(
        "aplomb.toml",
        r#"
        version = 1
        [service]
        name = "shop"
        [dependency.stock]
        authority = "stock:7001"
        budget = { ratio = 0.1, cap = 5 }
        [dependency.stock.operation.look]
        class = "read"
        match = "GET /stock/{sku}"
        "#,
    );
    handle.apply(other.unwrap());
    assert!(spent > 5.0);
    assert_eq!(held().to_string(), "5");
    assert!(handle.breaker("stock").is_none());
}

/// Hears every layer, in words.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<String>>>);

impl Ear {
    fn heard(&self, words: &str) -> bool {
        self.0.lock().unwrap().iter().any(|event| event.contains(words))
    }

    fn hear(&self, event: &dyn std::fmt::Debug) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

macro_rules! hears {
    ($($event:ty),*) => {
        $(impl Observe<$event> for Ear {
            fn observe(&self, event: &$event) {
                self.hear(event);
            }
        })*
    };
}
hears!(
    RetryEvent,
    backoff::BackoffEvent,
    deadline::DeadlineEvent,
    admission::AdmissionEvent,
    fallback::FallbackEvent,
    BreakerEvent<'_>
);

#[tokio::test(start_paused = true)]
async fn a_policy_that_observes_decides_and_does_nothing() {
    let ear = Ear::default();
    let limited = Fixed::new(DegradedKind::Approximate, http::Response::new("few".into()));
    let key = Key::new("order line", Duration::from_secs(24 * 3600));
    let policy = Policy::preset(OperationClass::KeyedWrite).key(key).mode(Mode::Observe);
    let one = InFlight::new(std::num::NonZeroU32::MIN, Duration::from_millis(10));
    let stack = Stack::new(policy.build().unwrap()).in_flight(one).observe(ear.clone());
    stack.breaker_handle().unwrap().force_open();
    let stock = Stock::says([503, 2]);
    let client = stack.fallback(limited).layer(stock.clone());

    // A read may be repeated and answered by another; here it is neither.
    let answer = client.clone().oneshot(get(LOOK)).await.unwrap();
    assert_eq!((answer.status().as_u16(), stock.sends()), (503, 1));
    assert!(answer.extensions().get::<NotRetried>().is_none());
    assert!(ear.heard("WouldRetry"));
    assert!(ear.heard("enforced: false"), "the breaker was open");

    let (answer, time) = timed(client.clone().oneshot(post(RESERVE))).await;
    assert_eq!(answer.unwrap().status(), 200);
    assert!(time >= Duration::from_secs(5), "no deadline ended it");
    assert!(ear.heard("WouldHaveExceeded"));
    assert_eq!(stock.header("idempotency-key"), [None, None]);
    assert_eq!(stock.header("x-envoy-expected-rq-timeout-ms"), [None, None]);
}

#[tokio::test(start_paused = true)]
async fn what_only_observes_spends_nothing_of_those_that_act() {
    let stock = Stock::always(503);
    let client = stack::client(policies(
        "[dependency.stock.operation.list]\nclass = 'read'\nmatch = 'GET /stock'\nmode = 'observe'",
    ));
    let client = client.service(stock.clone());
    for _ in 0..20 {
        let answer = client.clone().oneshot(get("http://stock:7001/stock")).await.unwrap();
        assert_eq!(answer.status(), 503);
    }
    assert_eq!(stock.sends(), 20);
    let handle = client.handle();
    let budget = handle.budget("stock", OperationClass::Read).unwrap();
    assert_eq!(budget.balance().to_string(), "10");
    assert_eq!(handle.breaker("stock").unwrap().snapshot().state, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn one_observer_for_each_operation_hears_all_its_layers() {
    let ears: Arc<Mutex<Vec<(String, Ear)>>> = Arc::default();
    let made = Arc::clone(&ears);
    let client = stack::client(policies(""))
        .observe(move |dependency: &str, operation: &str| {
            let ear = Ear::default();
            made.lock().unwrap().push((format!("{dependency}.{operation}"), ear.clone()));
            ear
        })
        .service(Stock::says([503]));
    client.oneshot(get(LOOK)).await.unwrap();
    let ears = ears.lock().unwrap();
    let names: Vec<&str> = ears.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["stock.look", "stock.reserve"]);
    assert!(ears[0].1.heard("Resent") && !ears[1].1.heard("Resent"));
}

#[tokio::test(start_paused = true)]
async fn a_rescheduled_operation_is_sent_once_a_run() {
    let stock = Stock::always(0);
    let client = Stack::new(preset(OperationClass::Deferred)).layer(stock.clone());
    let (answer, time) = timed(client.oneshot(post(RESERVE))).await;
    let error: BoxError = answer.unwrap_err();
    assert_eq!(cause::<NotRetried>(&*error).map(|why| why.reason), Some(Reason::Attempts));
    assert_eq!((stock.sends(), time.as_secs()), (1, 10), "an attempt's time, not the job's");
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_is_never_ready_takes_of_the_calls_time() {
    let limited = tower::limit::ConcurrencyLimit::new(Stock::always(0), 1);
    let client = Stack::new(preset(OperationClass::Confirm)).layer(limited);
    let first = tokio::spawn(client.clone().oneshot(get(LOOK)));
    tokio::task::yield_now().await;
    let (answer, time) = timed(client.oneshot(get(LOOK))).await;
    assert!(cause::<DeadlineExceeded>(&*answer.unwrap_err()).is_some());
    assert_eq!(time.as_secs(), 2);
    first.await.unwrap().unwrap_err();
}

#[test]
fn a_client_fits_the_state_of_a_router() {
    fn fits_axum<S: Clone + Send + Sync + 'static>(_: &S) {}
    fn is_a_service<S: Service<wire::Sent, Error = BoxError>>(_: S) {}
    let client = stack::client(policies("")).service(Stock::default());
    fits_axum(&client);
    fits_axum(&Stack::new(preset(OperationClass::Read)).layer(Stock::default()));
    is_a_service(client);
}

#[cfg(feature = "last-good")]
#[tokio::test(start_paused = true)]
async fn the_last_good_answer_is_given_where_the_policy_says_so_and_survives_a_reload() {
    let stock = Stock::says([200]);
    let client = stack::client(policies("")).last_good().service(stock.clone());
    let answer = client.clone().oneshot(get(LOOK)).await.unwrap();
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
    assert_eq!(body, "5 mugs");
    client.handle().apply(policies("attempts = 2"));
    stock.usually(500);
    let answer = client.clone().oneshot(get(LOOK)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().contains_key("age"));
    let written = client.oneshot(post(RESERVE)).await.unwrap();
    assert_eq!(written.status(), 500, "a write has no last good answer");
}

#[cfg(feature = "dead-letter")]
#[tokio::test(start_paused = true)]
async fn a_deferred_call_that_failed_finally_is_kept() {
    use aplomb::dead_letter::{DeadLetterLayer, Fate, MemorySink};
    let stack = Stack::new(preset(OperationClass::Deferred));
    let stack = stack.dead_letters(DeadLetterLayer::new(Arc::new(MemorySink::new())));
    let client = stack.layer(Stock::always(422));
    let mut shipment = post(RESERVE);
    shipment.headers_mut().insert("idempotency-key", "order_123_shipment".parse().unwrap());
    shipment.extensions_mut().insert(OperationClass::Deferred);
    let answer = client.oneshot(shipment).await;
    assert!(matches!(Fate::of(&answer), Some(Fate::Buried(_))));
}

#[tokio::test(start_paused = true)]
async fn the_owner_of_the_retries_is_named_on_the_wire() {
    let stock = Stock::says([]);
    let client = stack::client(policies("")).service(stock.clone());
    client.oneshot(post(RESERVE)).await.unwrap();
    assert_eq!(stock.header("x-retry-owner"), [Some("shop@stock:7001".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_once_claims_no_retries_and_another_owners_are_left_to_it() {
    let stock = Stock::always(503);
    let owned = stack::client(policies("owner = 'mesh'\nattempts = 3")).service(stock.clone());
    assert_eq!(owned.oneshot(post(RESERVE)).await.unwrap().status(), 503);
    assert_eq!(stock.header("x-retry-owner"), [None]);

    // Somebody further out named himself on the request.
    let stock = Stock::always(503);
    let client = stack::client(policies("")).service(stock.clone());
    let mut claimed = post(RESERVE);
    claimed.headers_mut().insert("x-retry-owner", "mesh@stock:7001".parse().unwrap());
    let answer = client.oneshot(claimed).await.unwrap();
    assert_eq!((answer.status().as_u16(), stock.sends()), (503, 1));
    assert_eq!(stock.header("x-retry-owner"), [Some("mesh@stock:7001".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_says_whether_a_call_waits_for_an_open_circuit() {
    for (word, waits) in [("wait", true), ("fail", false)] {
        let stock = Stock::always(1);
        let client = stack::client(policies(&format!("when_paused = '{word}'")));
        let client = client.dice(Dice::seeded(7)).service(stock.clone());
        let breaker = client.handle().breaker("stock").unwrap();
        while breaker.snapshot().state == State::Closed {
            let _failed = client.clone().oneshot(get(LOOK)).await;
        }
        stock.usually(200);
        let answer = client.oneshot(post(RESERVE)).await;
        assert_eq!(answer.is_ok(), waits, "{word}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_of_attempts_sees_every_send_and_one_of_calls_each_call_once() {
    let (sends, calls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let count = |of: &Arc<AtomicUsize>| {
        let of = Arc::clone(of);
        tower::util::MapRequestLayer::new(move |request: wire::Sent| {
            of.fetch_add(1, Ordering::Relaxed);
            request
        })
    };
    let (attempts, whole) = (count(&sends), count(&calls));
    let client = stack::client(policies(""))
        .attempts(attempts)
        .calls(move |(): &()| whole.clone())
        .service(Stock::says([503]));
    assert_eq!(client.oneshot(get(LOOK)).await.unwrap().status(), 200);
    assert_eq!((sends.load(Ordering::Relaxed), calls.load(Ordering::Relaxed)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_of_one_operation_answers_for_no_other() {
    let limited = Fixed::new(DegradedKind::Approximate, http::Response::new("few".into()));
    let client = stack::client(policies("")).fallback_of("stock.look", limited);
    let client = client.service(Stock::always(500));
    assert_eq!(client.clone().oneshot(get(LOOK)).await.unwrap().status(), 200);
    assert_eq!(client.oneshot(post(RESERVE)).await.unwrap().status(), 500);
}

#[tokio::test(start_paused = true)]
async fn the_same_dice_wait_for_equally_long() {
    let waited = async |seed| {
        let client = stack::client(policies("")).dice(Dice::seeded(seed));
        timed(client.service(Stock::says([503])).oneshot(get(LOOK))).await.1
    };
    assert_eq!(waited(7).await, waited(7).await);
    assert_ne!(waited(7).await, waited(8).await);
}

#[cfg(feature = "last-good")]
#[tokio::test(start_paused = true)]
async fn what_is_kept_as_the_last_good_answer_can_be_evicted() {
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let stock = Stock::says([200]);
    let client = stack::client(policies("")).last_good_as(move |name, good| {
        assert_eq!(name, "stock.look");
        *keep.lock().unwrap() = Some(good.clone());
        good
    });
    let client = client.service(stock.clone());
    let answer = client.clone().oneshot(get(LOOK)).await.unwrap();
    drop(http_body_util::BodyExt::collect(answer.into_body()).await.unwrap());
    stock.usually(500);
    assert_eq!(client.clone().oneshot(get(LOOK)).await.unwrap().status(), 200);
    kept.lock().unwrap().as_ref().unwrap().evict(&LOOK.parse().unwrap());
    assert_eq!(client.oneshot(get(LOOK)).await.unwrap().status(), 500);
}

#[cfg(feature = "dead-letter")]
#[tokio::test(start_paused = true)]
async fn a_deferred_job_comes_back_as_often_as_its_policy_says() {
    use aplomb::core::time;
    use aplomb::dead_letter::{DeadLetterLayer, Fate, Job, MemorySink};
    let key = Key::new("order", Duration::from_secs(9 * 24 * 3600));
    let policy = Policy::preset(OperationClass::Deferred).key(key).attempts(2).build().unwrap();
    let stack = Stack::new(policy);
    let stack = stack.dead_letters(DeadLetterLayer::new(Arc::new(MemorySink::new())));
    let client = stack.layer(Stock::always(503));
    let run = async |rounds| {
        let mut shipment = post(RESERVE);
        shipment.headers_mut().insert("idempotency-key", "order_123_shipment".parse().unwrap());
        shipment.extensions_mut().insert(OperationClass::Deferred);
        let job = Job::new(Duration::from_secs(3600), time::now()).rounds(rounds);
        shipment.extensions_mut().insert(job);
        Fate::of(&client.clone().oneshot(shipment).await)
    };
    let Some(Fate::Reschedule(later)) = run(0).await else { panic!("it has another run") };
    assert!(later.wait <= Duration::from_secs(60), "the policy's first wait: {:?}", later.wait);
    assert!(matches!(run(1).await, Some(Fate::Buried(_))), "it has had both");
}

#[cfg(feature = "telemetry")]
#[tokio::test(start_paused = true)]
async fn telemetry_counts_each_call_once_and_shows_budget_and_places() {
    let metrics = aplomb::telemetry::Metrics::register(&prometheus::Registry::new(), None).unwrap();
    let limited = Fixed::new(DegradedKind::Approximate, http::Response::new("few".into()));
    let mut text = policies("").to_toml();
    text = text.replace(
        "[dependency.stock]\n",
        "[dependency.stock]\nin_flight = { limit = 8, wait = '10ms' }\n",
    );
    let client = stack::client(PolicyFile::parse("aplomb.toml", &text).unwrap())
        .fallback(limited)
        .telemetry(&metrics)
        .service(Stock::always(500));
    assert_eq!(client.oneshot(get(LOOK)).await.unwrap().status(), 200);
    let page = metrics.encode().unwrap();
    let look = "dependency=\"stock\",operation=\"look\"";
    for line in [
        format!("dependency_calls_total{{{look},outcome=\"degraded\"}} 1"),
        format!("dependency_calls_total{{{look},outcome=\"failed\"}} 0"),
        format!("retry_attempts_total{{{look}}} 1"),
        "admission_limit{dependency=\"stock\",operation=\"\"} 8".to_owned(),
        format!("retry_budget_balance{{{look}}}"),
    ] {
        assert!(page.contains(&line), "{line} in {page}");
    }
}
