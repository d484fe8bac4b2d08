//! The client's side, on a paused clock.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aplomb_admission::{AdmissionEvent, AdmissionLayer, RejectReason};
use aplomb_core::{Deadline, DeadlineExceeded, NotRetried, Reason, Saturated, cause, time};
use aplomb_retry::{Budget, RetryLayer};
use common::{Handler, Heard, get, millis, poll};
use http::StatusCode;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

#[tokio::test(start_paused = true)]
async fn a_hung_dependency_holds_up_no_more_calls_than_its_limit() {
    let (inventory, catalogue) = (Handler::default(), Handler::default());
    let (inventory_limit, catalogue_limit) =
        (AdmissionLayer::outbound(4), AdmissionLayer::outbound(4));
    let to_inventory = inventory_limit.layer(inventory.clone());
    let to_catalogue = catalogue_limit.layer(catalogue.clone());

    let begun = time::now();
    let calls: Vec<_> =
        (0..100).map(|_| tokio::spawn(to_inventory.clone().oneshot(get("/stock")))).collect();
    let mut saturated = 0;
    for call in calls.into_iter().skip(4) {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(cause(&*error), Some(&Saturated::new(Duration::from_secs(1))));
        saturated += 1;
    }
    assert_eq!(saturated, 96);
    assert_eq!(time::now() - begun, millis(100), "nobody waits longer for a place");
    assert_eq!(inventory.running().len(), 4);
    assert_eq!(inventory_limit.handle().snapshot().running, 4);

    let mut unrelated = Box::pin(to_catalogue.oneshot(get("/products")));
    assert!(poll(&mut unrelated).is_pending());
    catalogue.answer();
    assert_eq!(unrelated.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_its_turn_and_gives_its_place_back() {
    let (handler, heard) = (Handler::default(), Heard::default());
    let layer = AdmissionLayer::outbound(1).observe(heard.clone());
    let mut service = layer.layer(handler.clone());
    let first = service.ready().await.unwrap().call(get("/1"));
    let mut second = Box::pin(service.ready().await.unwrap().call(get("/2")));
    assert!(poll(&mut second).is_pending());
    drop(first);
    assert!(poll(&mut second).is_pending());
    assert_eq!(handler.running(), ["/2"]);
    drop(second);
    assert_eq!(layer.handle().snapshot().running, 0);
    assert_eq!(heard.events(), [AdmissionEvent::Admitted { wait: Duration::ZERO }; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_not_let_out_is_not_retried() {
    let (handler, heard, retries) = (Handler::default(), Heard::default(), AtomicU32::new(0));
    let layer = AdmissionLayer::outbound(1).observe(heard.clone());
    let _hung = layer.layer(handler.clone()).ready().await.unwrap().call(get("/hangs"));
    let heard_retry = |event: &aplomb_retry::RetryEvent| {
        let again = matches!(event, aplomb_retry::RetryEvent::Waiting { .. });
        retries.fetch_add(u32::from(again), Ordering::Relaxed);
    };
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(Budget::percent(20)).observe(&heard_retry))
        .layer(layer)
        .service(handler.clone());
    let error = service.oneshot(get("/stock")).await.unwrap_err();
    assert!(cause::<Saturated>(&*error).is_some());
    let reason = cause::<NotRetried>(&*error).unwrap().reason;
    assert!(reason == Reason::Saturated && !reason.is_exhaustion(), "nobody gave up on it");
    assert_eq!(retries.load(Ordering::Relaxed), 0);
    assert_eq!(handler.running(), ["/hangs"]);
    let rejected = |event: &AdmissionEvent| {
        matches!(event, AdmissionEvent::Rejected { reason: RejectReason::WaitedTooLong, .. })
    };
    assert_eq!(heard.events().iter().filter(|event| rejected(event)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_came_late_is_not_sent() {
    let handler = Handler::default();
    let service = AdmissionLayer::outbound(1).layer(handler.clone());
    let mut late = get("/late");
    late.extensions_mut().insert(Deadline::at(time::now()));
    let error = service.clone().oneshot(late).await.unwrap_err();
    assert_eq!(cause(&*error), Some(&DeadlineExceeded::UNSENT));

    // Whoever runs out of time in our queue was held up by us.
    let mut service = service;
    let _hung = service.ready().await.unwrap().call(get("/hangs"));
    let mut due = get("/due");
    due.extensions_mut().insert(Deadline::after(time::now(), millis(20)));
    let error = service.oneshot(due).await.unwrap_err();
    assert!(cause::<Saturated>(&*error).is_some());
    assert_eq!(handler.running(), ["/hangs"]);
}
