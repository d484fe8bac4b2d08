//! When a fallback answers, and when it must not.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::time::Duration;

use aplomb_core::{
    Attempt, BoxError, Condition, DeadlineExceeded, DegradedKind, NotBefore, NotRetried,
    OperationClass, Reason, Saturated, cause,
};
use aplomb_fallback::{Conditions, FallbackEvent, FallbackLayer, Fixed, Unanswered};
use common::{Answer, Events, Stock, answer, answer_with, get, header, send, text, with};
use http::{Method, Response, StatusCode};
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn every_condition_asks_the_fallback_of_a_read() {
    let cases: [(fn() -> Answer, Condition); 9] = [
        (|| Err(NotBefore::new(SECOND).into()), Condition::Open),
        (|| Err(Saturated::new(SECOND).into()), Condition::Bulkhead),
        (|| Err(DeadlineExceeded::default().into()), Condition::Deadline),
        (|| Err(DeadlineExceeded::UNSENT.into()), Condition::Deadline),
        (|| Err(out_of_budget()), Condition::Budget),
        (|| Err(refused()), Condition::Upstream),
        (|| answer(500, ""), Condition::Upstream),
        (|| answer(429, ""), Condition::Throttled),
        (|| answer_with(503, "retry-after", "1", ""), Condition::Throttled),
    ];
    for (outcome, condition) in cases {
        let events = Events::default();
        let service = layer().observe(events.clone()).layer(Stock::says(move |_| outcome()));
        let response = send(&service, get("/mugs")).await.unwrap();
        assert_eq!(text(&response), "limited availability", "{condition}");
        let kind = Some(DegradedKind::Approximate);
        assert_eq!(events.take(), [FallbackEvent::Used { condition, kind, age: None }]);
    }
}

#[tokio::test(start_paused = true)]
async fn why_a_response_was_final_is_seen_too() {
    let events = Events::default();
    let service = layer().observe(events.clone()).layer(Stock::says(|_| {
        let mut response = common::down().unwrap();
        response.extensions_mut().insert(NotRetried::new(Reason::Budget, Attempt::FIRST));
        Ok(response)
    }));
    send(&service, get("/mugs")).await.unwrap();
    assert!(matches!(
        events.take()[..],
        [FallbackEvent::Used { condition: Condition::Budget, .. }]
    ));
}

