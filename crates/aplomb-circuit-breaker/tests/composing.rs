//! With other layers: retries and pacing above, a router below which it is applied again and again.

#![cfg(not(aplomb_loom))]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::convert::Infallible;
use std::time::Duration;

use aplomb_backoff::{Backoff, BackoffLayer};
use aplomb_circuit_breaker::{CircuitBreakerLayer, CircuitOpen, State, Trip};
use aplomb_core::{BoxError, Deadline, Dice, NotBefore, NotRetried, Reason, cause, time};
use aplomb_retry::{Budget, Cost, RetryLayer};
use aplomb_testkit::{Act, Applied, Clause, Contract};
use axum::Router;
use axum::http::{Request, StatusCode};
use axum::routing::any;
use common::{Dependency, Does, call, calls, get, is_open, ms, secs};
use tower::{Layer, ServiceBuilder, ServiceExt};

#[tokio::test(start_paused = true)]
async fn a_retry_neither_waits_nor_pays_for_a_circuit_that_stays_open_too_long() {
    let stock = Dependency::that(Does::Asks(503, 30));
    let (layer, budget) = (layer(), Budget::percent(20));
    calls(&layer.layer(stock.clone()), 10).await;
    assert!(is_open(&layer.handle()));
    let client = ServiceBuilder::new().layer(retry(&budget)).layer(&layer).service(stock.clone());

    let (begun, before) = (time::now(), stock.calls());
    let error = client.oneshot(get("http://stock:7001/")).await.unwrap_err();
    assert_eq!(time::now(), begun, "it waited");
    assert_eq!(budget.balance().to_string(), "10", "it paid");
    assert_eq!(stock.calls(), before);
    assert_eq!(cause::<NotRetried>(&*error).unwrap().reason, Reason::Time);
    let open = cause::<CircuitOpen>(&*error).unwrap();
    assert!(open.retry_after() >= secs(30));
    assert_eq!(cause::<NotBefore>(&*error).unwrap().retry_after, open.retry_after());
}

