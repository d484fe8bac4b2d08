//! When a circuit opens, and when it does not: the faults that were measured in other breakers.

#![cfg(not(aplomb_loom))]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::panic::AssertUnwindSafe;

use aplomb_circuit_breaker::{CircuitBreakerLayer, State, Trip};
use aplomb_core::{Dice, Failure, FailureKind, Ratio};
use common::{Dependency, Does, Heard, call, calls, count, is_open, ms, secs};
use futures_util::FutureExt;
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn after_ten_thousand_successes_it_opens_within_its_windows_rule() {
    let stock = Dependency::that(Does::Answers(200));
    let layer = layer(Trip::default().failures_in_a_row(u32::MAX));
    let service = layer.layer(stock.clone());
    // A thousand a second for ten seconds: the window is full of them.
    for _ in 0..100 {
        assert_eq!(count(&calls(&service, 100).await, "200"), 100);
        tokio::time::advance(ms(100)).await;
    }
    stock.now(Does::Answers(500));
    let mut failures = 0;
    while !is_open(&layer.handle()) {
        calls(&service, 100).await;
        tokio::time::advance(ms(100)).await;
        failures += 100;
    }
    // Half of what ten buckets hold, and never all of the ten thousand.
    assert!((4_000..=5_100).contains(&failures), "{failures}");
}

#[tokio::test(start_paused = true)]
async fn after_ten_thousand_successes_ten_failures_in_a_row_are_enough() {
    let stock = Dependency::that(Does::Answers(200));
    let layer = layer(Trip::default());
    let service = layer.layer(stock.clone());
    calls(&service, 10_000).await;
    stock.now(Does::Answers(500));
    let said = calls(&service, 20).await;
    assert_eq!(count(&said[..10], "500"), 10);
    assert_eq!(count(&said[10..], "open"), 10, "the backend saw ten failures, not ten thousand");
}

#[tokio::test(start_paused = true)]
async fn half_of_twenty_calls_open_it() {
    let stock = Dependency::that(Does::Answers(200));
    let layer = layer(Trip::default());
    let service = layer.layer(stock.clone());
    for round in 0..10 {
        assert!(!is_open(&layer.handle()), "after {round} of each");
        stock.now(Does::Answers(200));
        call(&service).await;
        stock.now(Does::Answers(503));
        call(&service).await;
    }
    assert!(is_open(&layer.handle()));
}

#[tokio::test(start_paused = true)]
async fn what_left_the_window_no_longer_counts() {
    let stock = Dependency::that(Does::Answers(500));
    let layer = layer(Trip::default());
    let service = layer.layer(stock.clone());
    calls(&service, 9).await;
    stock.now(Does::Answers(200));
    call(&service).await;
    assert_eq!(layer.handle().snapshot().failed, 9);
    tokio::time::advance(secs(10)).await;
    assert_eq!(layer.handle().snapshot().failed, 0);
}

