//! A response that nobody wants is read to its end, so that its connection serves the next attempt.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_backoff::Backoff;
use aplomb_core::{owner, transport};
use bytes::Bytes;
use common::layer;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tower::{Layer, ServiceExt};

const CALLS: usize = 60;

/// Longer than what arrives with the head: that much hyper reads itself when a response is dropped.
const LONG: usize = 40_000;

#[tokio::test]
async fn sixty_rejected_calls_of_a_hyper_client_need_two_connections() {
    let server = Server::that_rejects(|| Full::from(vec![b'x'; LONG]).boxed()).await;
    let client = retrying().layer(transport::hyper(TokioExecutor::new()).build_http());
    for _ in 0..CALLS {
        let response = client.clone().oneshot(server.get()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.unwrap();
    }
    assert_eq!(server.requests(), 2 * CALLS);
    assert!(server.connections() <= 2, "{} connections", server.connections());
}

#[tokio::test]
async fn sixty_rejected_calls_of_reqwest_need_two_connections() {
    let server = Server::that_rejects(|| Full::from(vec![b'x'; LONG]).boxed()).await;
    let client = retrying().layer(transport::reqwest().build().unwrap());
    for _ in 0..CALLS {
        let request = reqwest::Request::new(Method::GET, server.url().parse().unwrap());
        let response = client.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.bytes().await.unwrap();
    }
    assert_eq!(server.requests(), 2 * CALLS);
    assert!(server.connections() <= 2, "{} connections", server.connections());
}

#[tokio::test]
async fn a_rejection_without_end_is_dropped_with_its_connection() {
    let dropped = Arc::new(Notify::new());
    let told = Arc::clone(&dropped);
    let server = Server::that_rejects(move || Endless::telling(&told, usize::MAX).boxed()).await;
    let client = retrying().layer(transport::hyper(TokioExecutor::new()).build_http());
    let response = client.oneshot(server.get()).await.unwrap();
    // The server could not send on: its connection was closed.
    dropped.notified().await;
    assert_eq!((response.status(), server.connections()), (StatusCode::OK, 2));
}

#[tokio::test]
async fn a_rejection_that_does_not_go_on_is_not_waited_for() {
    let dropped = Arc::new(Notify::new());
    let told = Arc::clone(&dropped);
    let server = Server::that_rejects(move || Endless::telling(&told, 1).boxed()).await;
    let client = retrying().layer(transport::hyper(TokioExecutor::new()).build_http());
    let response = client.oneshot(server.get()).await.unwrap();
    dropped.notified().await;
    assert_eq!((response.status(), server.connections()), (StatusCode::OK, 2));
}

fn retrying() -> aplomb_retry::RetryLayer {
    let wait = Duration::from_millis(25);
    layer().backoff(Backoff::exponential(wait, wait))
}

/// A server that rejects each call once.
struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

type Body = BoxBody<Bytes, Infallible>;

impl Server {
    async fn that_rejects(with: impl Fn() -> Body + Clone + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::<Seen>::default());
        let counts = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counts.connections.fetch_add(1, Ordering::Relaxed);
                let (with, counts) = (with.clone(), Arc::clone(&counts));
                let service = service_fn(move |request: Request<Incoming>| {
                    counts.requests.fetch_add(1, Ordering::Relaxed);
                    let is_first = !request.headers().contains_key(owner::ATTEMPT_COUNT);
                    let (status, body) =
                        if is_first { (503, with()) } else { (200, Full::from("ok").boxed()) };
                    async move { Response::builder().status(status).body(body) }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, seen }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    fn get(&self) -> Request<Empty<Bytes>> {
        Request::get(self.url()).body(Empty::new()).unwrap()
    }

    fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::Relaxed)
    }
}

/// A body that never ends, and tells when it is dropped.
struct Endless {
    frames: usize,
    dropped: Arc<Notify>,
}

impl Endless {
    fn telling(dropped: &Arc<Notify>, frames: usize) -> Self {
        Self { frames, dropped: Arc::clone(dropped) }
    }
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(left) = self.frames.checked_sub(1) else { return Poll::Pending };
        self.frames = left;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 16 * 1024])))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.dropped.notify_one();
    }
}
