//! TLS, with certificates that the test makes.
//!
//! reqwest and hyper-rustls share one connector, so that a fault of TLS has one shape; it is seen
//! here through hyper-util's client.

use std::sync::Arc;

use aplomb::core::FailureKind::{Permanent, Transient, Unsent};
use bytes::Bytes;
use http::Version;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use rcgen::{CertificateParams, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use crate::clients::{Seen, by_hyper, hyper};
use crate::http1;
use crate::http2::{FIRST, Frames, code};
use crate::server::{Acted, Server};
use crate::trust::{Trust, good};

#[tokio::test]
async fn a_server_whose_certificate_is_good_is_spoken_to() {
    let seen = seen(&Trust::new(), good(), answers).await;
    assert_eq!((seen.kinds(), seen.acted), (vec![], 1), "{seen:?}");
    assert_eq!(seen.end.unwrap().body, Ok("42".into()));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_never_will_be_good() {
    let stranger = Trust::new();
    let seen =
        seen_at(&Trust::new(), Server::start(tls(stranger.server(&good()), answers)).await).await;
    assert_eq!((seen.kinds(), seen.acted), (vec![Permanent], 0), "{seen:?}");
}

#[tokio::test]
async fn a_certificate_that_is_out_of_date_is_permanent() {
    let mut expired = good();
    (expired.not_before, expired.not_after) =
        (date_time_ymd(1999, 1, 1), date_time_ymd(2000, 1, 1));
    let seen = seen(&Trust::new(), expired, answers).await;
    assert_eq!((seen.kinds(), seen.acted), (vec![Permanent], 0), "{seen:?}");
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_permanent() {
    let elsewhere = CertificateParams::new(["elsewhere.test".to_owned()]).unwrap();
    let seen = seen(&Trust::new(), elsewhere, answers).await;
    assert_eq!((seen.kinds(), seen.acted), (vec![Permanent], 0), "{seen:?}");
}

#[tokio::test]
async fn two_that_have_no_protocol_in_common_never_will_have_one() {
    let trust = Trust::new();
    let mut server = trust.server(&good());
    server.alpn_protocols = vec![b"smtp".to_vec()];
    let seen = seen_at(&trust, Server::start(tls(server, answers)).await).await;
    assert_eq!((seen.kinds(), seen.acted), (vec![Permanent], 0), "{seen:?}");
}

#[tokio::test]
async fn a_port_that_does_not_speak_tls_never_will() {
    async fn speaks_plain(mut stream: TcpStream, _: Acted) {
        let _ = stream.read(&mut [0; 2048]).await;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    }
    let seen = seen_at(&Trust::new(), Server::start(speaks_plain).await).await;
    assert_eq!((seen.kinds(), seen.acted), (vec![Permanent], 0), "{seen:?}");
}

#[tokio::test]
async fn a_handshake_that_is_cut_off_sent_nothing() {
    async fn cuts(mut stream: TcpStream, _: Acted) {
        let _ = stream.read(&mut [0; 2048]).await;
    }
    async fn resets(mut stream: TcpStream, _: Acted) {
        let _ = stream.read(&mut [0; 2048]).await;
        stream.set_zero_linger().unwrap();
    }
    for server in [Server::start(cuts).await, Server::start(resets).await] {
        let seen = seen_at(&Trust::new(), server).await;
        assert_eq!((seen.kinds(), seen.acted), (vec![Unsent; 3], 0), "{seen:?}");
        assert!(!seen.is_stale(), "a connection that never stood costs a retry");
    }
}

#[tokio::test]
async fn a_close_without_goodbye_after_the_request_was_read_may_have_acted() {
    async fn closes(mut stream: TlsStream<TcpStream>, acted: Acted) {
        act(&mut stream, &acted).await;
    }
    let seen = seen(&Trust::new(), good(), closes).await;
    assert_eq!((seen.kinds(), seen.acted), (vec![Transient], 1), "{seen:?}");
}

#[tokio::test]
async fn a_reset_after_the_request_was_read_may_have_acted() {
    async fn resets(mut stream: TlsStream<TcpStream>, acted: Acted) {
        act(&mut stream, &acted).await;
        stream.get_ref().0.set_zero_linger().unwrap();
    }
    let seen = seen(&Trust::new(), good(), resets).await;
    assert_eq!((seen.kinds(), seen.acted), (vec![Transient], 1), "{seen:?}");
}

#[tokio::test]
async fn a_body_that_ends_without_goodbye_was_cut_off() {
    async fn cuts(mut stream: TlsStream<TcpStream>, acted: Acted) {
        act(&mut stream, &acted).await;
        // Its length is unknown, so that only the goodbye tells its end from a cut.
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhalf").await.unwrap();
        stream.flush().await.unwrap();
    }
    http1::broke_off(&seen(&Trust::new(), good(), cuts).await);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_permanent() {
    async fn garbles(mut stream: TlsStream<TcpStream>, acted: Acted) {
        act(&mut stream, &acted).await;
        let (plain, _) = stream.get_mut();
        plain.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        while plain.read_u8().await.is_ok() {}
    }
    let seen = seen(&Trust::new(), good(), garbles).await;
    assert_eq!((seen.kinds(), seen.acted), (vec![Permanent], 1), "{seen:?}");
}

#[tokio::test]
async fn http2_under_tls_is_answered() {
    async fn answers(stream: TlsStream<TcpStream>, acted: Acted) {
        let mut server = Frames::open(stream).await;
        server.request().await;
        acted.once_more();
        server.answer(FIRST).await;
        server.linger().await;
    }
    let seen = seen_over_http2(answers).await;
    assert_eq!((seen.kinds(), seen.acted), (vec![], 1), "{seen:?}");
    assert_eq!(seen.end.unwrap().status, 200);
}

#[tokio::test]
async fn a_stream_that_was_refused_under_tls_is_unsent_and_its_connection_stale() {
    async fn refuses(stream: TlsStream<TcpStream>, _: Acted) {
        let mut server = Frames::open(stream).await;
        while let Some(stream) = server.request().await {
            server.reset(stream, code::REFUSED_STREAM).await;
        }
    }
    let seen = seen_over_http2(refuses).await;
    assert_eq!((seen.kinds(), seen.acted), (vec![Unsent; 3], 0), "{seen:?}");
    assert!(seen.is_stale());
}

#[tokio::test]
async fn a_close_without_goodbye_of_http2_may_have_acted() {
    async fn closes(stream: TlsStream<TcpStream>, acted: Acted) {
        let mut server = Frames::open(stream).await;
        server.request().await;
        acted.once_more();
    }
    let seen = seen_over_http2(closes).await;
    assert_eq!((seen.kinds(), seen.acted), (vec![Transient], 1), "{seen:?}");
}

async fn answers(mut stream: TlsStream<TcpStream>, acted: Acted) {
    act(&mut stream, &acted).await;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n42").await.unwrap();
    stream.shutdown().await.unwrap();
}

async fn act(stream: &mut TlsStream<TcpStream>, acted: &Acted) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\na mug") {
        seen.push(stream.read_u8().await.unwrap());
    }
    acted.once_more();
}

/// What becomes of a POST to a server with this certificate, for a client that trusts its issuer.
async fn seen<F>(
    trust: &Trust,
    certificate: CertificateParams,
    behave: fn(TlsStream<TcpStream>, Acted) -> F,
) -> Seen
where
    F: Future<Output = ()> + Send + 'static,
{
    seen_at(trust, Server::start(tls(trust.server(&certificate), behave)).await).await
}

/// The same over HTTP/2, on which the two agree in their handshake.
async fn seen_over_http2<F>(behave: fn(TlsStream<TcpStream>, Acted) -> F) -> Seen
where
    F: Future<Output = ()> + Send + 'static,
{
    let trust = Trust::new();
    let mut server = trust.server(&good());
    server.alpn_protocols = vec![b"h2".to_vec()];
    seen_at(&trust, Server::start(tls(server, behave)).await).await
}

async fn seen_at(trust: &Trust, server: Server) -> Seen {
    let url = format!("https://{}/", server.address);
    by_hyper(client(trust), &url, &server.acted).await
}

/// Goes on where the handshake ends well.
fn tls<F>(
    config: ServerConfig,
    behave: fn(TlsStream<TcpStream>, Acted) -> F,
) -> impl Fn(TcpStream, Acted) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + 'static
where
    F: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(Arc::new(config));
    move |stream, acted| {
        let accepted = acceptor.accept(stream);
        Box::pin(async move {
            if let Ok(stream) = accepted.await {
                behave(stream, acted).await;
            }
        })
    }
}

fn client(trust: &Trust) -> Client<HttpsConnector<HttpConnector>, Full<Bytes>> {
    let connector = HttpsConnectorBuilder::new().with_tls_config(trust.client()).https_only();
    hyper(Version::HTTP_11).build(connector.enable_http1().enable_http2().build())
}
