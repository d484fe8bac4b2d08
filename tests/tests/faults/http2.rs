//! HTTP/2, frame by frame: the server side is written by hand, so that it can say what no library
//! would.

use aplomb::core::FailureKind::{self, Permanent, Throttled, Transient, Unsent};
use http::Version;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clients::{Seen, seen_by_both};
use crate::server::Acted;

async fn both<F>(behave: fn(TcpStream, Acted) -> F) -> [Seen; 2]
where
    F: Future<Output = ()> + Send + 'static,
{
    seen_by_both(Version::HTTP_2, behave).await
}

/// The stream of a client's first request.
pub(crate) const FIRST: u32 = 1;
/// The error codes of RFC 9113, section 7.
pub(crate) mod code {
    pub(crate) const NO_ERROR: u32 = 0;
    pub(crate) const PROTOCOL_ERROR: u32 = 1;
    pub(crate) const INTERNAL_ERROR: u32 = 2;
    pub(crate) const REFUSED_STREAM: u32 = 7;
    pub(crate) const CANCEL: u32 = 8;
    pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;
    pub(crate) const HTTP_1_1_REQUIRED: u32 = 13;
}

#[tokio::test]
async fn a_stream_that_was_refused_is_unsent_and_its_connection_stale() {
    async fn refuses(stream: TcpStream, _: Acted) {
        let mut server = Frames::open(stream).await;
        while let Some(stream) = server.request().await {
            server.reset(stream, code::REFUSED_STREAM).await;
        }
    }
    for seen in both(refuses).await {
        assert_eq!((seen.kinds(), seen.acted), (vec![Unsent; 3], 0), "{seen:?}");
        assert!(seen.is_stale());
    }
}

#[tokio::test]
async fn a_goaway_below_our_stream_is_unsent_and_its_connection_stale() {
    async fn goes_away(stream: TcpStream, _: Acted) {
        let mut server = Frames::open(stream).await;
        server.request().await;
        server.go_away(0, code::NO_ERROR).await;
        server.linger().await;
    }
    for seen in both(goes_away).await {
        assert_eq!((seen.kinds(), seen.acted), (vec![Unsent; 3], 0), "{seen:?}");
        assert!(seen.is_stale());
    }
}

#[tokio::test]
async fn a_goaway_below_our_stream_is_unsent_whatever_its_reason() {
    async fn goes_away(stream: TcpStream, _: Acted) {
        let mut server = Frames::open(stream).await;
        server.request().await;
        server.go_away(0, code::ENHANCE_YOUR_CALM).await;
        server.close().await;
    }
    for seen in both(goes_away).await {
        assert_eq!((seen.kinds(), seen.acted), (vec![Unsent; 3], 0), "{seen:?}");
    }
}

