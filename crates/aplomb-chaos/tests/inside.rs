//! The inner stations: errors answered instead of the service, and waits inside a handler.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use aplomb_chaos::{Chaos, Event, Knobs};
use aplomb_core::{Ratio, time};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};

#[tokio::test]
async fn an_injected_error_is_a_problem_with_the_status_asked_for() {
    let chaos = Chaos::seeded(1);
    chaos.set(Knobs {
        error_rate: Ratio::ONE,
        error_status: Some(StatusCode::BAD_GATEWAY),
        ..Knobs::default()
    });
    let response = send(&chaos, "/").await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["type"], "/problems/injected-error");
    assert_eq!(problem["status"], 502);
}

#[tokio::test]
async fn without_a_status_an_injected_error_is_503() {
    let chaos = Chaos::seeded(1);
    chaos.set(Knobs { error_rate: Ratio::ONE, ..Knobs::default() });
    assert_eq!(send(&chaos, "/").await.status(), 503);
}

#[tokio::test]
async fn the_rate_is_the_share_of_calls_that_fail() {
    let chaos = Chaos::seeded(3);
    chaos.set(Knobs { error_rate: Ratio::percent(30), ..Knobs::default() });
    let mut failed = 0_u32;
    for _ in 0..10_000 {
        failed += u32::from(send(&chaos, "/").await.status() == 503);
    }
    // Six standard deviations of a binomial with n = 10,000, p = 0.3 are 275.
    assert!(failed.abs_diff(3_000) < 275, "{failed}");
}

