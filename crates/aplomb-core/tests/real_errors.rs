//! What real clients report when real sockets fail.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use aplomb_core::{BoxError, Call, Classify, FailureKind, HttpClassifier, transport};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::service_fn;

#[tokio::test]
async fn a_refused_connection_is_unsent() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    assert_eq!(seen_by_both(address).await, [FailureKind::Unsent; 2]);
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_unsent() {
    let resolver = service_fn(|_| async {
        Err::<std::iter::Empty<SocketAddr>, _>(io::Error::other("no such host"))
    });
    let client = Client::builder(TokioExecutor::new())
        .build::<_, Empty<Bytes>>(HttpConnector::new_with_resolver(resolver));
    let error = client.get("http://stock.invalid/".parse().unwrap()).await.unwrap_err();
    assert_eq!(kind(error), FailureKind::Unsent);
}

#[tokio::test]
async fn a_server_that_reads_and_hangs_up_may_have_acted() {
    let address = server(|mut stream| async move {
        read_head(&mut stream).await;
    });
    assert_eq!(seen_by_both(address.await).await, [FailureKind::Transient; 2]);
}

#[tokio::test]
async fn a_server_that_resets_may_have_acted() {
    let address = server(|mut stream| async move {
        read_head(&mut stream).await;
        stream.set_zero_linger().unwrap();
    });
    assert_eq!(seen_by_both(address.await).await, [FailureKind::Transient; 2]);
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_of_a_header_may_have_acted() {
    let address = server(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le").await.unwrap();
    });
    assert_eq!(seen_by_both(address.await).await, [FailureKind::Transient; 2]);
}

#[tokio::test]
async fn a_server_that_does_not_speak_http_never_will() {
    let address = server(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"220 mail.example ESMTP\r\n\r\n").await.unwrap();
        let _ = stream.read(&mut [0]).await;
    });
    assert_eq!(seen_by_both(address.await).await, [FailureKind::Permanent; 2]);
}

#[tokio::test]
async fn a_body_that_could_not_be_read_from_elsewhere_may_have_been_sent_in_part() {
    let address = server(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.read(&mut [0]).await;
    });
    let client = transport::hyper(TokioExecutor::new()).build_http();
    let relayed = Relayed(Some(Bytes::from("half")));
    let posted = Request::post(format!("http://{}/", address.await)).body(relayed).unwrap();
    assert_ne!(kind(client.request(posted).await.unwrap_err()), FailureKind::Unsent);
}

/// A body relayed from a server that goes away half-way through.
struct Relayed(Option<Bytes>);

impl http_body::Body for Relayed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<http_body::Frame<Bytes>>>> {
        let gone = || io::Error::from(io::ErrorKind::ConnectionRefused);
        Poll::Ready(Some(self.0.take().map(http_body::Frame::data).ok_or_else(gone)))
    }
}

#[tokio::test]
async fn reqwests_own_timeout_may_have_acted() {
    let address = server(|mut stream| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    });
    let client = reqwest::Client::builder().timeout(std::time::Duration::from_millis(50));
    let sent = client.build().unwrap().get(format!("http://{}/", address.await)).send();
    assert_eq!(kind(sent.await.unwrap_err()), FailureKind::Timeout);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_another_send() {
    let address = server(|mut stream| async move {
        read_head(&mut stream).await;
        let moved = b"HTTP/1.1 307 Moved\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(moved).await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "nothing else was sent");
    });
    let client = transport::reqwest().build().unwrap();
    let response = client.post(format!("http://{}/", address.await)).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.url().path()), (307, "/"));
}

async fn seen_by_both(address: SocketAddr) -> [FailureKind; 2] {
    let url = format!("http://{address}/");
    let hyper = transport::hyper(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let posted = Request::post(&url).body(Empty::new()).unwrap();
    let reqwest = transport::reqwest().build().unwrap();
    [
        kind(hyper.request(posted).await.unwrap_err()),
        kind(reqwest.post(&url).send().await.unwrap_err()),
    ]
}

fn kind(error: impl Into<BoxError>) -> FailureKind {
    let error = error.into();
    let result: Result<&Response<()>, _> = Err(&*error as &(dyn Error + 'static));
    let call = Call::of(&Method::POST, &HeaderMap::new());
    HttpClassifier.classify(call, result).failure().unwrap().kind
}

/// A server that does the same to every connection.
async fn server<F>(behave: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(behave(stream));
        }
    });
    address
}

async fn read_head(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(stream.read_u8().await.unwrap());
    }
}
