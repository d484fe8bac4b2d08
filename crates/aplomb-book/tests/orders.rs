//! What goes wrong when two layers change places: a test for each row of the page about the order.
//!
//! Every test builds both orders around the same service and shows what differs.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aplomb::circuit_breaker::CircuitOpen;
use aplomb::core::{BoxError, Degraded, DegradedKind, OperationClass, Principal, Ratio, cause};
use aplomb::dead_letter::{DeadLetterLayer, Job, Listing, MemorySink, Sink};
use aplomb::fallback::Fixed;
use aplomb::idempotency::{IdempotencyEvent, KeyLayer, MemoryStore};
use aplomb::retry::Terms;
use aplomb::{
    AdmissionLayer, Backoff, BackoffLayer, Budget, CircuitBreakerLayer, DeadlineLayer,
    FallbackLayer, IdempotencyLayer, ProblemLayer, RetryLayer,
};
use axum::body::Body as AnyBody;
use axum::{Extension, Router, routing::post};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

type Body = Full<Bytes>;

/// What the dependency does with the next request; then it answers 200.
#[derive(Clone, Copy)]
enum Act {
    Fail,
    Pause(&'static str),
    Refuse,
    Hang,
}

/// A dependency that follows a script and remembers the keys that it saw.
#[derive(Clone, Default)]
struct Stock {
    acts: Arc<Mutex<VecDeque<Act>>>,
    keys: Arc<Mutex<Vec<Option<HeaderValue>>>>,
}

impl Stock {
    fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        Self { acts: Arc::new(Mutex::new(acts.into_iter().collect())), keys: Arc::default() }
    }

    fn service(
        &self,
    ) -> impl Service<
        Request<Body>,
        Response = Response<Body>,
        Error = Error,
        Future: Future<Output = Result<Response<Body>, Error>> + Send,
    > + Clone
    + Send
    + use<> {
        let stock = self.clone();
        service_fn(move |request: Request<Body>| {
            let key = request.headers().get("idempotency-key").cloned();
            stock.keys.lock().unwrap().push(key);
            let act = stock.acts.lock().unwrap().pop_front();
            async move {
                let answer = Response::builder();
                match act {
                    None => Ok(Response::new("5".into())),
                    Some(Act::Fail) => Ok(answer.status(503).body("".into()).unwrap()),
                    Some(Act::Pause(seconds)) => {
                        let answer = answer.status(503).header("retry-after", seconds);
                        Ok(answer.body("".into()).unwrap())
                    }
                    Some(Act::Refuse) => Err(Error::from(ErrorKind::ConnectionRefused)),
                    Some(Act::Hang) => std::future::pending().await,
                }
            }
        })
    }

    fn requests(&self) -> usize {
        self.keys.lock().unwrap().len()
    }
}

fn get() -> Request<Body> {
    Request::get("http://stock/mug").body(Body::default()).unwrap()
}

