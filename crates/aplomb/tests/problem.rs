//! What fails inside leaves as an answer.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb::core::{
    Attempt, BoxError, DeadlineExceeded, Dice, NotBefore, NotRetried, Reason, Saturated, cause,
};
use aplomb::{
    Cause, DEPENDENCY_FAILED, DEPENDENCY_PAUSED, DEPENDENCY_SATURATED, DEPENDENCY_TIMEOUT,
    INTERNAL, ProblemEvent, ProblemLayer, deadline,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::Value;
use tower::{Layer, Service, ServiceExt, service_fn};

type Answer = Response<Full<Bytes>>;

#[tokio::test]
async fn a_deadline_that_passed_is_a_504() {
    let (answer, body) = answer_to(DeadlineExceeded::default()).await;
    assert_eq!((answer.status().as_u16(), &body["type"]), (504, &deadline::EXPIRED.into()));
    assert!(body["detail"].as_str().unwrap().contains("unknown"));
    let (_, body) = answer_to(DeadlineExceeded::UNSENT).await;
    assert!(body["detail"].as_str().unwrap().contains("nothing was done"));
}

#[tokio::test]
async fn a_dependency_that_is_left_alone_is_a_503_that_says_until_when() {
    let mut waits = Vec::new();
    let layer = ProblemLayer::new().dice(Dice::seeded(7));
    for _ in 0..20 {
        let paused = NotBefore::new(Duration::from_secs(8));
        let (answer, body) = answer_of(&layer, paused.into()).await;
        assert_eq!((answer.status().as_u16(), &body["type"]), (503, &DEPENDENCY_PAUSED.into()));
        let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        waits.push(wait);
    }
    assert!(waits.iter().all(|wait| (8..=10).contains(wait)), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait != waits[0]), "callers must not come back together");
}

#[tokio::test]
async fn a_full_bulkhead_is_a_503_that_says_when_to_come_back() {
    let (answer, body) = answer_to(Saturated::new(Duration::from_secs(3))).await;
    assert_eq!((answer.status().as_u16(), &body["type"]), (503, &DEPENDENCY_SATURATED.into()));
    let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3..=4).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_transport_that_failed_is_a_502() {
    for kind in [io::ErrorKind::ConnectionRefused, io::ErrorKind::ConnectionReset] {
        let (answer, body) = answer_to(io::Error::from(kind)).await;
        assert_eq!((answer.status().as_u16(), &body["type"]), (502, &DEPENDENCY_FAILED.into()));
        assert!(!answer.headers().contains_key("x-should-retry"));
    }
}

#[tokio::test]
async fn a_transport_that_took_too_long_is_a_504() {
    let (answer, body) = answer_to(io::Error::from(io::ErrorKind::TimedOut)).await;
    assert_eq!((answer.status().as_u16(), &body["type"]), (504, &DEPENDENCY_TIMEOUT.into()));
}

#[tokio::test]
async fn retries_that_were_exhausted_stop_every_hop_above() {
    for (reason, told) in
        [(Reason::Budget, true), (Reason::Attempts, true), (Reason::Unsafe, false)]
    {
        let ended = NotRetried::new(reason, Attempt::FIRST).because_of("stock:7001 went away");
        let (answer, body) = answer_to(ended).await;
        assert_eq!((answer.status().as_u16(), &body["type"]), (502, &DEPENDENCY_FAILED.into()));
        assert_eq!(answer.headers().contains_key("x-should-retry"), told, "{reason}");
    }
}

#[tokio::test]
async fn what_ended_a_call_outranks_that_it_was_not_retried() {
    let ended = NotRetried::new(Reason::Unsafe, Attempt::FIRST);
    let (answer, _) = answer_to(ended.because_of(DeadlineExceeded::default())).await;
    assert_eq!(answer.status(), 504);
}

