//! A body that is a stream arrives whole at every attempt, or at one.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use aplomb_core::{BoxError, NotRetried, Reason, Replay, Replayable, transport};
use bytes::Bytes;
use common::layer;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tower::{Layer, Service, ServiceExt};

#[tokio::test]
async fn what_a_hyper_client_uploads_outlives_an_early_rejection() {
    uploads(|url, upload| Request::put(url).body(BoxBody::new(upload)).unwrap(), hyper()).await;
    uploads(|url, upload| Request::put(url).body(Replayable::new(upload)).unwrap(), hyper()).await;
    uploads(|url, upload| Request::put(url).body(axum::body::Body::new(upload)).unwrap(), hyper())
        .await;
}

#[tokio::test]
async fn what_reqwest_uploads_outlives_an_early_rejection() {
    let request = |url: String, upload: Upload| {
        let mut request = reqwest::Request::new(Method::PUT, url.parse().unwrap());
        *request.body_mut() = Some(reqwest::Body::wrap(upload));
        request
    };
    uploads(request, transport::reqwest().build().unwrap()).await;
}

/// The first answer comes when a third was read and the rest is not even there; it is there once
/// the second attempt has arrived.
async fn uploads<Req, S>(request: impl FnOnce(String, Upload) -> Req, client: S)
where
    Req: Replay + Send + 'static,
    Req::Kept: Send,
    S: Service<Req, Error: Into<BoxError>> + Clone + Send + 'static,
    S::Response: aplomb_core::Answer<Rest: Body + Send> + Send + 'static,
    S::Future: Send,
{
    let server = Server::that_rejects(First::BeforeTheEnd).await;
    let (feed, upload) = upload(None);
    for _ in 0..5 {
        feed.send(Ok(Frame::data(chunk()))).unwrap();
    }
    let call = tokio::spawn(layer().layer(client).oneshot(request(server.url(), upload)));
    server.arrived.notified().await;
    for _ in 0..10 {
        feed.send(Ok(Frame::data(chunk()))).unwrap();
    }
    drop(feed);
    let response = call.await.unwrap().unwrap();
    assert_eq!(aplomb_core::Answer::status(&response), StatusCode::OK);
    assert_eq!(server.bodies(), [vec![b'x'; 15 * CHUNK]]);
}

#[tokio::test]
async fn an_upload_over_the_cap_is_sent_once() {
    let server = Server::that_rejects(First::AtTheEnd).await;
    let (feed, upload) = upload(None);
    for _ in 0..17 {
        feed.send(Ok(Frame::data(chunk()))).unwrap();
    }
    drop(feed);
    let request = Request::put(server.url()).body(BoxBody::new(upload)).unwrap();
    let response = layer().layer(hyper()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.extensions().get::<NotRetried>().unwrap().reason, Reason::Body);
    assert_eq!(server.bodies(), [vec![b'x'; 17 * CHUNK]]);
}

#[tokio::test]
async fn every_attempt_is_framed_alike() {
    for exact in [None, Some(2 * CHUNK as u64)] {
        let server = Server::that_rejects(First::AtTheEnd).await;
        let (feed, upload) = upload(exact);
        feed.send(Ok(Frame::data(chunk()))).unwrap();
        feed.send(Ok(Frame::data(chunk()))).unwrap();
        drop(feed);
        let request = Request::put(server.url()).body(BoxBody::new(upload)).unwrap();
        layer().layer(hyper()).oneshot(request).await.unwrap();
        assert_eq!(server.bodies(), [vec![b'x'; 2 * CHUNK], vec![b'x'; 2 * CHUNK]]);
        for headers in server.heads() {
            let length = headers.get("content-length").map(|length| length.to_str().unwrap());
            assert_eq!(length, exact.map(|_| "8192"));
            assert_eq!(headers.contains_key("transfer-encoding"), exact.is_none());
        }
    }
}

#[tokio::test]
async fn every_attempt_has_its_trailers() {
    for is_http2 in [false, true] {
        let server = Server::that_speaks(First::AtTheEnd, is_http2).await;
        let (feed, upload) = upload(None);
        feed.send(Ok(Frame::data(chunk()))).unwrap();
        let trailers = HeaderMap::from_iter([("sum".parse().unwrap(), "7".parse().unwrap())]);
        feed.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
        drop(feed);
        let request = Request::put(server.url()).header("trailer", "sum");
        let mut builder = transport::hyper(TokioExecutor::new());
        let client = layer().layer(builder.http2_only(is_http2).build_http());
        client.oneshot(request.body(BoxBody::new(upload)).unwrap()).await.unwrap();
        assert_eq!(server.trailers(), [Some(trailers.clone()), Some(trailers)]);
    }
}

