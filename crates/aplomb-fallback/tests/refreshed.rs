//! A second source, asked once for all who wait.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aplomb_core::Degraded;
use aplomb_fallback::{FallbackLayer, LastGood, Missed, Refreshed};
use bytes::Bytes;
use common::{Stock, answer, down, get, head, header, ms, seconds, send, text};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::{sleep, timeout};
use tower::{Layer, Service, service_fn};

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_of_one_key_ask_the_source_once() {
    let asked = Arc::new(AtomicU32::new(0));
    let refreshed = refreshed(Arc::clone(&asked), |_| response(200, "7", None));
    let service = layer(LastGood::new(seconds(2)), refreshed).layer(Stock::says(|_| down()));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let service = service.clone();
        callers.spawn(async move { send(&service, get("/mugs")).await });
    }
    while let Some(served) = callers.join_next().await {
        let served = served.unwrap().unwrap();
        assert_eq!(text(&served), "7");
        assert_eq!(Degraded::of(served.extensions()), None);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_share_one_failure_too() {
    let asked = Arc::new(AtomicU32::new(0));
    let refreshed = refreshed(Arc::clone(&asked), |_| response(500, "", None));
    let service = layer(LastGood::new(seconds(2)), refreshed).layer(Stock::says(|_| down()));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let service = service.clone();
        callers.spawn(async move { send(&service, get("/mugs")).await });
    }
    while let Some(served) = callers.join_next().await {
        assert_eq!(text(&served.unwrap().unwrap()), "down");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn who_wants_nothing_kept_gets_what_the_source_says_now() {
    let asked = Arc::new(AtomicU32::new(0));
    let refreshed = refreshed(Arc::clone(&asked), |_| response(200, "7", None));
    let service = layer(LastGood::new(seconds(2)), refreshed).layer(Stock::says(|_| down()));
    send(&service, get("/mugs")).await.unwrap();
    for (asks, wanted) in [(2, "no-cache"), (3, "max-age=0")] {
        sleep(ms(100)).await;
        let request = header(get("/mugs"), "cache-control", wanted);
        let served = send(&service, request).await.unwrap();
        assert_eq!((text(&served), asked.load(Ordering::Relaxed)), ("7", asks), "{wanted}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_source_said_is_kept_while_it_is_fresh() {
    let asked = Arc::new(AtomicU32::new(0));
    let refreshed = refreshed(Arc::clone(&asked), |_| response(200, "7", None));
    let service = layer(LastGood::new(seconds(2)), refreshed).layer(Stock::says(|_| down()));
    for (wait, asks, age) in [(ms(0), 1, "0"), (ms(1_500), 1, "1"), (ms(1_500), 2, "0")] {
        sleep(wait).await;
        let served = send(&service, get("/mugs")).await.unwrap();
        assert_eq!((text(&served), head(&served, "age")), ("7", age));
        assert_eq!(asked.load(Ordering::Relaxed), asks);
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_source_fails_too_old_is_better_than_nothing_where_that_is_safe() {
    let last_good = LastGood::new(seconds(2)).stale_for(seconds(10));
    let fails =
        service_fn(|_: Request<Missed>| async { Err::<Response<Full<Bytes>>, _>("down as well") });
    let fallback = last_good.clone().refreshed_by(fails);
    let stock = Stock::says(|_| answer(200, "5"));
    let service = FallbackLayer::new(fallback).keeps(last_good).layer(stock.clone());
    send(&service, get("/mugs")).await.unwrap();
    stock.is_down();
    sleep(seconds(5)).await;
    let served = send(&service, get("/mugs")).await.unwrap();
    assert_eq!(text(&served), "5");
    assert!(Degraded::of(served.extensions()).is_some());
    sleep(seconds(6)).await;
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_lets_the_next_one_ask() {
    let asked = Arc::new(AtomicU32::new(0));
    let refreshed = refreshed(Arc::clone(&asked), |_| response(200, "7", None));
    let service = layer(LastGood::new(seconds(2)), refreshed).layer(Stock::says(|_| down()));
    let (gone, waited) =
        tokio::join!(timeout(ms(10), send(&service, get("/mugs"))), send(&service, get("/mugs")),);
    assert!(gone.is_err());
    assert_eq!(text(&waited.unwrap()), "7");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_may_not_be_kept_is_its_callers_alone() {
    let asked = Arc::new(AtomicU32::new(0));
    let refreshed = refreshed(Arc::clone(&asked), |number| {
        response(200, &number.to_string(), Some("no-store"))
    });
    let service = layer(LastGood::new(seconds(2)), refreshed).layer(Stock::says(|_| down()));
    let (one, two) = tokio::join!(send(&service, get("/me")), send(&service, get("/me")));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((text(&one), text(&two)), ("1", "2"));
}

#[tokio::test(start_paused = true)]
async fn callers_with_different_keys_do_not_wait_for_each_other() {
    let asked = Arc::new(AtomicU32::new(0));
    let refreshed = refreshed(Arc::clone(&asked), |_| response(200, "7", None));
    let service = layer(LastGood::new(seconds(2)), refreshed).layer(Stock::says(|_| down()));
    let of = |token| header(get("/me"), "authorization", token);
    let (ann, bob) = tokio::join!(send(&service, of("ann")), send(&service, of("bob")));
    assert!(ann.is_ok() && bob.is_ok());
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

/// A source that takes 20 ms, and answers by the number of the call.
fn refreshed(
    asked: Arc<AtomicU32>,
    says: impl Fn(u32) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
) -> impl Service<Request<Missed>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    service_fn(move |_: Request<Missed>| {
        let (number, says) = (asked.fetch_add(1, Ordering::Relaxed) + 1, says.clone());
        async move {
            sleep(ms(20)).await;
            Ok(says(number))
        }
    })
}

fn response(status: u16, body: &str, control: Option<&str>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some(control) = control {
        response.headers_mut().insert("cache-control", control.parse().unwrap());
    }
    response
}

fn layer<S>(last_good: LastGood, source: S) -> FallbackLayer<Refreshed<S>> {
    FallbackLayer::new(last_good.refreshed_by(source)).concurrent(1_000)
}
