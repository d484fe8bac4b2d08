//! What an HTTP/2 client reports when its connection goes away.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::error::Error;

use aplomb_core::{Call, Classify, Failure, FailureKind, HttpClassifier};
use http::{HeaderMap, Method, Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream};

#[tokio::test]
async fn goaway_tells_what_was_never_looked_at_from_what_may_have_been() {
    let (near, mut far) = tokio::io::duplex(16 * 1024);
    let client = tokio::spawn(two_posts(near));
    far.write_all(SETTINGS).await.unwrap();
    for _ in 0..2 {
        while frame_kind(&mut far).await != HEADERS {}
    }
    far.write_all(GOAWAY_AFTER_STREAM_1).await.unwrap();
    drop(far);
    let [looked_at, not_looked_at] = client.await.unwrap();
    assert_eq!(looked_at, Failure::new(FailureKind::Transient), "the connection broke");
    assert_eq!(not_looked_at, Failure::stale());
}

/// Sends two requests on one connection and tells how each of them failed.
async fn two_posts(connection: DuplexStream) -> [Failure; 2] {
    let (mut client, connection) = h2::client::handshake(connection).await.unwrap();
    tokio::spawn(connection);
    let mut answers = Vec::new();
    for _ in 0..2 {
        let request = Request::post("http://stock/").body(()).unwrap();
        client = client.ready().await.unwrap();
        answers.push(client.send_request(request, true).unwrap().0);
    }
    let second = failure(&answers.pop().unwrap().await.unwrap_err());
    [failure(&answers.pop().unwrap().await.unwrap_err()), second]
}

fn failure(error: &h2::Error) -> Failure {
    let result: Result<&Response<()>, _> = Err(error as &(dyn Error + 'static));
    let call = Call::of(&Method::POST, &HeaderMap::new());
    HttpClassifier.classify(call, result).failure().unwrap()
}

/// Reads one frame, the client's preface before the first, and answers with its type.
async fn frame_kind(stream: &mut (impl AsyncRead + Unpin)) -> u8 {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    if &head[..3] == b"PRI" {
        stream.read_exact(&mut [0; 24 - 9]).await.unwrap();
        stream.read_exact(&mut head).await.unwrap();
    }
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await.unwrap();
    head[3]
}

/// The type of a frame that begins a request (RFC 9113, section 6.2).
const HEADERS: u8 = 1;
/// Settings that set nothing.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// No error; the last stream that was looked at is the first one.
const GOAWAY_AFTER_STREAM_1: &[u8] =
    &[0, 0, 8, 7, 0, 0, 0, 0, 0, /* last stream */ 0, 0, 0, 1, /* no error */ 0, 0, 0, 0];