#[tokio::test]
async fn a_goaway_that_spares_our_stream_lets_it_be_answered() {
    async fn goes_away(stream: TcpStream, acted: Acted) {
        let mut server = Frames::open(stream).await;
        server.request().await;
        server.go_away(FIRST, code::NO_ERROR).await;
        acted.once_more();
        server.answer(FIRST).await;
        server.linger().await;
    }
    for seen in both(goes_away).await {
        assert_eq!((seen.kinds(), seen.acted), (vec![], 1), "{seen:?}");
        assert_eq!(seen.end.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_goaway_that_spares_our_stream_and_then_a_close_may_have_acted() {
    async fn goes_away(stream: TcpStream, acted: Acted) {
        let mut server = Frames::open(stream).await;
        server.request().await;
        acted.once_more();
        server.go_away(FIRST, code::NO_ERROR).await;
        server.close().await;
    }
    for seen in both(goes_away).await {
        assert_eq!((seen.kinds(), seen.acted), (vec![Transient], 1), "{seen:?}");
    }
}

#[tokio::test]
async fn a_goaway_for_an_error_that_spares_our_stream_may_have_acted() {
    async fn goes_away(stream: TcpStream, acted: Acted) {
        let mut server = Frames::open(stream).await;
        server.request().await;
        acted.once_more();
        server.go_away(FIRST, code::INTERNAL_ERROR).await;
        server.close().await;
    }
    for seen in both(goes_away).await {
        assert_eq!((seen.kinds(), seen.acted), (vec![Transient], 1), "{seen:?}");
    }
}

#[tokio::test]
async fn a_reset_stream_means_what_its_code_says() {
    for (seen, kind) in [
        (both(resets::<{ code::INTERNAL_ERROR }>).await, Transient),
        (both(resets::<{ code::CANCEL }>).await, Transient),
        (both(resets::<{ code::NO_ERROR }>).await, Transient),
        (both(resets::<{ code::ENHANCE_YOUR_CALM }>).await, Throttled),
        (both(resets::<{ code::PROTOCOL_ERROR }>).await, Permanent),
        (both(resets::<{ code::HTTP_1_1_REQUIRED }>).await, Permanent),
    ] {
        for seen in seen {
            assert_eq!((seen.kinds(), seen.acted), (vec![kind], 1), "{seen:?}");
        }
    }
}

async fn resets<const CODE: u32>(stream: TcpStream, acted: Acted) {
    let mut server = Frames::open(stream).await;
    let Some(stream) = server.request().await else { return };
    acted.once_more();
    server.reset(stream, CODE).await;
    server.linger().await;
}

#[tokio::test]
async fn a_server_that_closes_its_half_and_reads_on_may_have_acted() {
    async fn closes(stream: TcpStream, acted: Acted) {
        let mut server = Frames::open(stream).await;
        server.request().await;
        acted.once_more();
        server.close().await;
    }
    for seen in both(closes).await {
        assert_eq!((seen.kinds(), seen.acted), (vec![Transient], 1), "{seen:?}");
    }
}

#[tokio::test]
async fn a_connection_that_is_reset_may_have_acted() {
    async fn resets(stream: TcpStream, acted: Acted) {
        let mut server = Frames::open(stream).await;
        server.request().await;
        acted.once_more();
        server.stream.set_zero_linger().unwrap();
    }
    for seen in both(resets).await {
        assert_eq!((seen.kinds(), seen.acted), (vec![Transient], 1), "{seen:?}");
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_in_the_middle_of_a_body_answered_and_then_broke_off() {
    async fn resets(stream: TcpStream, acted: Acted) {
        let mut server = Frames::open(stream).await;
        server.request().await;
        acted.once_more();
        server.answer_in_part(FIRST).await;
        server.reset(FIRST, code::INTERNAL_ERROR).await;
        server.linger().await;
    }
    for seen in both(resets).await {
        broke_off(&seen, Transient);
    }
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_of_a_body_answered_and_then_broke_off() {
    async fn dies(stream: TcpStream, acted: Acted) {
        let mut server = Frames::open(stream).await;
        server.request().await;
        acted.once_more();
        server.answer_in_part(FIRST).await;
        server.close().await;
    }
    for seen in both(dies).await {
        broke_off(&seen, Transient);
    }
}

#[tokio::test]
async fn a_server_that_speaks_http1_never_will() {
    async fn speaks_text(mut stream: TcpStream, _: Acted) {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        while stream.read_u8().await.is_ok() {}
    }
    for seen in both(speaks_text).await {
        assert_eq!((seen.kinds(), seen.acted), (vec![Permanent], 0), "{seen:?}");
    }
}

fn broke_off(seen: &Seen, kind: FailureKind) {
    let answer = seen.end.as_ref().unwrap();
    assert_eq!((answer.status, &answer.body), (200, &Err(kind)), "{seen:?}");
    assert_eq!((seen.kinds(), seen.acted), (vec![], 1));
}

/// The server's end of a connection.
pub(crate) struct Frames<S = TcpStream> {
    stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// Takes a client's preface and says hello.
    pub(crate) async fn open(mut stream: S) -> Self {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        let mut server = Self { stream };
        server.send(SETTINGS, 0, 0, &[]).await;
        server
    }

    /// Reads on until a whole request was sent, and answers with its stream.
    pub(crate) async fn request(&mut self) -> Option<u32> {
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let [_, a, b, kind, flags, ref stream @ ..] = head;
            let mut payload = vec![0; usize::from(u16::from_be_bytes([a, b]))];
            self.stream.read_exact(&mut payload).await.ok()?;
            if kind == SETTINGS && flags & ACK == 0 {
                self.send(SETTINGS, ACK, 0, &[]).await;
            }
            if (kind == HEADERS || kind == DATA) && flags & END_STREAM != 0 {
                return Some(u32::from_be_bytes(*stream));
            }
        }
    }

    pub(crate) async fn reset(&mut self, stream: u32, code: u32) {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes()).await;
    }

    async fn go_away(&mut self, last: u32, code: u32) {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload).await;
    }

    pub(crate) async fn answer(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, STATUS_200).await;
    }

    async fn answer_in_part(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS, stream, STATUS_200).await;
        self.send(DATA, 0, stream, b"half").await;
    }

    /// Says that nothing more comes. What is unread would turn that into a reset.
    async fn close(&mut self) {
        let _ = self.stream.shutdown().await;
        self.linger().await;
    }

    /// Stays until the client has gone.
    pub(crate) async fn linger(&mut self) {
        while self.stream.read_u8().await.is_ok() {}
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u8::try_from(payload.len()).unwrap();
        let head = [&[0, 0, length, kind, flags][..], &stream.to_be_bytes()].concat();
        // A client that has gone hears nothing.
        let _ = self.stream.write_all(&[&head, payload].concat()).await;
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200`, by its place in HPACK's static table.
const STATUS_200: &[u8] = &[0x88];
