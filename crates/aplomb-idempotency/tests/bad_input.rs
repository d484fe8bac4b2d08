//! What strangers send, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use aplomb_core::{Dice, Principal};
use aplomb_idempotency::{IdempotencyLayer, MemoryStore, problems};
use axum::routing::post;
use axum::{Extension, Router};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use common::Counter;
use common::faulty::Faulty;

#[tokio::test]
async fn every_kind_of_malformed_key_is_a_400_that_runs_nothing() {
    let shop = Shop::open(Faulty::default()).await;
    let long = format!("\"{}\"", "k".repeat(256));
    for header in [
        "idempotency-key: \r\n",
        "idempotency-key: \"\"\r\n",
        "idempotency-key: \"open\r\n",
        "idempotency-key: open\"\r\n",
        "idempotency-key: \"a\tb\"\r\n",
        "idempotency-key: \"caf\u{e9}\"\r\n",
        "idempotency-key: \"a\", \"b\"\r\n",
        "idempotency-key: (a b)\r\n",
        "idempotency-key: 42\r\n",
        "idempotency-key: ?1\r\n",
        "idempotency-key: :YQ==:\r\n",
        "idempotency-key: @1659578233\r\n",
        "idempotency-key: a b\r\n",
        "idempotency-key: K;since=1\r\n",
        &format!("idempotency-key: {long}\r\n"),
        "idempotency-key: K\r\nidempotency-key: K\r\n",
    ] {
        let answer = shop.post(header, "mug").await;
        assert_eq!(answer.says(), (400, problems::KEY_MALFORMED), "{header:?}");
    }
    assert_eq!(shop.post("", "mug").await.says(), (400, problems::KEY_MISSING));
    // A control character never gets as far as a header.
    let answer = shop.post("idempotency-key: \"a\0b\"\r\n", "mug").await;
    assert_eq!(answer.status, 400);
    assert_eq!(shop.runs.get(), 0);
    assert_eq!(shop.post(KEY, "mug").await.status, 201, "and it serves on");
}

#[tokio::test]
async fn an_upload_that_ends_early_begins_nothing() {
    let shop = Shop::open(Faulty::default()).await;
    for cut in [
        format!("POST /orders HTTP/1.1\r\nhost: shop\r\n{KEY}content-length: 100\r\n\r\nmu"),
        format!(
            "POST /orders HTTP/1.1\r\nhost: shop\r\n{KEY}transfer-encoding: chunked\r\n\r\n3\r\nmug\r\n"
        ),
        format!(
            "POST /orders HTTP/1.1\r\nhost: shop\r\n{KEY}transfer-encoding: chunked\r\n\r\nzz\r\n"
        ),
    ] {
        shop.send_and_end(cut.as_bytes()).await;
    }
    assert_eq!(shop.runs.get(), 0);
    assert!(shop.store.store.is_empty(), "no key was taken");
    let answer = shop.post(KEY, "mug").await;
    assert_eq!((answer.status, answer.is_replay()), (201, false));
}

#[tokio::test]
async fn a_body_over_the_cap_is_a_413_with_a_length_and_without() {
    let shop = Shop::open(Faulty::default()).await;
    let long = "x".repeat(CAP + 1);
    assert_eq!(shop.post(KEY, &long).await.says(), (413, problems::BODY_TOO_LARGE));
    let chunks = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let head = format!("POST /orders HTTP/1.1\r\nhost: shop\r\n{KEY}connection: close\r\n");
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}");
    let answer = shop.send(chunked.as_bytes()).await;
    assert_eq!(answer.says(), (413, problems::BODY_TOO_LARGE));
    assert_eq!(shop.runs.get(), 0);
    assert_eq!(shop.post(KEY, &"x".repeat(CAP)).await.status, 201, "the cap itself fits");
}