#[tokio::test(start_paused = true)]
async fn a_retry_obeys_a_deadline_that_is_shorter_than_the_open_time() {
    let stock = Dependency::that(Does::Answers(500));
    let (layer, budget) = (layer(), Budget::percent(20));
    calls(&layer.layer(stock.clone()), 10).await;
    let client = ServiceBuilder::new().layer(retry(&budget)).layer(&layer).service(stock.clone());
    let mut request = get("http://stock:7001/");
    request.extensions_mut().insert(Deadline::after(time::now(), ms(300)));
    let begun = time::now();
    let error = client.oneshot(request).await.unwrap_err();
    assert_eq!(time::now(), begun, "it waited");
    assert!(cause::<CircuitOpen>(&*error).is_some());
    assert_eq!(budget.balance().to_string(), "10");
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_for_a_circuit_that_probes_soon_and_pays_nothing() {
    let stock = Dependency::that(Does::Answers(500));
    let (layer, budget) = (layer(), Budget::percent(20));
    calls(&layer.layer(stock.clone()), 10).await;
    let left = layer.handle().snapshot().retry_after;
    stock.now(Does::Answers(200));
    let client = ServiceBuilder::new().layer(retry(&budget)).layer(&layer).service(stock.clone());
    let begun = time::now();
    let response = client.oneshot(get("http://stock:7001/")).await.unwrap();
    assert_eq!(response.status(), 200);
    let waited = time::now() - begun;
    assert!((left..=secs(2)).contains(&waited), "{waited:?}");
    assert_eq!(budget.balance().to_string(), "10");
}

#[tokio::test(start_paused = true)]
async fn rejections_do_not_raise_the_price_of_retries() {
    let stock = Dependency::that(Does::Answers(200));
    let (layer, budget) = (layer(), Budget::percent(20));
    let retry = retry(&budget).total(secs(3_600));
    layer.handle().force_open();
    let client = ServiceBuilder::new().layer(retry).layer(&layer).service(stock.clone());
    client.oneshot(get("http://stock:7001/")).await.unwrap_err();
    drop(budget.withdraw(Cost::ONE).expect("ten are there"));
    budget.withdraw(Cost::ONE).unwrap().sent().succeeded();
    assert_eq!(budget.balance().to_string(), "9", "one still costs one");
}

#[tokio::test(start_paused = true)]
async fn one_shards_open_circuit_pauses_nobody_elses_calls() {
    let stock = Dependency::that(Does::Answers(200));
    let layer = layer().per_authority();
    layer.handle().of("shard-1").force_open();
    let paced = BackoffLayer::new(Backoff::interactive());
    let client = ServiceBuilder::new().layer(paced).layer(&layer).service(stock.clone());
    for _ in 0..20 {
        assert_eq!(common::call_to(&client, "http://shard-1/").await, "open");
        let begun = time::now();
        assert_eq!(common::call_to(&client, "http://shard-2/").await, "200");
        assert_eq!(time::now(), begun, "it was paced");
    }
}

#[tokio::test(start_paused = true)]
async fn its_state_survives_a_router_that_applies_it_for_every_route_and_request() {
    let layer = layer();
    let broken = || async { StatusCode::INTERNAL_SERVER_ERROR };
    // What the problem layer does, in short.
    let answers = tower::util::MapErrLayer::new(|_: BoxError| -> Infallible { unreachable!() });
    let rejects = tower::util::ThenLayer::new(|result: Result<_, BoxError>| async move {
        Ok::<_, BoxError>(result.unwrap_or_else(|error| {
            assert!(cause::<NotBefore>(&*error).is_some());
            axum::response::IntoResponse::into_response(StatusCode::SERVICE_UNAVAILABLE)
        }))
    });
    let stack = ServiceBuilder::new().layer(answers).layer(rejects).layer(layer.clone());
    let app = Router::new().route("/a", any(broken)).route("/b", any(broken)).route_layer(stack);
    let mut statuses = Vec::new();
    for call in 0..20 {
        let uri = if call % 2 == 0 { "/a" } else { "/b" };
        // A clone of a router that is not finalised applies its layers once more.
        let request = Request::get(uri).body(axum::body::Body::empty()).unwrap();
        statuses.push(app.clone().oneshot(request).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses[..10], [500; 10]);
    assert_eq!(statuses[10..], [503; 10]);
    assert_eq!(layer.handle().snapshot().state, State::Open);
}

#[tokio::test(start_paused = true)]
async fn all_applications_of_one_value_and_of_its_clones_share_its_state() {
    let stock = Dependency::that(Does::Answers(500));
    let layer = layer();
    for _ in 0..10 {
        call(&layer.clone().layer(stock.clone())).await;
    }
    assert_eq!(call(&layer.layer(stock.clone())).await, "open");
}

#[test]
fn it_honours_the_contract() {
    Contract::new("circuit breaker", patient).check();
    Contract::new("circuit breaker, keyed", || patient().per_authority().with_parent()).check();
    Contract::new("circuit breaker, observing", || layer().observe_only()).check();
}

#[test]
fn its_applications_share_its_state_in_every_way_there_is() {
    Contract::new("circuit breaker", layer)
        .shares_state(|applied: Applied| async move {
            applied.probe().usually(Act::UNAVAILABLE);
            for _ in 0..15 {
                let _rejected = applied.call().await;
            }
            match applied.probe().calls() {
                10 => Ok(()),
                calls => Err(format!("{calls} calls went out instead of 10").into()),
            }
        })
        .check_only(Clause::StateIsShared);
}

#[test]
fn a_call_that_it_rejects_leaves_its_permit_to_others() {
    let open_for_one = || {
        let layer = layer().per_authority();
        layer.handle().of("dead.test").force_open();
        layer
    };
    Contract::new("circuit breaker", open_for_one)
        .refuses(|_| {
            let mut request = aplomb_testkit::Request::default();
            *request.uri_mut() = http::Uri::from_static("http://dead.test/");
            request
        })
        .check_only(Clause::RefusalsHoldNothing);
}

fn layer() -> CircuitBreakerLayer {
    CircuitBreakerLayer::new(Trip::default()).dice(Dice::seeded(7))
}

/// Never opens: the kit's failures are about other things.
fn patient() -> CircuitBreakerLayer {
    let trip = Trip::default().at_least(u32::MAX);
    CircuitBreakerLayer::new(trip.unsent_in_a_row(u32::MAX).failures_in_a_row(u32::MAX))
}

fn retry(budget: &Budget) -> RetryLayer {
    RetryLayer::new(budget.clone()).dice(Dice::seeded(7)).total(Duration::from_secs(3))
}
