//! Every quick start is as short as promised, and does on a real server what it says.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aplomb::core::EXPECTED_TIMEOUT;
use aplomb::telemetry::Metrics;
use aplomb_quickstarts::{axum_server, hyper_client, hyper_server, reqwest_client, tonic_client};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::service_fn;

const LINES_MAX: usize = 15;

#[test]
fn none_is_longer_than_fifteen_lines() {
    for (name, text) in [
        ("reqwest_client", include_str!("../src/reqwest_client.rs")),
        ("hyper_client", include_str!("../src/hyper_client.rs")),
        ("axum_server", include_str!("../src/axum_server.rs")),
        ("hyper_server", include_str!("../src/hyper_server.rs")),
        ("tonic_client", include_str!("../src/tonic_client/mod.rs")),
    ] {
        let imports = text.lines().filter(|line| line.starts_with("use ")).count();
        let (_, rest) = text.split_once("// quick start").expect(name);
        let (body, _) = rest.split_once("// end").expect(name);
        let lines = imports + body.lines().filter(|line| !line.trim().is_empty()).count();
        assert!(lines > imports && lines <= LINES_MAX, "{name} has {lines} lines");
    }
}

#[tokio::test]
async fn reqwest_gets_over_a_failure_and_counts_it() {
    let (address, asked) = stock([503]).await;
    let metrics = Metrics::register(&prometheus::Registry::new(), None).unwrap();
    let answer = reqwest_client::look(&format!("http://{address}/"), &metrics).await.unwrap();
    assert_eq!((&*answer, asked.load(Ordering::SeqCst)), ("5 mugs", 2));
    let page = metrics.encode().unwrap();
    let counted = r#"retry_attempts_total{dependency="stock",operation="look"} 1"#;
    assert!(page.contains(counted), "{page}");
}

#[tokio::test]
async fn reqwest_is_answered_by_its_fallback_when_the_stock_stays_away() {
    let (address, _) = stock([503; 8]).await;
    let metrics = Metrics::register(&prometheus::Registry::new(), None).unwrap();
    let answer = reqwest_client::look(&format!("http://{address}/"), &metrics).await.unwrap();
    assert_eq!(answer, "a few");
}

#[tokio::test]
async fn a_hyper_client_gets_over_a_failure() {
    let (address, asked) = stock([503]).await;
    let answer = hyper_client::look(&format!("http://{address}/")).await.unwrap();
    assert_eq!((&*answer, asked.load(Ordering::SeqCst)), (&b"5 mugs"[..], 2));
}

#[tokio::test]
async fn an_axum_server_runs_a_key_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, axum_server::app()).await });
    let client = reqwest::Client::new();
    let reserve = || {
        let request = client.post(format!("http://{address}/reservations"));
        request.header("idempotency-key", "order_1").send()
    };
    assert!(!reserve().await.unwrap().headers().contains_key("idempotent-replayed"));
    assert!(reserve().await.unwrap().headers().contains_key("idempotent-replayed"));
}

#[tokio::test]
async fn a_hyper_server_answers_and_turns_away_who_is_late() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(hyper_server::serve(listener));
    let client = reqwest::Client::new();
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "5 mugs");
    let late = client.get(&url).header(EXPECTED_TIMEOUT, "0").send().await.unwrap();
    assert_eq!(late.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn a_tonic_client_gets_over_a_failure() {
    let (address, asked) = grpc_stock().await;
    let channel = tonic::transport::Channel::from_shared(format!("http://{address}")).unwrap();
    let answer = tonic_client::look(channel.connect_lazy()).await.unwrap();
    assert_eq!((&*answer, asked.load(Ordering::SeqCst)), (&b"5 mugs"[..], 2));
}

/// A server that answers with these statuses and then with 200, and how often it was asked.
async fn stock(
    script: impl IntoIterator<Item = u16> + Send + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let script: Vec<u16> = script.into_iter().collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = move || {
        let status = script.get(counted.fetch_add(1, Ordering::SeqCst)).copied().unwrap_or(200);
        async move { (StatusCode::from_u16(status).unwrap(), "5 mugs") }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, asked)
}

/// A gRPC server that is unavailable once.
async fn grpc_stock() -> (SocketAddr, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let service = service_fn(move |request: Request<Incoming>| {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            request.into_body().collect().await.unwrap();
            let trailer = if first { "14" } else { "0" };
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", trailer.parse().unwrap());
            let answer = Response::builder().header("content-type", "application/grpc");
            if first {
                // Nothing but its end: the status stands in the head.
                let answer = answer.header("grpc-status", trailer);
                return Ok::<_, Infallible>(answer.body(Full::default().boxed()).unwrap());
            }
            let message = Frame::data(Bytes::from_static(b"\0\0\0\0\x065 mugs"));
            let frames = [Ok(message), Ok(Frame::trailers(trailers))];
            let body = StreamBody::new(futures_util::stream::iter(frames));
            Ok(answer.body(BodyExt::boxed(body)).unwrap())
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            let builder = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, asked)
}
