//! The server's side, on a paused clock.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::time::Duration;

use aplomb_admission::{Admission, AdmissionEvent, AdmissionLayer, RejectReason, problems};
use aplomb_core::{Deadline, Dice, OperationClass, owner, time};
use common::{Body, Handler, Heard, get, millis, poll};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::{advance, timeout};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt};

type Guarded = Admission<Handler, Heard>;

/// A handler behind a limit of one.
fn one_at_a_time() -> (AdmissionLayer<aplomb_admission::Inbound, Heard>, Handler, Heard, Guarded) {
    let (handler, heard) = (Handler::default(), Heard::default());
    let layer = AdmissionLayer::new(1).dice(Dice::seeded(7)).observe(heard.clone());
    let service = layer.layer(handler.clone());
    (layer, handler, heard, service)
}

/// A call under way.
fn call<S>(service: &S, request: Request<Body>) -> std::pin::Pin<Box<S::Future>>
where
    S: Service<Request<Body>, Error = std::convert::Infallible> + Clone,
{
    let mut service = service.clone();
    assert!(poll(&mut Box::pin(service.ready())).is_ready());
    Box::pin(service.call(request))
}

async fn problem(response: Response<Body>) -> serde_json::Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_a_place_and_runs() {
    let (layer, handler, heard, service) = one_at_a_time();
    let mut first = call(&service, get("/1"));
    let mut second = call(&service, get("/2"));
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
    let snapshot = layer.handle().snapshot();
    assert_eq!((snapshot.running, snapshot.waiting, snapshot.limit.get()), (1, 1, 1));
    assert_eq!(handler.running(), ["/1"]);

    advance(millis(30)).await;
    handler.answer();
    assert_eq!(first.await.unwrap().status(), 200);
    assert!(poll(&mut second).is_pending());
    assert_eq!(handler.running(), ["/2"]);
    handler.answer();
    assert_eq!(second.await.unwrap().status(), 200);
    let at_once = AdmissionEvent::Admitted { wait: Duration::ZERO };
    assert_eq!(heard.events(), [at_once, AdmissionEvent::Admitted { wait: millis(30) }]);
    assert_eq!(layer.handle().snapshot().running, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waited_too_long_is_told_when_to_come_back() {
    let (layer, handler, heard, service) = one_at_a_time();
    let _first = call(&service, get("/1"));
    let begun = time::now();
    let response = call(&service, get("/2")).await.unwrap();
    assert_eq!(time::now() - begun, millis(100));
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait));
    // A calm server lets some of them come again.
    assert!(!response.headers().contains_key(owner::SHOULD_RETRY));
    let problem = problem(response).await;
    assert_eq!(problem["type"], problems::OVERLOADED);
    assert_eq!(problem["reason"], "waited_too_long");

    let rejected = AdmissionEvent::Rejected {
        reason: RejectReason::WaitedTooLong,
        class: OperationClass::Read,
        wait: millis(100),
    };
    assert_eq!(heard.events()[1..], [rejected]);
    assert_eq!((handler.running().len(), layer.handle().snapshot().waiting), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn waits_before_retries_are_jittered() {
    let layer = AdmissionLayer::new(1).waiters_max(0).retry_after(Duration::from_secs(8));
    let service = layer.dice(Dice::seeded(7)).layer(Handler::default());
    let _first = call(&service, get("/1"));
    let mut waits = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let response = call(&service, get("/2")).await.unwrap();
        waits.insert(response.headers()["retry-after"].to_str().unwrap().to_owned());
    }
    assert!(waits.into_iter().eq(["10", "8", "9"].map(str::to_owned)));
}

#[tokio::test(start_paused = true)]
async fn who_has_no_leave_to_come_again_is_told_so() {
    let layer = AdmissionLayer::new(1).waiters_max(0);
    let service = layer.layer(Handler::default());
    let _first = call(&service, get("/1"));
    let mut again = get("/2");
    again.headers_mut().insert(owner::ATTEMPT_COUNT, 2.into());
    let response = call(&service, again).await.unwrap();
    assert_eq!(response.headers()[owner::SHOULD_RETRY], "false");

    let mut leaves = 0;
    for _ in 0..1_000 {
        let response = call(&service, get("/2")).await.unwrap();
        leaves += u32::from(!response.headers().contains_key(owner::SHOULD_RETRY));
    }
    assert_eq!(leaves, 39, "ten that were saved, and three per cent");
}

#[tokio::test(start_paused = true)]
async fn work_that_is_late_is_dropped_before_it_runs() {
    let (_layer, handler, heard, service) = one_at_a_time();
    let due = |path, left| {
        let mut request = get(path);
        request.extensions_mut().insert(Deadline::after(time::now(), left));
        request
    };
    // Though there is a place, there is no time.
    for left in [Duration::ZERO, Duration::from_micros(900)] {
        let response = call(&service, due("/late", left)).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(problem(response).await["type"], problems::EXPIRED);
    }
    assert!(handler.running().is_empty());

    let mut first = call(&service, get("/1"));
    let begun = time::now();
    let response = call(&service, due("/2", millis(21))).await.unwrap();
    // The last millisecond would have been for the work.
    assert_eq!(time::now() - begun, millis(20));
    assert_eq!(problem(response).await["reason"], "expired");
    handler.answer();
    assert!(poll(&mut first).is_ready());
    assert!(handler.running().is_empty());
    let expired = |event: &&AdmissionEvent| {
        matches!(event, AdmissionEvent::Rejected { reason: RejectReason::Expired, .. })
    };
    assert_eq!(heard.events().iter().filter(expired).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_force_counts_as_one_that_is_carried() {
    let (_layer, handler, _, service) = one_at_a_time();
    let scope = Deadline::at(time::now()).enter();
    let late = call(&service, get("/late"));
    drop(scope);
    assert_eq!(late.await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(handler.running().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_becomes_late_while_its_service_gets_ready_does_not_run() {
    let (handler, layer) = (Handler::default(), AdmissionLayer::new(1));
    let first = call(&layer.layer(handler.clone()), get("/1"));
    let inner = ConcurrencyLimit::new(handler.clone(), 1);
    let mut due = get("/2");
    due.extensions_mut().insert(Deadline::after(time::now(), millis(50)));
    let mut second = call(&layer.layer(inner.clone()), due);
    assert!(poll(&mut second).is_pending());
    // Its turn comes while somebody else has the place inside.
    let mut other = inner.clone();
    assert!(poll(&mut Box::pin(other.ready())).is_ready());
    drop(first);
    assert!(poll(&mut second).is_pending());
    assert_eq!(layer.handle().snapshot().waiting, 0);
    advance(millis(60)).await;
    drop(other);
    assert_eq!(problem(second.await.unwrap()).await["type"], problems::EXPIRED);
    assert!(handler.running().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_leaves_the_queue() {
    let (layer, handler, _, service) = one_at_a_time();
    let first = call(&service, get("/1"));
    let mut second = call(&service, get("/2"));
    let mut third = call(&service, get("/3"));
    assert!(poll(&mut second).is_pending() && poll(&mut third).is_pending());
    drop(second);
    assert_eq!(layer.handle().snapshot().waiting, 1);
    drop(first);
    assert!(poll(&mut third).is_pending());
    assert_eq!(handler.running(), ["/3"]);
}

#[tokio::test(start_paused = true)]
async fn a_permit_granted_to_one_who_has_just_gone_goes_to_the_next() {
    let (layer, handler, _, service) = one_at_a_time();
    let first = call(&service, get("/1"));
    let mut second = call(&service, get("/2"));
    let third = tokio::spawn(call(&service, get("/3")));
    assert!(poll(&mut second).is_pending());
    tokio::task::yield_now().await;
    // The second is granted the permit, and is dropped before it hears of it.
    drop(first);
    assert_eq!(layer.handle().snapshot().waiting, 1);
    drop(second);
    tokio::task::yield_now().await;
    assert_eq!(handler.running(), ["/3"]);
    handler.answer();
    assert_eq!(third.await.unwrap().unwrap().status(), 200);
    let snapshot = layer.handle().snapshot();
    assert_eq!((snapshot.running, snapshot.waiting), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_comes_with_the_bell_counts() {
    let (_layer, handler, _, service) = one_at_a_time();
    let first = call(&service, get("/1"));
    let mut second = call(&service, get("/2"));
    assert!(poll(&mut second).is_pending());
    advance(Duration::from_micros(99_900)).await;
    drop(first);
    advance(millis(50)).await;
    assert!(poll(&mut second).is_pending());
    assert_eq!(handler.running(), ["/2"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_holds_nothing_of_the_service_inside() {
    let handler = Handler::default();
    let inner = ConcurrencyLimit::new(handler.clone(), 2);
    let service = AdmissionLayer::new(1).layer(inner.clone());
    let mut first = service.clone();
    let first = first.ready().await.unwrap().call(get("/1"));
    let mut second = service.clone();
    let mut second = Box::pin(second.ready().await.unwrap().call(get("/2")));
    assert!(poll(&mut second).is_pending());
    // One place inside is taken by the first call; the other is free though the second waits.
    let mut other = inner.clone();
    assert!(poll(&mut Box::pin(other.ready())).is_ready());
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_raised_limit_wakes_whoever_waits_and_a_lowered_one_lets_nobody_in() {
    let (layer, handler, _, service) = one_at_a_time();
    let handle = layer.handle();
    let mut calls: Vec<_> = (1..=4).map(|n| call(&service, get(&format!("/{n}")))).collect();
    assert!(calls.iter_mut().all(|call| poll(call).is_pending()));
    handle.set_limit(3);
    assert!(calls.iter_mut().all(|call| poll(call).is_pending()));
    assert_eq!(handler.running(), ["/1", "/2", "/3"]);

    handle.set_limit(1);
    drop(calls.remove(0));
    drop(calls.remove(0));
    assert!(calls.iter_mut().all(|call| poll(call).is_pending()));
    assert_eq!(handler.running(), ["/3"]);
    drop(calls.remove(0));
    assert!(calls.iter_mut().all(|call| poll(call).is_pending()));
    assert_eq!(handler.running(), ["/4"]);
}

#[tokio::test(start_paused = true)]
async fn observing_only_lets_everything_run_and_says_what_it_would_have_done() {
    let (handler, heard) = (Handler::default(), Heard::default());
    let layer = AdmissionLayer::new(1).waiters_max(2).observe_only().observe(heard.clone());
    let service = layer.layer(handler.clone());
    let mut calls: Vec<_> = (1..=4).map(|n| call(&service, get(&format!("/{n}")))).collect();
    assert!(calls.iter_mut().all(|call| poll(call).is_pending()));
    assert_eq!(handler.running(), ["/1", "/2", "/3", "/4"]);
    let would_reject = |reason, wait| {
        let class = OperationClass::Read;
        AdmissionEvent::WouldHaveRejected { reason, class, wait }
    };
    let full = would_reject(RejectReason::QueueFull, Duration::ZERO);
    assert_eq!(heard.events(), [AdmissionEvent::Admitted { wait: Duration::ZERO }, full]);

    advance(millis(40)).await;
    handler.answer();
    assert_eq!(calls.remove(0).await.unwrap().status(), 200);
    assert!(calls.iter_mut().all(|call| poll(call).is_pending()));
    assert_eq!(heard.events(), [AdmissionEvent::WouldHaveWaited { wait: millis(40) }]);
    let answers = timeout(millis(70), &mut calls[1]).await;
    assert!(answers.is_err(), "it still runs");
    assert_eq!(heard.events(), [would_reject(RejectReason::WaitedTooLong, millis(100))]);

    for call in calls {
        handler.answer();
        assert_eq!(call.await.unwrap().status(), 200);
    }
    assert_eq!(layer.handle().snapshot().running, 0);
    layer.handle().set_observe_only(false);
    let _first = call(&service, get("/5"));
    assert!(poll(&mut call(&service, get("/6"))).is_pending());
    assert_eq!(handler.running(), ["/5"]);
}
