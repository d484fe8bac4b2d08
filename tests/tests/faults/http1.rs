//! HTTP/1.1.

use aplomb::core::FailureKind::{Permanent, Transient, Unsent};
use http::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clients::{Seen, seen_by_both};
use crate::server::Acted;

/// Reads a whole request, and acts on it; nothing when the client has gone.
pub(crate) async fn act(stream: &mut TcpStream, acted: &Acted) -> Option<()> {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\na mug") {
        seen.push(stream.read_u8().await.ok()?);
    }
    acted.once_more();
    Some(())
}

async fn both<F>(behave: fn(TcpStream, Acted) -> F) -> [Seen; 2]
where
    F: Future<Output = ()> + Send + 'static,
{
    seen_by_both(Version::HTTP_11, behave).await
}

#[tokio::test]
async fn a_reset_after_the_request_was_read_may_have_acted() {
    async fn resets(mut stream: TcpStream, acted: Acted) {
        act(&mut stream, &acted).await;
        stream.set_zero_linger().unwrap();
    }
    for seen in both(resets).await {
        assert_eq!((seen.kinds(), seen.acted), (vec![Transient], 1), "{seen:?}");
    }
}

#[tokio::test]
async fn a_close_after_the_request_was_read_may_have_acted() {
    async fn closes(mut stream: TcpStream, acted: Acted) {
        act(&mut stream, &acted).await;
    }
    for seen in both(closes).await {
        assert_eq!((seen.kinds(), seen.acted), (vec![Transient], 1), "{seen:?}");
    }
}

#[tokio::test]
async fn a_server_that_closes_its_half_and_reads_on_may_have_acted() {
    async fn half_closes(mut stream: TcpStream, acted: Acted) {
        act(&mut stream, &acted).await;
        stream.shutdown().await.unwrap();
        while stream.read_u8().await.is_ok() {}
    }
    for seen in both(half_closes).await {
        assert_eq!((seen.kinds(), seen.acted), (vec![Transient], 1), "{seen:?}");
    }
}

#[tokio::test]
async fn a_reset_before_anything_was_read_is_unsent_only_if_nothing_was_written() {
    async fn resets(stream: TcpStream, _: Acted) {
        stream.set_zero_linger().unwrap();
    }
    for seen in both(resets).await {
        // hyper says which of the two it was: what it had begun to write is not sent again.
        let (last, before) = seen.failures.split_last().unwrap();
        assert!(before.iter().all(|failure| failure.kind == Unsent), "{seen:?}");
        assert!([Unsent, Transient].contains(&last.kind) && seen.acted == 0, "{seen:?}");
    }
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_of_a_header_may_have_acted() {
    async fn dies(mut stream: TcpStream, acted: Acted) {
        act(&mut stream, &acted).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le").await.unwrap();
    }
    for seen in both(dies).await {
        assert_eq!((seen.kinds(), seen.acted), (vec![Transient], 1), "{seen:?}");
    }
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_of_a_body_answered_and_then_broke_off() {
    async fn dies(mut stream: TcpStream, acted: Acted) {
        act(&mut stream, &acted).await;
        let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
        stream.write_all(half).await.unwrap();
    }
    for seen in both(dies).await {
        broke_off(&seen);
    }
}

#[tokio::test]
async fn a_server_that_dies_between_chunks_answered_and_then_broke_off() {
    async fn dies(mut stream: TcpStream, acted: Acted) {
        act(&mut stream, &acted).await;
        let half = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
        stream.write_all(half).await.unwrap();
    }
    for seen in both(dies).await {
        broke_off(&seen);
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_http_never_will() {
    async fn greets(mut stream: TcpStream, acted: Acted) {
        act(&mut stream, &acted).await;
        stream.write_all(b"220 mail.example ESMTP\r\n\r\n").await.unwrap();
    }
    for seen in both(greets).await {
        assert_eq!((seen.kinds(), seen.acted), (vec![Permanent], 1), "{seen:?}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_http2_unasked_never_will() {
    async fn speaks_frames(mut stream: TcpStream, acted: Acted) {
        act(&mut stream, &acted).await;
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    }
    for seen in both(speaks_frames).await {
        assert_eq!((seen.kinds(), seen.acted), (vec![Permanent], 1), "{seen:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_an_answer_though_the_connection_closes_behind_it() {
    async fn refuses(mut stream: TcpStream, acted: Acted) {
        act(&mut stream, &acted).await;
        let no = b"HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(no).await.unwrap();
    }
    for seen in both(refuses).await {
        assert_eq!((seen.kinds(), seen.acted), (vec![Transient], 1), "{seen:?}");
        assert_eq!(seen.end.unwrap().status, 503);
    }
}

/// An answer votes by its head; that its body breaks off is for whoever reads it, and nothing is
/// sent again.
pub(crate) fn broke_off(seen: &Seen) {
    let answer = seen.end.as_ref().unwrap();
    assert_eq!((answer.status, &answer.body), (200, &Err(Transient)), "{seen:?}");
    assert_eq!((seen.kinds(), seen.acted), (vec![], 1));
}
