//! What is read, kept and replayed of requests and answers.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use aplomb_core::{BoxError, Dice, Principal};
use aplomb_idempotency::{IdempotencyEvent, IdempotencyLayer, MemoryStore, problems};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};

use common::{Body, Counter, Heard, answer, is_replay, post, problem, send};

#[tokio::test]
async fn a_body_over_the_cap_begins_nothing() {
    let runs = Counter::default();
    let service = layer().body_cap(3).layer(answers(&runs, 201));
    let refused = send(&service, post("k", "four")).await;
    assert_eq!(
        (refused.status().as_u16(), problem(&refused).as_str()),
        (413, problems::BODY_TOO_LARGE)
    );
    assert_eq!(runs.get(), 0);
    assert_eq!(send(&service, post("k", "mug")).await.status(), 201, "the key is still free");
}

#[tokio::test]
async fn an_upload_that_breaks_off_begins_nothing() {
    let runs = Counter::default();
    let service = layer().layer(scripted(&runs, || Scripted::whole("fine")));
    for broken in [Scripted::broken("mu"), Scripted::endless(100_000)] {
        let response = service.clone().oneshot(scripted_post(broken)).await.unwrap();
        assert!(response.status().is_client_error());
    }
    assert_eq!(runs.get(), 0);
    let response = service.oneshot(scripted_post(Scripted::whole("mug"))).await.unwrap();
    assert_eq!(response.status(), 201);
}

#[tokio::test]
async fn what_would_differ_next_time_is_not_kept() {
    for status in [401, 403, 408, 413, 415, 421, 425, 429, 431, 503] {
        let (runs, heard) = (Counter::default(), Heard::default());
        let service = layer().observe(heard.observer()).layer(answers(&runs, status));
        send(&service, post("k", "mug")).await;
        // A released key may carry a mended payload.
        let retry = send(&service, post("k", "mended")).await;
        assert_eq!((retry.status().as_u16(), is_replay(&retry)), (status, false));
        assert_eq!(runs.get(), 2, "{status}");
        assert!(heard.all().contains(&IdempotencyEvent::Released));
    }
}

#[tokio::test]
async fn what_is_final_is_kept() {
    for status in [200, 201, 204, 303, 400, 404, 409, 422, 500, 502] {
        let runs = Counter::default();
        let service = layer().layer(answers(&runs, status));
        send(&service, post("k", "mug")).await;
        let retry = send(&service, post("k", "mug")).await;
        assert_eq!((retry.status().as_u16(), is_replay(&retry)), (status, true));
        assert_eq!(runs.get(), 1, "{status}");
    }
}

