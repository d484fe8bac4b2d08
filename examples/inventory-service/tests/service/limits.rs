//! The accept loop's bounds.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::sockets::{running, turn};
use crate::support::{Ask, Line, Service, exchange, problem};

#[tokio::test]
async fn readiness_ends_with_the_order_to_stop_while_connections_are_still_taken() {
    let service = Service::limited(|limits| limits.notice = Duration::from_secs(60)).await;
    let server = service.listen().await;
    let ready = server.send(Ask::get("/readyz")).await.unwrap();
    assert_eq!(ready.status, 200);
    server.stop.send(()).unwrap();
    let stopping = loop {
        let answer = exchange(server.address, Ask::get("/readyz")).await.unwrap();
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!(stopping.problem(), problem(503, "stopping"));
    server.serving.abort();
}

#[tokio::test]
async fn a_connection_over_the_cap_waits_for_another_to_close() {
    let server = Service::limited(|limits| limits.connections = 1).await;
    let server = server.listen().await;
    let mut first = Line::open(server.address).await;
    first.send(Ask::get("/healthz")).await.unwrap();
    let second = tokio::spawn(exchange(server.address, Ask::get("/healthz")));
    for _ in 0..50 {
        first.send(Ask::get("/healthz")).await.unwrap();
    }
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(second.await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn a_head_that_never_arrives_is_not_waited_for() {
    let server = Service::limited(|limits| limits.header_read = Duration::from_millis(50)).await;
    let server = server.listen().await;
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost:").await.unwrap();
    let mut answered = Vec::new();
    stream.read_to_end(&mut answered).await.unwrap();
    assert!(!answered.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_that_never_arrives_is_not_waited_for() {
    let server = Service::limited(|limits| limits.body_read = Duration::from_millis(50)).await;
    let server = server.listen().await;
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let head = "POST /inventory/reservations HTTP/1.1\r\nhost: localhost\r\nidempotency-key: k\r\n\
                authorization: Bearer demo-order-api\r\ncontent-length: 66\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answered = Vec::new();
    stream.read_to_end(&mut answered).await.unwrap();
    assert!(answered.starts_with(b"HTTP/1.1 400"));
    // Nothing was begun: the key is still free.
    assert_eq!(server.send(Ask::reserve("k", "1", "mug", 1)).await.unwrap().status, 201);
}

#[tokio::test]
async fn a_request_that_outlasts_the_drain_is_cut() {
    let server = Service::limited(|limits| limits.drain = Duration::from_millis(50)).await;
    let server = server.listen().await;
    turn(&server, r#"{"latency_ms": 60000}"#).await;
    let ask = Ask::reserve("k", "1", "mug", 1);
    let waiting = tokio::spawn(exchange(server.address, ask));
    running(&server, 1).await;
    server.stop.send(()).unwrap();
    server.serving.await.unwrap();
    waiting.await.unwrap().unwrap_err();
}
