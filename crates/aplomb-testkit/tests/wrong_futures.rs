//! Layers whose futures are wrong in one way each: the kit names the way.

use std::sync::{Arc, Mutex};
use std::task::Context;

use aplomb_core::BoxError;
use aplomb_testkit::{Clause, Contract, Inner, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tokio::sync::Semaphore;
use tower::layer::layer_fn;
use tower::{Layer, Service, ServiceExt};

mod common;
use common::{Work, Written, breaks, calls, passed, taken, written};

#[test]
fn a_finished_future_that_is_polled_again_is_caught() {
    let layer = || {
        written(passed, |service, request| {
            let mut work = calls(service, request);
            Box::pin(std::future::poll_fn(move |cx| {
                let answer = work.as_mut().poll(cx);
                if answer.is_ready() {
                    let _ = work.as_mut().poll(cx);
                }
                answer
            }))
        })
    };
    breaks(Clause::EndedFuturesRest, layer);
}

#[test]
fn a_permit_that_a_dropped_future_takes_along_is_caught() {
    breaks(Clause::DropsBeforeTheFirstPoll, permit_taken_in_call);
    breaks(Clause::DropsWhilePending, permit_taken_in_call);
}

#[test]
fn a_permit_that_is_lost_only_between_attempts_is_caught() {
    let layer = || {
        written(passed, |service, request| {
            let (mut inner, permits) = (taken(service), Arc::clone(&service.permits));
            Box::pin(async move {
                let response = inner.call(request.clone()).await?;
                if !response.status().is_server_error() {
                    return Ok(response);
                }
                permits.acquire_many(8).await?.forget();
                let again = inner.ready().await?.call(request).await;
                permits.add_permits(8);
                again
            })
        })
    };
    breaks(Clause::DropsAtEveryPoll, layer);
    let contract = Contract::new("leaks between attempts", layer);
    assert_eq!(contract.judge(Clause::DropsWhilePending), Ok(()));
}

#[test]
fn work_that_goes_on_after_its_caller_left_is_caught() {
    let layer = || {
        written(passed, |service, request| {
            let work = tokio::spawn(calls(service, request));
            Box::pin(async { work.await? })
        })
    };
    let breach = breaks(Clause::DropsWhilePending, layer);
    assert!(breach.seen.contains("live on"), "{breach}");
}

#[test]
fn a_permit_that_waits_for_a_body_to_be_read_is_caught() {
    let layer = || {
        let permits = Arc::new(Semaphore::new(8));
        layer_fn(move |inner: Inner| {
            let permits = Arc::clone(&permits);
            inner.and_then(move |response: aplomb_testkit::Response| {
                let permits = Arc::clone(&permits);
                async move {
                    permits.try_acquire()?.forget();
                    let body = move |frame: http_body::Frame<Bytes>| {
                        permits.add_permits(1);
                        frame
                    };
                    Ok::<_, BoxError>(response.map(|read| read.map_frame(body)))
                }
            })
        })
    };
    breaks(Clause::DropsOfUnreadResponses, layer);
    let contract = Contract::new("held by the body", layer);
    assert_eq!(contract.judge(Clause::ResponsesPass), Ok(()));
}

#[test]
fn a_lock_that_a_panic_poisons_is_caught() {
    let layer = || {
        let lock = Arc::new(Mutex::new(()));
        layer_fn(move |inner: Inner| {
            let lock = Arc::clone(&lock);
            Locked { inner, lock }
        })
    };
    breaks(Clause::PanicsInCall, layer);
    let contract = Contract::new("poisoned", layer);
    assert_eq!(contract.judge(Clause::PanicsInFutures), Ok(()));
}

#[test]
fn a_permit_that_a_panic_takes_along_is_caught() {
    breaks(Clause::PanicsInFutures, permit_taken_in_call);
}

#[test]
fn a_panic_that_becomes_an_error_unannounced_is_caught() {
    let layer = || {
        written(passed, |service, request| {
            let work = tokio::spawn(calls(service, request));
            Box::pin(async { work.await? })
        })
    };
    breaks(Clause::PanicsInFutures, layer);
    let told = Contract::new("spawned", layer).answers_panics();
    assert_eq!(told.judge(Clause::PanicsInFutures), Ok(()));
}

#[test]
fn an_error_that_becomes_text_is_caught() {
    let layer = || layer_fn(|inner: Inner| inner.map_err(|error| error.to_string()));
    breaks(Clause::ErrorsKeepTheirCause, layer);
}

#[test]
fn a_header_that_is_merged_is_caught() {
    let layer = || {
        layer_fn(|inner: Inner| {
            inner.map_response(|mut response| {
                let last = response.headers()["x-probe"].clone();
                response.headers_mut().insert("x-probe", last);
                response
            })
        })
    };
    let breach = breaks(Clause::ResponsesPass, layer);
    assert!(breach.seen.starts_with("headers"), "{breach}");
}

#[test]
fn a_body_that_is_missing_from_the_second_attempt_is_caught() {
    let layer = || {
        written(passed, |service, request| {
            let mut inner = taken(service);
            Box::pin(async move {
                let again = request.clone().map(|_| Full::default());
                let response = inner.call(request).await?;
                if !response.status().is_server_error() {
                    return Ok(response);
                }
                inner.ready().await?.call(again).await
            })
        })
    };
    let contract = Contract::new("bodiless", layer)
        .requests(|number| Request::new(Full::from(format!("body {number}"))));
    let breach = contract.judge(Clause::RequestsPass).unwrap_err();
    assert_eq!(breach.clause, Clause::RequestsPass);
    assert!(breach.seen.starts_with("the body"), "{breach}");
}

/// Gives the permit back when the answer is there, and only then.
fn permit_taken_in_call() -> impl Layer<Inner, Service = Written> + Clone + Send + Sync + 'static {
    written(passed, |service, request| {
        let permits = Arc::clone(&service.permits);
        let Ok(permit) = permits.try_acquire() else {
            return Box::pin(async { Err("no permit left".into()) });
        };
        permit.forget();
        let work = calls(service, request);
        Box::pin(async move {
            let result = work.await;
            permits.add_permits(1);
            result
        })
    })
}

/// Holds a lock, which a panic poisons, while it calls.
#[derive(Clone)]
struct Locked {
    inner: Inner,
    lock: Arc<Mutex<()>>,
}

impl Service<Request> for Locked {
    type Response = aplomb_testkit::Response;
    type Error = BoxError;
    type Future = Work;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> common::Ready {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Work {
        let _held = self.lock.lock().expect("until a panic poisons it");
        self.inner.call(request)
    }
}