#[tokio::test]
async fn headers_come_back_byte_for_byte_without_those_of_the_moment() {
    let service = layer().layer(service_fn(|_: Request<Body>| async {
        let mut response = answer(201, "made")?;
        let headers = response.headers_mut();
        headers.append("link", HeaderValue::from_static("</a>"));
        headers.append("link", HeaderValue::from_static("</b>"));
        headers.insert("x-raw", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        headers.insert("set-cookie", HeaderValue::from_static("session=1"));
        headers.insert("date", HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        Ok::<_, Infallible>(response)
    }));
    let first = send(&service, post("k", "mug")).await;
    assert!(first.headers().contains_key("set-cookie"), "its own caller gets everything");
    let retry = send(&service, post("k", "mug")).await;
    let links: Vec<_> = retry.headers().get_all("link").iter().collect();
    assert_eq!(links, ["</a>", "</b>"]);
    assert_eq!(retry.headers()["x-raw"].as_bytes(), b"caf\xe9");
    assert!(!retry.headers().contains_key("set-cookie"));
    assert!(!retry.headers().contains_key("date"));
}

#[tokio::test]
async fn a_long_answer_and_a_stream_reach_their_caller_and_are_not_kept() {
    let whole = || Scripted::whole("longer than the cap");
    let stream = || Scripted::endless(3);
    for (made, long) in [(whole as fn() -> Scripted, true), (stream, false)] {
        let (runs, heard) = (Counter::default(), Heard::default());
        let cap = if long { 8 } else { 1_024 };
        let layer = layer().body_cap(cap).observe(heard.observer());
        let service = layer.layer(scripted(&runs, made));
        let response =
            service.clone().oneshot(scripted_post(Scripted::whole("mug"))).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, made().collect().await.unwrap().to_bytes());
        assert_not_retained(service, &runs).await;
        assert!(heard.all().contains(&IdempotencyEvent::NotRetained));
    }
}

#[tokio::test]
async fn an_answer_that_breaks_is_kept_without_its_body() {
    let runs = Counter::default();
    let service = layer().layer(scripted(&runs, || Scripted::broken("reser")));
    let first = service.clone().oneshot(scripted_post(Scripted::whole("mug"))).await.unwrap();
    assert_eq!(first.status(), 201, "the work was done");
    assert_eq!(first.headers()["content-type"], "application/problem+json");
    assert_not_retained(service, &runs).await;
}

async fn assert_not_retained<S>(service: S, runs: &Counter)
where
    S: Service<Request<Scripted>, Response = Response<Scripted>, Error = Infallible>,
{
    let retry = service.oneshot(scripted_post(Scripted::whole("mug"))).await.unwrap();
    let (parts, body) = retry.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let retry = Response::from_parts(parts, body);
    assert_eq!((retry.status().as_u16(), is_replay(&retry)), (201, true));
    assert_eq!(retry.headers()["location"], "/orders/1");
    assert_eq!(problem(&retry), problems::RESULT_NOT_RETAINED);
    assert_eq!(runs.get(), 1, "it never runs again because of that");
}

fn layer() -> IdempotencyLayer<MemoryStore> {
    IdempotencyLayer::new(MemoryStore::new()).dice(Dice::seeded(1))
}

fn answers(
    runs: &Counter,
    status: u16,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ use<> {
    let runs = runs.clone();
    service_fn(move |_: Request<Body>| {
        let run = runs.add();
        async move { answer(status, format!("run {run}")) }
    })
}

fn scripted(
    runs: &Counter,
    body: fn() -> Scripted,
) -> impl Service<Request<Scripted>, Response = Response<Scripted>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ use<> {
    let runs = runs.clone();
    service_fn(move |_: Request<Scripted>| {
        runs.add();
        async move {
            let mut response = Response::new(body());
            *response.status_mut() = StatusCode::CREATED;
            let location = HeaderValue::from_static("/orders/1");
            response.headers_mut().insert("location", location);
            Ok(response)
        }
    })
}

fn scripted_post(body: Scripted) -> Request<Scripted> {
    let (mut parts, _) = post("k", "").into_parts();
    parts.extensions.insert(Principal::new("shop"));
    Request::from_parts(parts, body)
}

/// A body that does as it is told.
struct Scripted {
    frames: Vec<Result<Bytes, &'static str>>,
    length: Option<u64>,
}

impl Scripted {
    fn whole(body: &'static str) -> Self {
        Self::from(Bytes::from(body))
    }

    fn broken(start: &'static str) -> Self {
        let frames = vec![Err("reset"), Ok(Bytes::from(start))];
        Self { frames, length: Some(9) }
    }

    /// Nobody knows how long it is.
    fn endless(frames: usize) -> Self {
        let frames = vec![Ok(Bytes::from_static(b"tick")); frames];
        Self { frames, length: None }
    }
}

impl From<Bytes> for Scripted {
    fn from(body: Bytes) -> Self {
        let length = Some(body.len() as u64);
        Self { frames: vec![Ok(body)], length }
    }
}

impl http_body::Body for Scripted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = self.frames.pop();
        Poll::Ready(frame.map(|frame| frame.map(Frame::data).map_err(BoxError::from)))
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