#[tokio::test]
async fn a_body_that_fails_is_not_sent_again() {
    // What looks like a reset of the connection is the body's own, and no fault of the server.
    let reset = io::Error::from(io::ErrorKind::ConnectionReset);
    for ours in [BoxError::from("the disk is gone"), reset.into()] {
        let server = Server::that_rejects(First::AtTheEnd).await;
        let (feed, upload) = upload(None);
        feed.send(Ok(Frame::data(chunk()))).unwrap();
        feed.send(Err(ours)).unwrap();
        let request = Request::put(server.url()).body(BoxBody::new(upload)).unwrap();
        let error = layer().layer(hyper()).oneshot(request).await.unwrap_err();
        let why = aplomb_core::cause::<NotRetried>(&*error).unwrap();
        assert_eq!((why.reason, server.bodies().len()), (Reason::Permanent, 0));
    }
}

fn hyper<B>()
-> hyper_util::client::legacy::Client<hyper_util::client::legacy::connect::HttpConnector, B>
where
    B: Body<Data: Send> + Send,
{
    transport::hyper(TokioExecutor::new()).build_http()
}

/// A body that is fed by the test.
struct Upload {
    frames: mpsc::UnboundedReceiver<Result<Frame<Bytes>, BoxError>>,
    left: Option<u64>,
}

type Feed = mpsc::UnboundedSender<Result<Frame<Bytes>, BoxError>>;

fn upload(left: Option<u64>) -> (Feed, Upload) {
    let (feed, frames) = mpsc::unbounded_channel();
    (feed, Upload { frames, left })
}

const CHUNK: usize = 4096;

fn chunk() -> Bytes {
    Bytes::from_static(&[b'x'; CHUNK])
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = self.frames.poll_recv(cx);
        if let (Poll::Ready(Some(Ok(frame))), Some(left)) = (&polled, &mut self.left) {
            *left -= frame.data_ref().map_or(0, Bytes::len) as u64;
        }
        polled
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or(SizeHint::new(), SizeHint::with_exact)
    }
}

/// When the first request is rejected.
#[derive(Clone, Copy, PartialEq)]
enum First {
    /// While its body is on the way, and its connection is neither read on nor closed.
    BeforeTheEnd,
    AtTheEnd,
}

/// A server that rejects the first request.
struct Server {
    address: SocketAddr,
    arrived: Arc<Notify>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request that arrived whole.
#[derive(Clone)]
struct Seen {
    head: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

impl Server {
    async fn that_rejects(first: First) -> Self {
        Self::that_speaks(first, false).await
    }

    async fn that_speaks(first: First, is_http2: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived, seen) = (Arc::new(Notify::new()), Arc::default());
        let server = Self { address, arrived: Arc::clone(&arrived), seen: Arc::clone(&seen) };
        tokio::spawn(async move {
            let mut held = None;
            if first == First::BeforeTheEnd {
                held = Some(reject_early(listener.accept().await.unwrap().0).await);
            }
            loop {
                let stream = TokioIo::new(listener.accept().await.unwrap().0);
                let (arrived, seen, is_held) = (arrived.clone(), seen.clone(), held.is_some());
                let service = service_fn(move |request| {
                    arrived.notify_one();
                    answer(request, seen.clone(), is_held)
                });
                if is_http2 {
                    let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    tokio::spawn(http2.serve_connection(stream, service));
                } else {
                    let http1 = hyper::server::conn::http1::Builder::new();
                    tokio::spawn(http1.serve_connection(stream, service));
                }
            }
        });
        server
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    fn bodies(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().iter().map(|seen| seen.body.clone()).collect()
    }

    fn heads(&self) -> Vec<HeaderMap> {
        self.seen.lock().unwrap().iter().map(|seen| seen.head.clone()).collect()
    }

    fn trailers(&self) -> Vec<Option<HeaderMap>> {
        self.seen.lock().unwrap().iter().map(|seen| seen.trailers.clone()).collect()
    }
}

/// Answers when the beginning of the body is there.
async fn reject_early(mut stream: TcpStream) -> TcpStream {
    let (mut read, mut buffer) = (0, [0; 1024]);
    while read < CHUNK {
        read += stream.read(&mut buffer).await.unwrap();
    }
    stream
        .write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    stream
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<Seen>>>,
    is_second: bool,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    // A request that does not arrive whole has no answer.
    let Ok(body) = body.collect().await else { std::future::pending().await };
    let trailers = body.trailers().cloned();
    let mut seen = seen.lock().unwrap();
    let is_first = seen.is_empty() && !is_second;
    seen.push(Seen { head: head.headers, body: body.to_bytes().into(), trailers });
    let status = if is_first { 503 } else { 200 };
    Ok(Response::builder().status(status).body(Full::default()).unwrap())
}
