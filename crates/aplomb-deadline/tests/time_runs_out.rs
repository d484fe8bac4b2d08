//! What happens at the moment when time is up, on a paused clock.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use aplomb_core::{Deadline, DeadlineExceeded, EXPECTED_TIMEOUT, Problem, cause, time};
use aplomb_deadline::{DeadlineEvent, DeadlineLayer, EXPIRED};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_ends_when_its_time_is_up() {
    let begun = time::now();
    let error =
        DeadlineLayer::total(ms(100)).layer(sleeper(ms(200))).oneshot(get()).await.unwrap_err();
    assert_eq!(cause::<DeadlineExceeded>(&*error), Some(&DeadlineExceeded::default()));
    assert_eq!(time::now() - begun, ms(100));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_quick_enough_is_left_alone() {
    let response = DeadlineLayer::total(ms(100)).layer(sleeper(ms(99))).oneshot(get()).await;
    assert_eq!(response.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_gets_no_more_than_what_is_left_of_the_call() {
    let begun = time::now();
    let attempt = DeadlineLayer::attempt(ms(500)).layer(sleeper(ms(900)));
    let call = DeadlineLayer::total(ms(300)).layer(attempt);
    call.oneshot(get()).await.unwrap_err();
    assert_eq!(time::now() - begun, ms(300));
}

#[tokio::test(start_paused = true)]
async fn the_next_hop_is_told_what_is_left() {
    let inner = service_fn(|request: Request<Full<Bytes>>| async move {
        Ok::<_, Infallible>(Response::new(request.headers()[EXPECTED_TIMEOUT].clone()))
    });
    let mut request = get();
    request.extensions_mut().insert(Deadline::after(time::now(), ms(120)));
    let response = DeadlineLayer::attempt(ms(500)).layer(inner).oneshot(request).await.unwrap();
    assert_eq!(response.body(), "120");
}

#[tokio::test(start_paused = true)]
async fn what_a_request_says_on_the_wire_is_never_lengthened() {
    let inner = service_fn(|request: Request<Full<Bytes>>| async move {
        tokio::time::sleep(ms(200)).await;
        Ok::<_, Infallible>(Response::new(request.headers()[EXPECTED_TIMEOUT].clone()))
    });
    for (written, told) in [(300, Ok("300")), (900, Ok("500")), (120, Err(ms(120)))] {
        let (begun, mut relayed) = (time::now(), get());
        relayed.headers_mut().insert(EXPECTED_TIMEOUT, written.into());
        let response = DeadlineLayer::attempt(ms(500)).layer(inner).oneshot(relayed).await;
        match told {
            Ok(told) => assert_eq!(response.unwrap().body(), told),
            Err(after) => {
                response.unwrap_err();
                assert_eq!(time::now() - begun, after);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_when_time_is_already_up() {
    let mut request = get();
    request.extensions_mut().insert(Deadline::at(time::now()));
    let never = service_fn(|_: Request<Full<Bytes>>| async { Err::<Response<()>, _>("was sent") });
    let error = DeadlineLayer::attempt(ms(500)).layer(never).oneshot(request).await.unwrap_err();
    assert_eq!(cause::<DeadlineExceeded>(&*error), Some(&DeadlineExceeded::UNSENT));
}

#[tokio::test(start_paused = true)]
async fn the_work_is_dropped_when_the_bell_rings() {
    struct Work(Arc<AtomicBool>);
    impl Drop for Work {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&dropped);
    let inner = service_fn(move |_: Request<Full<Bytes>>| {
        let work = Work(Arc::clone(&flag));
        async move {
            std::future::pending::<()>().await;
            drop(work);
            Ok::<_, Infallible>(Response::new(()))
        }
    });
    let mut call = Box::pin(DeadlineLayer::total(ms(10)).layer(inner).oneshot(get()));
    (&mut call).await.unwrap_err();
    assert!(dropped.load(Ordering::Relaxed), "though the call's future is still held");
}

#[tokio::test(start_paused = true)]
async fn a_server_answers_504_to_who_no_longer_waits() {
    for (left, ran, detail) in [("0", 0, "nothing was done"), ("20", 1, "its outcome is unknown")] {
        let runs = AtomicU32::new(0);
        let handler = service_fn(|_: Request<Full<Bytes>>| {
            runs.fetch_add(1, Ordering::Relaxed);
            async {
                tokio::time::sleep(ms(50)).await;
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            }
        });
        let mut request = get();
        request.headers_mut().insert(EXPECTED_TIMEOUT, left.parse().unwrap());
        let response = DeadlineLayer::inherit().layer(handler).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = std::str::from_utf8(&body).unwrap();
        assert!(body.contains(EXPIRED) && body.contains(detail), "{body}");
        assert_eq!(runs.load(Ordering::Relaxed), ran);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_shrinks_from_hop_to_hop() {
    let last = service_fn(|request: Request<Full<Bytes>>| async move {
        let left = request.headers()[EXPECTED_TIMEOUT].clone();
        Ok::<_, Infallible>(Response::new(Full::from(left.to_str().unwrap().to_owned())))
    });
    let client = DeadlineLayer::attempt(ms(500)).layer(last);
    let handler = service_fn(move |request: Request<Full<Bytes>>| {
        let (client, deadline) = (client.clone(), *request.extensions().get::<Deadline>().unwrap());
        async move {
            tokio::time::sleep(ms(30)).await;
            let mut next = get();
            next.extensions_mut().insert(deadline);
            client.oneshot(next).await.or_else(|_| Ok::<_, Infallible>(failed()))
        }
    });
    let mut request = get();
    request.headers_mut().insert(EXPECTED_TIMEOUT, 100.into());
    let response = DeadlineLayer::inherit().layer(handler).oneshot(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "70");
}

#[tokio::test(start_paused = true)]
async fn a_handlers_own_calls_inherit_its_deadline_without_being_handed_it() {
    let last = service_fn(|request: Request<Full<Bytes>>| async move {
        let left = request.headers()[EXPECTED_TIMEOUT].clone();
        Ok::<_, Infallible>(Response::new(Full::from(left.to_str().unwrap().to_owned())))
    });
    let client = DeadlineLayer::attempt(ms(500)).layer(last);
    let handler = service_fn(move |_: Request<Full<Bytes>>| {
        let client = client.clone();
        async move {
            tokio::time::sleep(ms(30)).await;
            client.oneshot(get()).await.or_else(|_| Ok::<_, Infallible>(failed()))
        }
    });
    let mut request = get();
    request.headers_mut().insert(EXPECTED_TIMEOUT, 100.into());
    let response = DeadlineLayer::inherit().layer(handler).oneshot(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "70");
    assert_eq!(Deadline::current(), None, "it is in force for its own work alone");
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_deadline_takes_its_time() {
    let server = DeadlineLayer::inherit().layer(sleeper(Duration::from_secs(3600)));
    assert_eq!(server.oneshot(get()).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn every_deadline_that_passes_is_counted() {
    let (exceeded, unsent) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (a, b) = (Arc::clone(&exceeded), Arc::clone(&unsent));
    let layer = DeadlineLayer::total(ms(1)).observe(move |event: &DeadlineEvent| match event {
        DeadlineEvent::Exceeded => _ = a.fetch_add(1, Ordering::Relaxed),
        _ => _ = b.fetch_add(1, Ordering::Relaxed),
    });
    let mut late = get();
    late.extensions_mut().insert(Deadline::at(time::now()));
    layer.layer(sleeper(ms(5))).oneshot(late).await.unwrap_err();
    layer.layer(sleeper(ms(5))).oneshot(get()).await.unwrap_err();
    layer.layer(sleeper(ms(0))).oneshot(get()).await.unwrap();
    assert_eq!((exceeded.load(Ordering::Relaxed), unsent.load(Ordering::Relaxed)), (1, 1));
}

type Answer = Result<Response<Full<Bytes>>, Infallible>;

#[tokio::test(start_paused = true)]
async fn a_layer_that_only_observes_tells_and_ends_nothing() {
    let told = Arc::new(AtomicU32::new(0));
    let heard = Arc::clone(&told);
    let observer = move |event: &DeadlineEvent| match event {
        DeadlineEvent::WouldHaveExceeded => {
            heard.fetch_add(1, Ordering::SeqCst);
        }
        DeadlineEvent::WouldNotHaveSent => {
            heard.fetch_add(10, Ordering::SeqCst);
        }
        other => panic!("{other:?}"),
    };
    let inner = service_fn(|request: Request<Full<Bytes>>| async move {
        assert_eq!(Deadline::current(), None);
        assert!(!request.headers().contains_key(EXPECTED_TIMEOUT));
        tokio::time::sleep(ms(300)).await;
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let layer = DeadlineLayer::attempt(ms(100)).observe_only().observe(observer);
    let begun = time::now();
    layer.layer(inner).oneshot(get()).await.unwrap();
    assert_eq!((time::now() - begun, told.load(Ordering::SeqCst)), (ms(300), 1));

    let mut late = get();
    late.extensions_mut().insert(Deadline::after(time::now(), ms(0)));
    layer.layer(inner).oneshot(late).await.unwrap();
    assert_eq!(told.load(Ordering::SeqCst), 11);
}

fn sleeper(
    time: Duration,
) -> impl tower::Service<
    Request<Full<Bytes>>,
    Response = Response<Full<Bytes>>,
    Error = Infallible,
    Future = impl Future<Output = Answer> + Send,
> + Clone {
    service_fn(move |_| async move {
        tokio::time::sleep(time).await;
        Ok(Response::new(Full::default()))
    })
}

fn failed() -> Response<Full<Bytes>> {
    Problem::new("/problems/failed", "failed", StatusCode::BAD_GATEWAY).into_response()
}

fn get() -> Request<Full<Bytes>> {
    Request::get("http://stock/").body(Full::default()).unwrap()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
