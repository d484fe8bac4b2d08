//! Three limits, a budget, and what the server says: what ends the retrying, and what comes back.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_backoff::Backoff;
use aplomb_core::{Attempts, BoxError, Deadline, NotRetried, Reason, cause, time};
use aplomb_retry::{Budget, Cost, RetryEvent, RetryLayer, Terms};
use common::{Act, Body, Heard, Script, layer, request};
use http::{Method, Response};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt};

#[tokio::test(start_paused = true)]
async fn three_attempts_are_all_there_are() {
    let stock = Script::always(Act::Answer(503));
    // The budget is not what stops it here.
    let layer = RetryLayer::new(Budget::new(Terms::earning(aplomb_core::Ratio::ONE).cap(100)));
    let response = layer.layer(stock.clone()).oneshot(get()).await.unwrap();
    assert_eq!((reason(&Ok(response)), stock.sends()), (Reason::Attempts, 3));
}

#[tokio::test(start_paused = true)]
async fn one_attempt_keeps_nothing_and_repeats_nothing() {
    let stock = Script::always(Act::Answer(503));
    let response = layer().max_attempts(1).layer(stock.clone()).oneshot(get()).await.unwrap();
    assert_eq!((response.status().as_u16(), stock.sends()), (503, 1));
    assert_eq!(reason(&Ok(response)), Reason::Attempts, "not the body that nobody kept");
}

#[tokio::test(start_paused = true)]
async fn the_answer_that_was_not_retried_comes_back_as_it_came() {
    let stock = Script::always(Act::Answer(501));
    let response = layer().layer(stock).oneshot(get()).await.unwrap();
    assert_eq!(response.status(), 501);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "whole");
}

