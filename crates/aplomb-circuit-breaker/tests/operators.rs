//! What an operator does with a circuit, and what is told about it.

#![cfg(not(aplomb_loom))]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use aplomb_circuit_breaker::{BreakerEvent, CircuitBreakerLayer, State, Trip};
use aplomb_core::Dice;
use common::{Dependency, Does, Heard, call, call_to, calls, count, is_open, ms, secs};
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn held_open_it_lets_nothing_through_until_told_otherwise() {
    let stock = Dependency::that(Does::Answers(200));
    let layer = layer();
    let (service, handle) = (layer.layer(stock.clone()), layer.handle());
    handle.force_open();
    for _ in 0..100 {
        assert_eq!(call(&service).await, "open");
        tokio::time::advance(secs(10)).await;
    }
    assert!(handle.snapshot().is_held);
    handle.automatic();
    stock.now(Does::AnswersAfter(200, ms(10)));
    let said = futures_util::future::join_all((0..100).map(|_| call(&service))).await;
    assert_eq!(count(&said, "200"), 1, "nobody knows how it is: one call finds out");
    calls(&service, 30).await;
    assert_eq!(handle.snapshot().state, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn held_closed_it_lets_everything_through_and_goes_on_counting() {
    let stock = Dependency::that(Does::Answers(500));
    let layer = layer();
    let (service, handle) = (layer.layer(stock.clone()), layer.handle());
    calls(&service, 20).await;
    assert!(is_open(&handle));
    handle.force_closed();
    assert_eq!(count(&calls(&service, 100).await, "500"), 100);
    let snapshot = handle.snapshot();
    assert_eq!((snapshot.state, snapshot.is_held, snapshot.failed), (State::Closed, true, 100));
    handle.automatic();
    assert_eq!(handle.snapshot().failed, 0, "it begins with an empty window");
    assert_eq!(count(&calls(&service, 100).await, "500"), 10);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_an_operator_spoke_changes_nothing_after() {
    let stock = Dependency::that(Does::AnswersAfter(500, secs(1)));
    let layer = layer();
    let (service, handle) = (layer.layer(stock.clone()), layer.handle());
    let under_way = futures_util::future::join_all((0..50).map(|_| call(&service)));
    let spoken = async {
        tokio::time::sleep(ms(1)).await;
        handle.force_closed();
        handle.automatic();
    };
    let (said, ()) = futures_util::future::join(under_way, spoken).await;
    assert_eq!(count(&said, "500"), 50);
    assert_eq!((handle.snapshot().state, handle.snapshot().calls), (State::Closed, 0));
}

#[tokio::test(start_paused = true)]
async fn observing_it_decides_and_tells_and_rejects_nothing() {
    let (stock, heard) = (Dependency::that(Does::Answers(500)), Heard::default());
    let layer = layer().observe_only().observe(heard.clone());
    let (service, handle) = (layer.layer(stock.clone()), layer.handle());
    assert_eq!(count(&calls(&service, 13).await, "500"), 13);
    let open = "all open: failures_in_a_row (observed)";
    let rejected = "all rejected (observed)";
    assert_eq!(heard.take(), [open, rejected, rejected, rejected]);
    tokio::time::advance(secs(2)).await;
    assert_eq!(call(&service).await, "500");
    let half_open = "all half_open: open_time_over (observed)";
    assert_eq!(heard.take(), [half_open, "all open: probe_failed (observed)"]);
    handle.observe_only(false);
    assert!(!handle.is_observe_only());
    assert_eq!(call(&service).await, "open");
}

#[tokio::test(start_paused = true)]
async fn a_handle_works_for_one_key_and_for_all_of_them() {
    let stock = Dependency::that(Does::Answers(200));
    let layer = layer().per_authority();
    let (service, handle) = (layer.layer(stock.clone()), layer.handle());
    // Before it was ever called.
    handle.of("stock:7001").force_open();
    assert_eq!(call_to(&service, "http://stock:7001/").await, "open");
    assert_eq!(call_to(&service, "http://ships:7002/").await, "200");
    handle.force_closed();
    assert_eq!(call_to(&service, "http://stock:7001/").await, "200", "all means all");
    handle.automatic();
    assert_eq!(call_to(&service, "http://stock:7001/").await, "open");
    handle.of("stock:7001").automatic();
    assert_eq!(call_to(&service, "http://stock:7001/").await, "200");
    handle.force_open();
    assert_eq!(call_to(&service, "http://ships:7002/").await, "open");
    handle.automatic();
    for _ in 0..10 {
        assert_eq!(call_to(&service, "http://ships:7002/").await, "200", "no probe of the switch");
    }
    assert_eq!(handle.snapshot().state, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_events_say_one_state_at_a_time() {
    let (stock, heard) = (Dependency::that(Does::Answers(500)), Heard::default());
    let words = heard.clone();
    let layer = layer().observe(move |event: &BreakerEvent<'_>| match event {
        BreakerEvent::Changed { change, .. } => {
            words.say(format!("{} -> {}", change.from.as_str(), change.to.as_str()));
        }
        _ => words.say("rejected".to_owned()),
    });
    let (service, handle) = (layer.layer(stock.clone()), layer.handle());
    let mut gauge = "closed".to_owned();
    for step in 0..400 {
        match step {
            100 | 250 => stock.now(Does::Answers(200)),
            200 => stock.now(Does::Refuses),
            300 => handle.force_open(),
            320 => handle.force_closed(),
            340 => handle.automatic(),
            _ => {}
        }
        call(&service).await;
        for told in heard.take() {
            let Some((from, to)) = told.split_once(" -> ") else {
                assert_eq!(told, "rejected");
                continue;
            };
            assert_eq!(from, gauge, "it leaves the state it was in, at {step}");
            gauge = to.to_owned();
        }
        assert_eq!(gauge, handle.snapshot().state.as_str(), "at {step}");
        tokio::time::advance(ms(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_tells_how_it_stands() {
    let stock = Dependency::that(Does::Answers(200));
    let layer = layer();
    let (service, handle) = (layer.layer(stock.clone()), layer.handle());
    calls(&service, 5).await;
    stock.now(Does::Refuses);
    calls(&service, 3).await;
    let snapshot = handle.snapshot();
    assert_eq!((snapshot.calls, snapshot.failed, snapshot.failed_in_a_row), (8, 3, 3));
    assert_eq!((snapshot.unsent_in_a_row, snapshot.level), (3, 0));
    assert!(snapshot.retry_after.is_zero() && !snapshot.is_held);
}

fn layer() -> CircuitBreakerLayer {
    CircuitBreakerLayer::new(Trip::default()).dice(Dice::seeded(7))
}

#[tokio::test(start_paused = true)]
async fn other_rules_keep_what_was_counted() {
    let stock = Dependency::that(Does::Answers(500));
    let patient = CircuitBreakerLayer::new(Trip::default().failures_in_a_row(8));
    let service = patient.layer(stock.clone());
    calls(&service, 3).await;
    let strict = patient.trip(Trip::default().failures_in_a_row(4));
    let service = strict.layer(stock.clone());
    calls(&service, 1).await;
    assert_eq!(strict.handle().snapshot().state, State::Open);
}
