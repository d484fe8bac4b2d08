//! What the testkit's suite over a URL says of a peer's idempotency layer, clause by clause.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aplomb_bench::peers::idempotent::{self, COOKIE};
use aplomb_testkit::blackbox::BlackBox;
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use tokio::net::TcpListener;

#[tokio::test]
async fn the_peer_keeps_one_caller_after_the_other_and_neither_crowds_nor_payloads() {
    let effects = Arc::new(AtomicU64::new(0));
    let url = serve(peer(orders(&effects))).await;
    let server = BlackBox::new(&url).header("cookie", COOKIE).effects(move || {
        let effects = Arc::clone(&effects);
        async move { effects.load(Ordering::SeqCst) }
    });
    let findings = server.findings().await;
    let is_found = |clause: &str| findings.iter().any(|found| found.starts_with(clause));
    for kept in KEPT {
        assert!(!is_found(kept), "{kept}: {findings:#?}");
    }
    for broken in BROKEN {
        assert!(is_found(broken), "{broken}: {findings:#?}");
    }
}

/// The clauses that it keeps, as `docs/compare` says.
const KEPT: [&str; 4] =
    ["a first request:", "the same again:", "a retry after hanging up:", "a request whose upload"];
/// What it does otherwise.
const BROKEN: [&str; 6] = [
    "no key: a 400 that is no application/problem+json",
    "an empty key: 201",
    "the key bare: not the answer of the first time",
    "the key with another payload: 201",
    "50 at once: ",
    "a long body: 201",
];

/// Its layer with a key required.
fn peer(routes: Router) -> Router {
    idempotent::with(routes, |options| {
        let options = options.use_idempotency_key_header(None, true);
        options.replay_header_name("idempotent-replayed")
    })
}

/// Takes a moment, counts its effects, answers each with its number.
fn orders(effects: &Arc<AtomicU64>) -> Router {
    let effects = Arc::clone(effects);
    let place = move |_body: Bytes| async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let number = effects.fetch_add(1, Ordering::SeqCst);
        (http::StatusCode::CREATED, number.to_string())
    };
    Router::new().route("/orders", post(place))
}

async fn serve(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/orders", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}