#[tokio::test]
async fn what_nobody_knows_is_a_500_that_tells_nothing() {
    let (answer, body) = answer_to("password of stock:7001 is hunter2").await;
    assert_eq!((answer.status().as_u16(), &body["type"]), (500, &INTERNAL.into()));
    assert!(!body.to_string().contains("hunter2"), "{body}");
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn the_error_itself_stays_with_the_server() {
    let (answer, _) = answer_to(io::Error::other("hunter2")).await;
    let kept: &Cause = answer.extensions().get().unwrap();
    assert!(cause::<io::Error>(kept.error()).is_some());
    assert_eq!(kept.error().to_string(), "hunter2");
}

#[tokio::test]
async fn an_answer_passes_as_it_is() {
    let service = ProblemLayer::new().layer(service_fn(async |_: Request<()>| {
        Ok::<_, BoxError>(
            Response::builder().status(418).body(Full::new(Bytes::from("tea"))).unwrap(),
        )
    }));
    let answer = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(answer.status(), 418);
    assert!(!answer.headers().contains_key("content-type"));
}

#[tokio::test]
async fn an_error_of_readiness_answers_the_next_request() {
    let heard = Mutex::new(Vec::new());
    let layer =
        ProblemLayer::new().observe(|event: &ProblemEvent| heard.lock().unwrap().push(*event));
    let mut service = layer.layer(SecondTime::default());
    let first = service.ready().await.unwrap().call(Request::new(())).await.unwrap();
    let second = service.ready().await.unwrap().call(Request::new(())).await.unwrap();
    assert_eq!([first.status().as_u16(), second.status().as_u16()], [502, 200]);
    assert_eq!(*heard.lock().unwrap(), [ProblemEvent::Unready(first.status())]);
}

#[tokio::test]
async fn a_clone_does_not_answer_for_what_another_met() {
    let layer = ProblemLayer::new();
    let mut service = layer.layer(SecondTime { asked: 0 });
    service.ready().await.unwrap();
    let clone = service.clone();
    assert_eq!(clone.oneshot(Request::new(())).await.unwrap().status(), 200);
    assert_eq!(service.call(Request::new(())).await.unwrap().status(), 502);
}

#[test]
fn it_honours_the_contract() {
    aplomb_testkit::Contract::new("problems", ProblemLayer::new).answers_errors().check();
}

/// A service whose connection is refused the first time that it is asked whether it is ready.
#[derive(Clone, Default)]
struct SecondTime {
    asked: u32,
}

impl Service<Request<()>> for SecondTime {
    type Response = Answer;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Answer>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.asked += 1;
        Poll::Ready(match self.asked {
            1 => Err(io::ErrorKind::ConnectionRefused.into()),
            _ => Ok(()),
        })
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(self.asked > 1, "it was never ready");
        std::future::ready(Ok(Answer::default()))
    }
}

async fn answer_to(error: impl Into<BoxError>) -> (Answer, Value) {
    answer_of(&ProblemLayer::new(), error.into()).await
}

async fn answer_of(layer: &ProblemLayer, error: BoxError) -> (Answer, Value) {
    use http_body_util::BodyExt;
    let error = Mutex::new(Some(error));
    let failing = service_fn(|_: Request<()>| {
        let error = error.lock().unwrap().take().unwrap();
        async { Err::<Answer, _>(error) }
    });
    let mut answer = layer.layer(failing).oneshot(Request::new(())).await.unwrap();
    let body = answer.body_mut().collect().await.unwrap().to_bytes();
    (answer, serde_json::from_slice(&body).unwrap())
}

#[cfg(feature = "telemetry")]
#[tokio::test]
async fn what_is_answered_as_a_problem_is_counted() {
    let metrics = aplomb::telemetry::Metrics::register(&prometheus::Registry::new(), None).unwrap();
    let layer = ProblemLayer::new().observe(metrics.operation("POST /orders"));
    let fails = service_fn(async |_: Request<()>| {
        Err::<Answer, _>(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    let answer = layer.layer(fails).oneshot(Request::default()).await.unwrap();
    assert_eq!(answer.status().as_u16(), 502);
    let page = metrics.encode().unwrap();
    let line = r#"problem_answers_total{event="failed",operation="POST /orders",status="502"} 1"#;
    assert!(page.contains(line), "{page}");
}
