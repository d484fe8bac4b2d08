//! Work that takes its turn, three times as much of it as can be done: what doors are for.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::convert::Infallible;
use std::time::Duration;

use aplomb_admission::AdmissionLayer;
use aplomb_chaos::{Chaos, Knobs};
use aplomb_core::Dice;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

#[tokio::test(start_paused = true)]
async fn without_doors_everybody_is_late() {
    let chaos = working();
    let served = served_in_time(stock(&chaos)).await;
    // What came before the queue was as long as callers wait: within the first of ten seconds.
    assert!(served < CAPACITY, "{served}");
}

#[tokio::test(start_paused = true)]
async fn behind_doors_what_can_be_done_is_done_in_time() {
    let chaos = working();
    let doors = AdmissionLayer::new(4).dice(Dice::seeded(7));
    let served = served_in_time(Stock::new(doors.layer(stock(&chaos)))).await;
    assert!(served * 10 >= CAPACITY * SECONDS * 9, "{served}");
}

/// How many of the calls of these seconds were answered before their callers hung up.
async fn served_in_time(stock: Stock) -> u32 {
    let mut calls = JoinSet::new();
    for _ in 0..3 * CAPACITY * SECONDS {
        let call = timeout(PATIENCE, stock.clone().oneshot(Request::new(())));
        calls.spawn(async { call.await.is_ok_and(|answer| answer.unwrap().status().is_success()) });
        sleep(Duration::from_secs(1) / (3 * CAPACITY)).await;
    }
    calls.join_all().await.into_iter().map(u32::from).sum()
}

type Stock = BoxCloneSyncService<Request<()>, Response<Full<Bytes>>, Infallible>;

fn stock(chaos: &Chaos) -> Stock {
    let chaos = chaos.clone();
    Stock::new(service_fn(move |_: Request<()>| {
        let chaos = chaos.clone();
        async move {
            chaos.latency().await;
            Ok(Response::builder().status(StatusCode::OK).body(Full::default()).unwrap())
        }
    }))
}

fn working() -> Chaos {
    let chaos = Chaos::seeded(7);
    chaos.set(Knobs { work_ms: 20, workers: 2, ..Knobs::default() });
    chaos
}

/// Two workers, 20 ms each.
const CAPACITY: u32 = 100;
const SECONDS: u32 = 10;
/// How long a caller waits.
const PATIENCE: Duration = Duration::from_millis(500);