#[tokio::test]
async fn a_store_that_is_down_is_a_503_and_the_handler_does_not_run() {
    let shop = Shop::open(Faulty::default()).await;
    shop.store.faults.lock().unwrap().failing_begins = 1;
    let answer = shop.post(KEY, "mug").await;
    assert_eq!(answer.says(), (503, problems::STORE_UNAVAILABLE));
    assert!(answer.header("retry-after").is_some());
    assert!(!answer.text.contains("no route to host"), "that is for the operator");
    assert_eq!(shop.runs.get(), 0);
    assert_eq!(shop.post(KEY, "mug").await.status, 201);
}

#[tokio::test]
async fn a_store_that_misses_a_completion_is_told_again() {
    let shop = Shop::open(Faulty::default()).await;
    shop.store.fail_completions(1);
    assert_eq!(shop.post(KEY, "mug").await.status, 201);
    let retry = shop.post(KEY, "mug").await;
    assert_eq!((retry.status, retry.is_replay()), (201, true));
}

#[tokio::test]
async fn a_store_that_stays_down_costs_the_record_and_not_the_answer() {
    let shop = Shop::open(Faulty::default()).await;
    shop.store.fail_completions(usize::MAX);
    assert_eq!(shop.post(KEY, "mug").await.status, 201, "it was done, and its caller is told");
    let retry = shop.post(KEY, "mug").await;
    assert_eq!(retry.says(), (409, problems::IN_FLIGHT), "and is not done again");
    assert_eq!(shop.runs.get(), 1);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_a_500_that_does_not_ask_to_come_back() {
    let shop = Shop::open(Faulty::default()).await;
    shop.store.faults.lock().unwrap().corrupt = true;
    let answer = shop.post(KEY, "mug").await;
    assert_eq!(answer.says(), (500, problems::RECORD_UNREADABLE));
    assert_eq!(answer.header("retry-after"), None);
    assert!(answer.text.contains("reference"));
    assert_eq!(shop.runs.get(), 0);
}

#[tokio::test]
async fn a_full_store_refuses_new_keys_alone() {
    let shop = Shop::open(Faulty { store: small(), ..Faulty::default() }).await;
    assert_eq!(shop.post(KEY, "mug").await.status, 201);
    let answer = shop.post("idempotency-key: another\r\n", "mug").await;
    assert_eq!(answer.says(), (503, problems::STORE_UNAVAILABLE));
    assert!(answer.header("retry-after").is_some());
    assert!(shop.post(KEY, "mug").await.is_replay());
    assert_eq!(shop.runs.get(), 1);
}

/// A guarded route behind a socket.
struct Shop {
    address: SocketAddr,
    store: Faulty,
    runs: Counter,
}

impl Shop {
    async fn open(store: Faulty) -> Self {
        let runs = Counter::default();
        let handler = {
            let runs = runs.clone();
            async move || {
                runs.add();
                StatusCode::CREATED
            }
        };
        let layer = IdempotencyLayer::new(store.clone()).body_cap(CAP).dice(Dice::seeded(1));
        let app: Router = Router::new()
            .route("/orders", post(handler))
            .route_layer(layer)
            .layer(Extension(Principal::new("shop")));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, store, runs }
    }

    async fn post(&self, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let head = format!("POST /orders HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{headers}");
        self.send(format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes()).await
    }

    async fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        Answer::read(stream).await
    }

    /// Sends these bytes, and says that no more will come.
    async fn send_and_end(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        Answer::read(stream).await
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    kind: String,
    text: String,
}

impl Answer {
    /// Reads until the server closes.
    async fn read(mut stream: TcpStream) -> Self {
        let mut text = Vec::new();
        // A server that has refused a body may reset the connection once its answer is out.
        let _ = stream.read_to_end(&mut text).await;
        Self::of(&String::from_utf8_lossy(&text))
    }

    fn of(text: &str) -> Self {
        let status = text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        let kind = problem["type"].as_str().unwrap_or_default().to_owned();
        Self { status, kind, text: text.to_owned() }
    }

    fn says(&self) -> (u16, &str) {
        (self.status, &self.kind)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next()?;
        let mut headers = head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(header, _)| *header == name).map(|(_, value)| value)
    }

    fn is_replay(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }
}

fn small() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::bounded(1, usize::MAX))
}

const KEY: &str = "idempotency-key: k\r\n";
const CAP: usize = 64;