#[tokio::test(start_paused = true)]
async fn five_connections_refused_in_a_row_open_it() {
    let stock = Dependency::that(Does::Refuses);
    let layer = layer(Trip::default());
    let service = layer.layer(stock.clone());
    calls(&service, 100).await;
    assert_eq!(stock.calls(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_client_with_one_call_a_second_is_protected_too() {
    let stock = Dependency::that(Does::Answers(500));
    let layer = layer(Trip::default());
    let service = layer.layer(stock.clone());
    for _ in 0..10 {
        assert!(!is_open(&layer.handle()));
        call(&service).await;
        tokio::time::advance(secs(1)).await;
    }
    assert!(is_open(&layer.handle()), "it never has twenty calls in its window");
}

#[tokio::test(start_paused = true)]
async fn throttling_counts() {
    let stock = Dependency::that(Does::Answers(429));
    let layer = layer(Trip::default().failures_in_a_row(u32::MAX));
    let service = layer.layer(stock.clone());
    calls(&service, 30).await;
    assert_eq!(stock.calls(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_mistakes_have_no_vote() {
    let stock = Dependency::that(Does::Answers(404));
    let layer = layer(Trip::default());
    let service = layer.layer(stock.clone());
    calls(&service, 1_000).await;
    assert_eq!(layer.handle().snapshot().calls, 0);
    assert_eq!(stock.calls(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_key_in_flight_elsewhere_has_no_vote() {
    use tower::ServiceExt;
    let layer = layer(Trip::default());
    let service = layer.layer(Dependency::that(Does::Asks(409, 1)));
    for _ in 0..100 {
        let mut request = common::get("http://stock:7001/");
        request.headers_mut().insert("idempotency-key", "k".parse().unwrap());
        service.clone().oneshot(request).await.unwrap();
    }
    assert_eq!(layer.handle().snapshot().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_layer_inside_held_back_has_no_vote() {
    let inner = layer(Trip::default());
    let outer = layer(Trip::default());
    inner.handle().force_open();
    let stock = Dependency::that(Does::Answers(200));
    let service = outer.layer(inner.layer(stock.clone()));
    assert_eq!(count(&calls(&service, 100).await, "open"), 100);
    let snapshot = outer.handle().snapshot();
    assert_eq!((snapshot.state, snapshot.calls), (State::Closed, 0));
    assert_eq!(stock.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn two_hundred_calls_that_an_outer_timeout_dropped_are_seen_as_slow_and_count() {
    let rules = [
        (Trip::default(), "all open: failure_ratio"),
        (Trip::failure_ratio(Ratio::ONE).slow_ratio(Ratio::percent(90)), "all open: slow_ratio"),
    ];
    for (trip, because) in rules {
        let stock = Dependency::that(Does::Answers(200));
        let trip = trip.at_least(200).failures_in_a_row(u32::MAX).over(secs(600));
        let heard = Heard::default();
        let layer = layer(trip.slow_ratio(Ratio::percent(90))).observe(heard.clone());
        let service = layer.layer(stock.clone());
        // So that not all have failed.
        call(&service).await;
        stock.now(Does::Hangs);
        for dropped in 0..200 {
            assert_eq!(layer.handle().snapshot().slow, dropped);
            assert!(!is_open(&layer.handle()));
            assert!(tokio::time::timeout(ms(1_001), call(&service)).await.is_err());
            if dropped == 198 {
                break;
            }
        }
        assert_eq!(heard.all(), [because]);
    }
}

#[tokio::test(start_paused = true)]
async fn ten_calls_in_a_row_that_an_outer_timeout_dropped_open_it() {
    let stock = Dependency::that(Does::Hangs);
    let layer = layer(Trip::default());
    let service = layer.layer(stock.clone());
    for _ in 0..200 {
        let _ = tokio::time::timeout(ms(1_001), call(&service)).await;
        if is_open(&layer.handle()) {
            break;
        }
    }
    assert_eq!(stock.calls(), 10);
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_dropped_early_have_no_vote() {
    let stock = Dependency::that(Does::Hangs);
    let layer = layer(Trip::default());
    let service = layer.layer(stock.clone());
    for _ in 0..200 {
        assert!(tokio::time::timeout(ms(999), call(&service)).await.is_err());
    }
    assert_eq!(stock.calls(), 200);
    assert_eq!(layer.handle().snapshot().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_panics_open_it() {
    let stock = Dependency::that(Does::Panics);
    let layer = layer(Trip::default());
    let service = layer.layer(stock.clone());
    let mut panics = 0;
    for _ in 0..100 {
        let ended = AssertUnwindSafe(call(&service)).catch_unwind().await;
        panics += u32::from(ended.is_err());
    }
    assert_eq!((panics, stock.calls()), (10, 10), "the other ninety were rejected");
}

#[tokio::test(start_paused = true)]
async fn a_panic_elsewhere_is_not_the_services() {
    let layer = layer(Trip::default());
    let service = layer.layer(Dependency::that(Does::Hangs));
    for _ in 0..20 {
        let ended = AssertUnwindSafe(async {
            let mut call = Box::pin(call(&service));
            assert!((&mut call).now_or_never().is_none());
            panic!("the caller panics while its call is out");
        });
        assert!(ended.catch_unwind().await.is_err());
    }
    assert_eq!(layer.handle().snapshot().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn slow_successes_open_it_when_a_rule_says_so() {
    let stock = Dependency::that(Does::AnswersAfter(200, ms(300)));
    let trip = Trip::default().slow_after(ms(250)).slow_ratio(Ratio::percent(50));
    for (trip, opens) in [(trip, true), (Trip::default().slow_after(ms(250)), false)] {
        let layer = layer(trip);
        let service = layer.layer(stock.clone());
        calls(&service, 25).await;
        assert_eq!(is_open(&layer.handle()), opens);
    }
}

#[tokio::test(start_paused = true)]
async fn the_observer_hears_each_rule_by_its_name() {
    for (does, trip, said) in [
        (Does::Refuses, Trip::default(), "all open: unsent_in_a_row"),
        (Does::Answers(500), Trip::default(), "all open: failures_in_a_row"),
        (Does::Answers(500), Trip::default().at_least(5), "all open: failure_ratio"),
    ] {
        let heard = Heard::default();
        let layer = layer(trip).observe(heard.clone());
        let service = layer.layer(Dependency::that(does));
        calls(&service, 11).await;
        assert_eq!(heard.all()[..2], [said, "all rejected"]);
    }
}

#[test]
fn a_failure_of_every_kind_but_those_without_a_vote_opens_it() {
    use aplomb_circuit_breaker::{Breaker, Ended, Settings};
    use aplomb_core::{Outcome, time};
    for (kind, opens) in [
        (FailureKind::Unsent, true),
        (FailureKind::Timeout, true),
        (FailureKind::Transient, true),
        (FailureKind::Throttled, true),
        (FailureKind::Permanent, true),
        (FailureKind::Pending, false),
    ] {
        let (settings, now) = (Settings::default(), time::now());
        let breaker = Breaker::new(now);
        for _ in 0..10 {
            let Ok((permit, _)) = breaker.admit(&settings, now) else { break };
            let ended = Ended::With(Outcome::Failure(Failure::new(kind)));
            breaker.settle(&settings, permit, now, ended, &Dice::seeded(1));
        }
        assert_eq!(breaker.state() == State::Open, opens, "{kind}");
    }
}

#[test]
fn a_call_allocates_nothing_with_a_hundred_thousand_calls_in_the_window() {
    use aplomb_circuit_breaker::{Breaker, Ended, Settings};
    use aplomb_core::{Outcome, time};
    let (settings, now, dice) = (Settings::default(), time::now(), Dice::seeded(1));
    let breaker = Breaker::new(now);
    let call = || {
        let (permit, _) = breaker.admit(&settings, now).unwrap();
        breaker.settle(&settings, permit, now, Ended::With(Outcome::Success), &dice);
    };
    let made = allocation_counter::measure(|| (0..100_000).for_each(|_| call()));
    assert_eq!(made.count_total, 0);
    assert_eq!(breaker.snapshot(&settings, now).calls, 100_000);
}

fn layer(trip: Trip) -> CircuitBreakerLayer {
    CircuitBreakerLayer::new(trip).dice(Dice::seeded(7))
}