fn retry() -> RetryLayer {
    let rich = Budget::new(Terms::earning(Ratio::ONE).cap(1_000));
    RetryLayer::new(rich).backoff(Backoff::full(Duration::from_millis(50), SECOND))
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_total_inside_the_retries_bounds_nothing() {
    let took = async |right: bool| {
        let (stock, begun) = (Stock::new([Act::Hang; 3]), aplomb::core::time::now());
        let (retry, total) = (retry().unlimited_total(), DeadlineLayer::total(SECOND));
        let ended = if right {
            ServiceBuilder::new()
                .layer(total)
                .layer(retry)
                .service(stock.service())
                .oneshot(get())
                .await
        } else {
            ServiceBuilder::new()
                .layer(retry)
                .layer(total)
                .service(stock.service())
                .oneshot(get())
                .await
        };
        ended.unwrap_err();
        aplomb::core::time::now() - begun
    };
    assert!(took(true).await < SECOND * 2);
    assert!(took(false).await >= SECOND * 3);
}

#[tokio::test(start_paused = true)]
async fn a_key_inside_the_retries_is_not_seen_by_them() {
    let write = || Request::post("http://stock/reservations").body(Body::from("mug")).unwrap();
    let (key, retry) = (KeyLayer::random(), retry().honours_keys());

    let stock = Stock::new([Act::Fail]);
    let right = ServiceBuilder::new().layer(key.clone()).layer(retry.clone());
    let answer = right.service(stock.service()).oneshot(write()).await.unwrap();
    let keys = stock.keys.lock().unwrap().clone();
    assert_eq!((answer.status(), keys.len()), (StatusCode::OK, 2));
    assert!(keys[0].is_some() && keys[0] == keys[1], "one piece of work has one key");

    let stock = Stock::new([Act::Fail]);
    let wrong = ServiceBuilder::new().layer(retry).layer(key);
    let answer = wrong.service(stock.service()).oneshot(write()).await.unwrap();
    assert_eq!((answer.status(), stock.requests()), (StatusCode::SERVICE_UNAVAILABLE, 1));
}

#[tokio::test(start_paused = true)]
async fn a_key_inside_the_retries_is_a_new_one_for_each_attempt() {
    // A refused connection may be tried again without a key; then the attempts disagree.
    let stock = Stock::new([Act::Refuse]);
    let write = Request::post("http://stock/reservations").body(Body::from("mug")).unwrap();
    let wrong = ServiceBuilder::new().layer(retry()).layer(KeyLayer::random());
    wrong.service(stock.service()).oneshot(write).await.unwrap();
    let keys = stock.keys.lock().unwrap().clone();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
}

#[tokio::test(start_paused = true)]
async fn a_breaker_outside_the_retries_sees_a_call_where_its_attempts_failed() {
    let sends = async |right: bool| {
        let stock = Stock::new([Act::Refuse; 100]);
        let breaker = CircuitBreakerLayer::default();
        let handle = breaker.handle();
        for _ in 0..5 {
            let (retry, breaker, stock) = (retry(), breaker.clone(), stock.service());
            let ended = if right {
                ServiceBuilder::new()
                    .layer(retry)
                    .layer(breaker)
                    .service(stock)
                    .oneshot(get())
                    .await
            } else {
                ServiceBuilder::new()
                    .layer(breaker)
                    .layer(retry)
                    .service(stock)
                    .oneshot(get())
                    .await
            };
            ended.unwrap_err();
            if !handle.snapshot().retry_after.is_zero() {
                break;
            }
        }
        assert!(!handle.snapshot().retry_after.is_zero(), "it is open");
        stock.requests()
    };
    // Five refused connections in a row open it: five sends, or five calls of three sends each.
    assert_eq!(sends(true).await, 5);
    assert_eq!(sends(false).await, 15);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_cut_off_outside_the_breaker_is_not_counted() {
    let failed = async |right: bool| {
        let stock = Stock::new([Act::Hang; 12]);
        let (attempt, breaker) =
            (DeadlineLayer::attempt(SECOND / 2), CircuitBreakerLayer::default());
        let handle = breaker.handle();
        for _ in 0..9 {
            let (breaker, stock) = (breaker.clone(), stock.service());
            let ended = if right {
                ServiceBuilder::new()
                    .layer(breaker)
                    .layer(attempt)
                    .service(stock)
                    .oneshot(get())
                    .await
            } else {
                ServiceBuilder::new()
                    .layer(attempt)
                    .layer(breaker)
                    .service(stock)
                    .oneshot(get())
                    .await
            };
            ended.unwrap_err();
        }
        handle.snapshot().failed_in_a_row
    };
    assert_eq!(failed(true).await, 9);
    assert_eq!(failed(false).await, 0, "a call that is dropped early has no vote");
}

#[tokio::test(start_paused = true)]
async fn a_fallback_inside_the_retries_answers_what_a_retry_would_have_mended() {
    let few = || Fixed::new(DegradedKind::Approximate, Response::new("few".into()));
    let stock = Stock::new([Act::Fail]);
    let right = ServiceBuilder::new().layer(FallbackLayer::new(few())).layer(retry());
    let answer = right.service(stock.service()).oneshot(get()).await.unwrap();
    assert!(Degraded::of(answer.extensions()).is_none());

    let stock = Stock::new([Act::Fail]);
    let wrong = ServiceBuilder::new().layer(retry()).layer(FallbackLayer::new(few()));
    let answer = wrong.service(stock.service()).oneshot(get()).await.unwrap();
    assert_eq!(stock.requests(), 1);
    assert!(Degraded::of(answer.extensions()).is_some(), "a degraded answer is an answer");
}

#[tokio::test(start_paused = true)]
async fn a_bulkhead_outside_the_retries_is_held_by_who_waits() {
    let running = async |right: bool| {
        let stock = Stock::new([Act::Fail]);
        let bulkhead = AdmissionLayer::outbound(1);
        let handle = bulkhead.handle();
        let retry = retry().backoff(Backoff::equal(SECOND, SECOND));
        let call = if right {
            let client = ServiceBuilder::new().layer(retry).layer(bulkhead);
            tokio::spawn(client.service(stock.service()).oneshot(get()))
        } else {
            let client = ServiceBuilder::new().layer(bulkhead).layer(retry);
            tokio::spawn(client.service(stock.service()).oneshot(get()))
        };
        tokio::time::advance(SECOND / 4).await;
        tokio::task::yield_now().await;
        let running = handle.snapshot().running;
        call.await.unwrap().unwrap();
        assert_eq!(stock.requests(), 2);
        running
    };
    assert_eq!(running(true).await, 0);
    assert_eq!(running(false).await, 1, "it holds its place while it waits");
}

#[tokio::test(start_paused = true)]
async fn a_pace_inside_the_bulkhead_holds_a_place_while_it_waits() {
    let running = async |right: bool| {
        let stock = Stock::new([Act::Pause("2")]);
        let (pace, bulkhead) =
            (BackoffLayer::new(Backoff::interactive()), AdmissionLayer::outbound(1));
        let handle = bulkhead.handle();
        let mut running = 0;
        for _ in 0..2 {
            let (pace, bulkhead, stock) = (pace.clone(), bulkhead.clone(), stock.service());
            let call = if right {
                let client = ServiceBuilder::new().layer(pace).layer(bulkhead).service(stock);
                tokio::spawn(client.oneshot(get()))
            } else {
                let client = ServiceBuilder::new().layer(bulkhead).layer(pace).service(stock);
                tokio::spawn(client.oneshot(get()))
            };
            tokio::time::advance(SECOND / 10).await;
            tokio::task::yield_now().await;
            running = handle.snapshot().running;
            call.await.unwrap().unwrap();
        }
        running
    };
    assert_eq!(running(true).await, 0);
    assert_eq!(running(false).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_bulkhead_inside_the_breaker_holds_the_probe() {
    let state = async |right: bool| {
        let stock = Stock::new([Act::Refuse; 5].into_iter().chain([Act::Hang]));
        let breaker = CircuitBreakerLayer::default();
        let bulkhead = AdmissionLayer::outbound(1).longest_wait(SECOND);
        let handle = breaker.handle();
        let call = |request| {
            let (breaker, bulkhead, stock) = (breaker.clone(), bulkhead.clone(), stock.service());
            if right {
                let client = ServiceBuilder::new().layer(bulkhead).layer(breaker).service(stock);
                tokio::spawn(client.oneshot(request))
            } else {
                let client = ServiceBuilder::new().layer(breaker).layer(bulkhead).service(stock);
                tokio::spawn(client.oneshot(request))
            }
        };
        for _ in 0..5 {
            call(get()).await.unwrap().unwrap_err();
        }
        tokio::time::advance(SECOND * 3).await;
        // Other work towards the same dependency has the only place, and goes on having it.
        let other = ServiceBuilder::new().layer(bulkhead.clone()).service(stock.service());
        let other = tokio::spawn(other.oneshot(get()));
        tokio::time::advance(SECOND / 10).await;
        let probe = call(get());
        tokio::time::advance(SECOND / 10).await;
        tokio::task::yield_now().await;
        let state = handle.snapshot().state;
        other.abort();
        drop(probe.await);
        state.as_str()
    };
    assert_eq!(state(true).await, "open", "who waits for a place has not probed yet");
    assert_eq!(
        state(false).await,
        "half_open",
        "the probe waits for a place, and others are rejected"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_inside_the_deadline_is_never_written() {
    let letters = async |right: bool| {
        let sink = Arc::new(MemorySink::new());
        let (letters, total) =
            (DeadLetterLayer::new(Arc::clone(&sink)), DeadlineLayer::total(SECOND));
        let stock = Stock::new([Act::Hang]);
        let shipment = Request::post("http://warehouse/shipments")
            .header("idempotency-key", "order_123_shipment")
            .extension(OperationClass::Deferred)
            .extension(Job::new(Duration::ZERO, aplomb::core::time::now()))
            .body(Body::from("{}"))
            .unwrap();
        let ended: Result<_, BoxError> = if right {
            let client = ServiceBuilder::new().layer(letters).layer(total);
            client.service(stock.service()).oneshot(shipment).await
        } else {
            let client = ServiceBuilder::new().layer(total).layer(letters);
            client.service(stock.service()).oneshot(shipment).await
        };
        ended.unwrap_err();
        sink.list(&Listing::dead(10)).await.unwrap().len()
    };
    assert_eq!(letters(true).await, 1);
    assert_eq!(letters(false).await, 0);
}

#[tokio::test(start_paused = true)]
async fn problems_inside_of_a_layer_that_fails_answer_nothing() {
    let breaker = CircuitBreakerLayer::default();
    breaker.handle().force_open();
    let handler =
        || service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::default())));
    let right = ServiceBuilder::new().layer(ProblemLayer::new()).layer(breaker.clone());
    let answer = right.service(handler()).oneshot(get()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);

    let wrong = ServiceBuilder::new().layer(breaker).layer(ProblemLayer::new());
    let error = wrong.service(handler()).oneshot(get()).await.unwrap_err();
    assert!(cause::<CircuitOpen>(&*error).is_some(), "the server cuts the connection");
}

fn order(key: &str) -> Request<AnyBody> {
    Request::post("/orders").header("idempotency-key", key).body(AnyBody::from("mug")).unwrap()
}

#[tokio::test]
async fn keys_outside_of_authentication_belong_to_nobody() {
    let keys = || IdempotencyLayer::new(MemoryStore::new());
    let router = || Router::new().route("/orders", post(async || "ordered"));
    let shop = Extension(Principal::new("shop"));
    let right: Router = router().layer(keys()).layer(shop.clone());
    assert_eq!(right.oneshot(order("a")).await.unwrap().status(), StatusCode::OK);
    let wrong: Router = router().layer(shop).layer(keys());
    let answer = wrong.oneshot(order("a")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR, "it refuses to guess");
}

#[tokio::test]
async fn keys_outside_of_admission_are_claimed_by_calls_that_are_turned_away() {
    let claims = async |right: bool| {
        let claimed = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&claimed);
        let keys = IdempotencyLayer::new(MemoryStore::new()).global_scope("public");
        let keys = keys.observe(move |event: &IdempotencyEvent| {
            if matches!(event, IdempotencyEvent::Claimed) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let full = AdmissionLayer::new(1).longest_wait(Duration::ZERO);
        let app = Router::new().route("/orders", post(std::future::pending::<()>));
        let app: Router =
            if right { app.layer(keys).layer(full) } else { app.layer(full).layer(keys) };
        let first = tokio::spawn(app.clone().oneshot(order("first")));
        while claimed.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let answer = app.oneshot(order("second")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        first.abort();
        claimed.load(Ordering::Relaxed)
    };
    assert_eq!(claims(true).await, 1);
    assert_eq!(claims(false).await, 2, "a claim, a write and a release for nothing");
}

#[tokio::test]
async fn keys_outside_of_the_deadline_remember_that_it_was_too_late() {
    let second_try = async |right: bool| {
        let keys = IdempotencyLayer::new(MemoryStore::new()).global_scope("public");
        let late = DeadlineLayer::inherit();
        let app = Router::new().route("/orders", post(async || "ordered"));
        let app: Router =
            if right { app.layer(keys).layer(late) } else { app.layer(late).layer(keys) };
        let mut expired = order("a");
        expired.headers_mut().insert("x-envoy-expected-rq-timeout-ms", HeaderValue::from(0));
        let answer = app.clone().oneshot(expired).await.unwrap();
        assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
        app.oneshot(order("a")).await.unwrap().status()
    };
    assert_eq!(second_try(true).await, StatusCode::OK);
    assert_eq!(second_try(false).await, StatusCode::GATEWAY_TIMEOUT, "the 504 is replayed");
}