#[tokio::test(start_paused = true)]
async fn the_error_that_was_not_retried_is_found_by_its_type() {
    let result = layer().max_attempts(2).layer(Script::always(Act::Reset)).oneshot(get()).await;
    assert_eq!(reason(&result), Reason::Attempts);
    let error = result.unwrap_err();
    let reset = cause::<std::io::Error>(&*error).unwrap();
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn an_empty_budget_stops_the_second_retry_of_an_outage() {
    let (stock, heard) = (Script::always(Act::Answer(503)), Heard::default());
    let layer = RetryLayer::new(Budget::percent(20)).max_attempts(5).observe(heard.clone());
    let response = layer.layer(stock.clone()).oneshot(get()).await;
    assert_eq!((reason(&response), stock.sends()), (Reason::Budget, 2));
    assert!(matches!(
        heard.events()[..],
        [
            RetryEvent::Waiting { .. },
            RetryEvent::Resent { .. },
            RetryEvent::Refused { reason: Reason::Budget, .. }
        ]
    ));
}

#[tokio::test(start_paused = true)]
async fn no_attempt_starts_that_could_not_finish() {
    let stock = Script::always(Act::Answer(503));
    let slow = Backoff::exponential(Duration::from_secs(2), Duration::from_secs(2));
    let layer = layer().max_attempts(Attempts::UNLIMITED).backoff(slow).total(secs(3));
    let begun = time::now();
    let response = layer.layer(stock.clone()).oneshot(get()).await;
    assert_eq!((reason(&response), stock.sends()), (Reason::Time, 2));
    assert_eq!(time::now() - begun, secs(2), "it does not sleep towards a refusal");
}

#[tokio::test(start_paused = true)]
async fn an_inherited_deadline_is_kept() {
    let stock = Script::always(Act::Answer(503));
    let slow = Backoff::exponential(secs(1), secs(1));
    let mut request = get();
    request.extensions_mut().insert(Deadline::after(time::now(), Duration::from_millis(900)));
    let layer = layer().backoff(slow).unlimited_total();
    let response = layer.layer(stock.clone()).oneshot(request).await;
    assert_eq!((reason(&response), stock.sends()), (Reason::Time, 1));
}

#[tokio::test(start_paused = true)]
async fn a_pushback_is_waited_for_and_spread() {
    let stock = Script::new([Act::Pushback(503, "2")]);
    layer().layer(stock.clone()).oneshot(get()).await.unwrap();
    let at = stock.arrivals()[1].at;
    assert!(at >= secs(2) && at <= Duration::from_millis(2_501), "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pushback_of_more_than_a_minute_is_surfaced_instead() {
    let stock = Script::always(Act::Pushback(503, "61"));
    let layer = layer().total(secs(3600));
    let response = layer.layer(stock.clone()).oneshot(get()).await.unwrap();
    assert_eq!((response.headers()["retry-after"].as_bytes(), stock.sends()), (&b"61"[..], 1));
    assert_eq!(reason(&Ok(response)), Reason::Time);
}

#[tokio::test(start_paused = true)]
async fn do_not_retry_is_obeyed() {
    let stock = Script::always(Act::Header(503, "x-should-retry", "false"));
    let response = layer().layer(stock.clone()).oneshot(get()).await;
    assert_eq!((reason(&response), stock.sends()), (Reason::Told, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_while_it_waits_gives_its_withdrawal_back() {
    let budget = Budget::percent(20);
    let slow = Backoff::exponential(secs(1), secs(1));
    let service = RetryLayer::new(budget.clone()).backoff(slow);
    let call = service.layer(Script::always(Act::Answer(503))).oneshot(get());
    let dropped = tokio::time::timeout(Duration::from_millis(500), call).await;
    assert!(dropped.is_err(), "it was waiting");
    assert!((budget.balance() - 10.0).abs() < f64::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_is_cut_by_its_deadline_has_failed() {
    let budget = Budget::percent(20);
    let stock = Script::new([Act::Answer(503), Act::Hang, Act::Answer(503)]);
    let retry = RetryLayer::new(budget.clone()).total(secs(1)).layer(stock.clone());
    let call = retry.clone().oneshot(get());
    assert!(tokio::time::timeout(secs(1), call).await.is_err(), "it hangs");
    assert_eq!(stock.sends(), 2);
    let response = retry.oneshot(get()).await;
    assert_eq!((reason(&response), stock.sends()), (Reason::Budget, 3));
}

#[tokio::test(start_paused = true)]
async fn a_retry_whose_caller_hangs_up_early_has_no_vote() {
    let budget = Budget::percent(20);
    let stock = Script::new([Act::Answer(503), Act::Hang]);
    let retry = RetryLayer::new(budget.clone()).layer(stock.clone());
    assert!(tokio::time::timeout(secs(1), retry.oneshot(get())).await.is_err(), "it hangs");
    assert_eq!(stock.sends(), 2);
    assert!(budget.withdraw(Cost::ONE).is_some(), "the price did not rise");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_breaks_before_a_retry_ends_the_call_aloud() {
    let (budget, heard) = (Budget::percent(20), Heard::default());
    let layer = RetryLayer::new(budget.clone()).observe(heard.clone());
    let result = layer.layer(ReadyOnce(false)).oneshot(get()).await;
    assert_eq!(reason(&result), Reason::Permanent);
    assert!(result.unwrap_err().to_string().starts_with("the pool is closed"));
    assert!(matches!(
        heard.events()[..],
        [RetryEvent::Waiting { .. }, RetryEvent::Refused { reason: Reason::Permanent, .. }]
    ));
    assert!((budget.balance() - 10.0).abs() < f64::EPSILON, "nothing more was sent");
}

/// Is ready for one call, whose answer is 503, and never again.
#[derive(Clone)]
struct ReadyOnce(bool);

impl Service<http::Request<Body>> for ReadyOnce {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(if self.0 { Err("the pool is closed".into()) } else { Ok(()) })
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        self.0 = true;
        let mut response = Response::new(Body::default());
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        std::future::ready(Ok(response))
    }
}

#[tokio::test(start_paused = true)]
async fn only_first_tries_earn() {
    let budget = Budget::new(Terms::earning(aplomb_core::Ratio::percent(50)).initial(1));
    let stock = Script::new([Act::Answer(503), Act::Answer(200), Act::Answer(200)]);
    let mut service = RetryLayer::new(budget.clone()).layer(stock);
    service.ready().await.unwrap().call(get()).await.unwrap();
    assert_eq!(budget.balance().to_string(), "0", "the rescued call earned nothing");
    service.ready().await.unwrap().call(get()).await.unwrap();
    assert_eq!(budget.balance().to_string(), "0.5");
}

#[tokio::test(start_paused = true)]
async fn clones_and_repeated_layers_spend_one_budget() {
    let budget = Budget::new(Terms::earning(aplomb_core::Ratio::ZERO).cap(2));
    let layer = RetryLayer::new(budget.clone());
    let stock = Script::new([Act::Answer(503), Act::Answer(200), Act::Answer(503)]);
    layer.layer(stock.clone()).oneshot(get()).await.unwrap();
    layer.clone().layer(stock).oneshot(get()).await.unwrap();
    assert!(budget.withdraw(Cost::ONE).is_none());
}

#[tokio::test(start_paused = true)]
async fn two_calls_do_not_wait_alike() {
    let mut waits = std::collections::HashSet::new();
    let layer = layer();
    for _ in 0..8 {
        let heard = Heard::default();
        let stock = Script::new([Act::Answer(503)]);
        layer.clone().observe(heard.clone()).layer(stock).oneshot(get()).await.unwrap();
        let RetryEvent::Waiting { wait, .. } = heard.events()[0] else { panic!("it waits first") };
        waits.insert(wait);
    }
    assert_eq!(waits.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_waits_the_same() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let stock = Script::new([Act::Answer(503), Act::Answer(200)]);
        layer().layer(stock.clone()).oneshot(get()).await.unwrap();
        runs.push(stock.arrivals());
    }
    assert_eq!(runs[0], runs[1]);
}

fn reason(result: &Result<Response<Body>, BoxError>) -> Reason {
    match result {
        Ok(response) => response.extensions().get::<NotRetried>().unwrap().reason,
        Err(error) => cause::<NotRetried>(&**error).unwrap().reason,
    }
}

fn get() -> http::Request<Body> {
    request(Method::GET)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