#[tokio::test(start_paused = true)]
async fn a_good_answer_and_the_callers_own_mistake_pass() {
    for status in [200, 204, 304, 400, 401, 403, 404, 409, 410, 422] {
        let events = Events::default();
        let service =
            layer().observe(events.clone()).layer(Stock::says(move |_| answer(status, "own")));
        let response = send(&service, get("/mugs")).await.unwrap();
        assert_eq!((response.status().as_u16(), text(&response)), (status, "own"));
        assert_eq!(events.take(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_was_not_chosen_passes() {
    let open = layer().on(Condition::Open).layer(Stock::says(|_| answer(500, "own")));
    assert_eq!(text(&send(&open, get("/mugs")).await.unwrap()), "own");
    let most = Conditions::ALL.without(Condition::Throttled);
    let most = layer().on(most).layer(Stock::says(|_| answer(429, "own")));
    assert_eq!(text(&send(&most, get("/mugs")).await.unwrap()), "own");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_have_been_acted_on_keeps_its_own_answer() {
    for method in [Method::POST, Method::PATCH, Method::PUT, Method::DELETE] {
        let events = Events::default();
        let lost = layer().observe(events.clone()).layer(Stock::says(|_| Err(reset())));
        let error = send(&lost, with(method.clone(), "/orders")).await.unwrap_err();
        assert!(cause::<std::io::Error>(&*error).is_some());
        let failed = layer().observe(events.clone()).layer(Stock::says(|_| answer(502, "own")));
        let response = send(&failed, with(method, "/orders")).await.unwrap();
        assert_eq!(text(&response), "own");
        assert_eq!(events.take(), [FallbackEvent::Kept { condition: Condition::Upstream }; 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_never_left_may_be_answered() {
    let cases: [fn() -> BoxError; 4] = [
        || NotBefore::new(SECOND).into(),
        || Saturated::new(SECOND).into(),
        || DeadlineExceeded::UNSENT.into(),
        refused,
    ];
    for error in cases {
        let service = layer().layer(Stock::says(move |_| Err(error())));
        let response = send(&service, with(Method::POST, "/orders")).await.unwrap();
        assert_eq!(text(&response), "limited availability");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_first_attempt_was_sent_is_not_answered_because_its_last_was_not() {
    let third = Attempt::FIRST.next().next();
    let service = layer().layer(Stock::says(move |_| {
        let open = NotBefore::new(SECOND);
        Err(NotRetried::new(Reason::Attempts, third).because_of(open))
    }));
    let keyed = header(with(Method::POST, "/orders"), "idempotency-key", "k");
    assert!(send(&service, keyed).await.is_err());
    assert!(send(&service, with(Method::PUT, "/orders/1")).await.is_err());
    // Without a key it was sent again only because nothing had arrived.
    assert!(send(&service, with(Method::POST, "/orders")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_key_in_flight_elsewhere_keeps_its_own_answer() {
    for layer in [layer(), pending(202)] {
        let service =
            layer.layer(Stock::says(|_| answer_with(409, "retry-after", "1", "in flight")));
        let keyed = header(with(Method::POST, "/orders"), "idempotency-key", "k");
        assert_eq!(text(&send(&service, keyed).await.unwrap()), "in flight");
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_that_names_itself_a_read_is_one() {
    let service = layer().layer(Stock::says(|_| Err(reset())));
    let mut search = with(Method::POST, "/search");
    search.extensions_mut().insert(OperationClass::Read);
    assert_eq!(text(&send(&service, search).await.unwrap()), "limited availability");
}

#[tokio::test(start_paused = true)]
async fn a_pending_fallback_answers_a_write_of_unknown_outcome_and_says_so() {
    let events = Events::default();
    let service = pending(202).observe(events.clone()).layer(Stock::says(|_| Err(reset())));
    let response = send(&service, with(Method::POST, "/orders")).await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let degraded = aplomb_core::Degraded::of(response.extensions()).unwrap();
    assert_eq!(degraded.kind, DegradedKind::Delayed);
    let (condition, kind) = (Condition::Upstream, Some(DegradedKind::Delayed));
    assert_eq!(events.take(), [FallbackEvent::Used { condition, kind, age: None }]);
}

#[tokio::test(start_paused = true)]
async fn a_pending_fallback_that_says_something_else_is_not_used() {
    let events = Events::default();
    let service = pending(200).observe(events.clone()).layer(Stock::says(|_| Err(reset())));
    assert!(send(&service, with(Method::POST, "/orders")).await.is_err());
    let why = Unanswered::NotPending;
    let condition = Condition::Upstream;
    assert_eq!(events.take(), [FallbackEvent::Unanswered { condition, why }]);
}

#[tokio::test(start_paused = true)]
async fn a_pending_fallback_has_nothing_to_say_to_a_read() {
    let service = pending(202).layer(Stock::says(|_| common::down()));
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down");
}

#[tokio::test(start_paused = true)]
async fn a_pending_fallback_is_told_whether_the_outcome_is_unknown() {
    let told = |failure: fn() -> BoxError| async move {
        let accepts = tower::service_fn(|request: http::Request<aplomb_fallback::Missed>| {
            let missed = format!("{} {}", request.body().is_unknown, request.body().is_sent);
            let response = Response::builder().status(202).body(missed);
            async { response }
        });
        let service = FallbackLayer::pending(accepts).layer(Stock::says(move |_| Err(failure())));
        let response = send(&service, with(Method::POST, "/orders")).await.unwrap();
        text(&response).to_owned()
    };
    assert_eq!(told(reset).await, "true true");
    assert_eq!(told(refused).await, "false true");
    assert_eq!(told(|| NotBefore::new(SECOND).into()).await, "false false");
}

fn layer() -> FallbackLayer<Fixed> {
    let answer = Response::new("limited availability".into());
    FallbackLayer::new(Fixed::new(DegradedKind::Approximate, answer))
}

fn pending(status: u16) -> FallbackLayer<Fixed> {
    let answer = Response::builder().status(status).body("pending".into()).unwrap();
    FallbackLayer::pending(Fixed::new(DegradedKind::Delayed, answer))
}

fn out_of_budget() -> BoxError {
    NotRetried::new(Reason::Budget, Attempt::FIRST).because_of(reset())
}

fn reset() -> BoxError {
    std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()
}

fn refused() -> BoxError {
    std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()
}

const SECOND: Duration = Duration::from_secs(1);