#[tokio::test]
async fn only_the_requests_asked_for_fail() {
    let chaos = Chaos::seeded(1);
    chaos.set(Knobs { error_rate: Ratio::ONE, ..Knobs::default() });
    let only = chaos.errors().only(|request: &Request<()>| request.uri().path() != "/healthz");
    for (path, status) in [("/healthz", 200), ("/products/mug", 503)] {
        let response = only.layer(service_fn(fine)).oneshot(get(path)).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn over_capacity_is_refused_and_the_next_second_is_served_again() {
    let chaos = Chaos::seeded(1);
    chaos.set(Knobs { capacity_per_second: 20, ..Knobs::default() });
    assert_eq!(served(&chaos, 50).await, 2, "a tenth of a second's worth at once");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(served(&chaos, 50).await, 2);
    chaos.set(Knobs::default());
    assert_eq!(served(&chaos, 50).await, 50);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_over_capacity_is_asked_to_come_back_in_a_second_or_two() {
    let chaos = Chaos::seeded(1);
    chaos.set(Knobs { capacity_per_second: 1, ..Knobs::default() });
    let mut asked = std::collections::BTreeSet::new();
    assert_eq!(send(&chaos, "/").await.status(), 200);
    for _ in 0..50 {
        let response = send(&chaos, "/").await;
        assert_eq!(response.status(), 503);
        asked.insert(response.headers()["retry-after"].to_str().unwrap().to_owned());
    }
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn work_takes_its_turn() {
    let chaos = Chaos::seeded(1);
    chaos.set(Knobs { work_ms: 20, workers: 2, ..Knobs::default() });
    let (begun, mut calls) = (time::now(), tokio::task::JoinSet::new());
    for _ in 0..5 {
        let chaos = chaos.clone();
        calls.spawn(async move {
            chaos.latency().await;
            (time::now() - begun).as_millis() / 20
        });
    }
    let mut turns = calls.join_all().await;
    turns.sort_unstable();
    assert_eq!(turns, [1, 1, 2, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn work_that_nobody_waits_for_is_done_all_the_same() {
    let chaos = Chaos::seeded(1);
    chaos.set(Knobs { work_ms: 20, ..Knobs::default() });
    let mut gone = std::pin::pin!(async {
        let gone = chaos.clone();
        gone.latency().await;
    });
    assert!(std::future::poll_fn(|cx| Poll::Ready(gone.as_mut().poll(cx).is_pending())).await);
    let begun = time::now();
    chaos.latency().await;
    assert!(time::now() - begun >= Duration::from_millis(40));
}

#[tokio::test(start_paused = true)]
async fn a_delayed_service_is_called_when_the_wait_is_over() {
    let chaos = Chaos::seeded(1);
    chaos.set(Knobs { latency_ms: 300, ..Knobs::default() });
    let calls = std::sync::Arc::new(AtomicU32::new(0));
    let counted = std::sync::Arc::clone(&calls);
    let slow = chaos.delay().only(|request: &Request<()>| request.uri().path() != "/healthz");
    let service = slow.layer(service_fn(move |request| {
        counted.fetch_add(1, Ordering::Relaxed);
        fine(request)
    }));
    let begun = time::now();
    service.clone().oneshot(get("/healthz")).await.unwrap();
    assert_eq!((time::now() - begun, calls.load(Ordering::Relaxed)), (Duration::ZERO, 1));

    let mut late = Box::pin(service.clone().oneshot(get("/products/mug")));
    assert!(std::future::poll_fn(|cx| Poll::Ready(late.as_mut().poll(cx).is_pending())).await);
    drop(late);
    assert_eq!(calls.load(Ordering::Relaxed), 1, "whoever gave up asked for nothing");

    service.oneshot(get("/products/mug")).await.unwrap();
    assert!(time::now() - begun >= Duration::from_millis(300));
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn latency_waits_within_its_jitter() {
    let chaos = Chaos::seeded(1);
    chaos.set(Knobs { latency_ms: 300, latency_jitter_ms: 200, ..Knobs::default() });
    let mut waits = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let before = time::now();
        chaos.latency().await;
        waits.insert(time::now() - before);
    }
    assert!(waits.len() > 40, "jitter spreads them");
    // The runtime's timer rounds up to the next millisecond.
    let range = Duration::from_millis(300)..=Duration::from_millis(501);
    assert!(waits.iter().all(|wait| range.contains(wait)), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_calm_handler_does_not_wait() {
    let before = time::now();
    Chaos::seeded(1).latency().await;
    assert_eq!(time::now(), before);
}

#[tokio::test]
async fn one_knob_does_not_change_how_another_falls() {
    let pattern = async |latency_ms| {
        let chaos = Chaos::seeded(4);
        chaos.set(Knobs {
            error_rate: Ratio::percent(50),
            latency_jitter_ms: latency_ms,
            ..Knobs::default()
        });
        let mut statuses = Vec::new();
        for _ in 0..40 {
            chaos.latency().await;
            statuses.push(send(&chaos, "/").await.status());
        }
        statuses
    };
    tokio::time::pause();
    assert_eq!(pattern(0).await, pattern(50).await);
}

#[tokio::test(start_paused = true)]
async fn inner_faults_are_told_to_the_observer() {
    let (tell, heard) = std::sync::mpsc::channel();
    let chaos = Chaos::seeded(1).observe(move |event: &Event| tell.send(*event).unwrap());
    chaos.set(Knobs {
        error_rate: Ratio::ONE,
        capacity_per_second: 10,
        latency_ms: 5,
        ..Knobs::default()
    });
    let mut service = chaos.errors().layer(service_fn(fine));
    for _ in 0..2 {
        let ready = service.ready().await.unwrap();
        ready.call(Request::new(())).await.unwrap();
    }
    chaos.latency().await;
    let expected = [
        Event::Failed(StatusCode::SERVICE_UNAVAILABLE),
        Event::OverCapacity,
        Event::Delayed(Duration::from_millis(5)),
    ];
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), expected);
}

async fn served(chaos: &Chaos, calls: u32) -> u32 {
    let mut served = 0;
    for _ in 0..calls {
        served += u32::from(send(chaos, "/").await.status() == 200);
    }
    served
}

async fn send(chaos: &Chaos, path: &str) -> Response<Full<Bytes>> {
    let service = chaos.errors().layer(service_fn(fine));
    service.oneshot(get(path)).await.unwrap()
}

fn get(path: &str) -> Request<()> {
    Request::get(path).body(()).expect("the path is one")
}

async fn fine(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::default()))
}
