//! The suite over a URL finds nothing in a good server, and what is wrong in others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aplomb_idempotency::{IdempotencyLayer, MemoryStore};
use aplomb_testkit::blackbox::BlackBox;
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use tokio::net::TcpListener;

#[tokio::test]
async fn a_server_with_the_layer_has_nothing_against_it() {
    let effects = Arc::new(AtomicU64::new(0));
    let layer = IdempotencyLayer::new(MemoryStore::new()).global_scope("test");
    let app = orders(&effects).layer(layer);
    judged(app, &effects).await.check().await;
}

#[tokio::test]
async fn a_server_that_ignores_keys_is_found_out() {
    let effects = Arc::new(AtomicU64::new(0));
    let findings = judged(orders(&effects), &effects).await.findings().await;
    for expected in ["no key: 201", "the same again: not marked", "another payload: 201", "effects"]
    {
        assert!(findings.iter().any(|found| found.contains(expected)), "{expected}: {findings:#?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_found_out_too() {
    let findings = BlackBox::new("http://127.0.0.1:1/orders").findings().await;
    assert!(findings[0].contains("no key: 127.0.0.1:1"), "{findings:#?}");
}

/// Counts its effects, and answers each with its number.
fn orders(effects: &Arc<AtomicU64>) -> Router {
    let effects = Arc::clone(effects);
    let place = move |_body: Bytes| async move {
        let number = effects.fetch_add(1, Ordering::SeqCst);
        (http::StatusCode::CREATED, number.to_string())
    };
    Router::new().route("/orders", post(place))
}

async fn judged(app: Router, effects: &Arc<AtomicU64>) -> BlackBox {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/orders", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let effects = Arc::clone(effects);
    BlackBox::new(&url).effects(move || {
        let effects = Arc::clone(&effects);
        async move { effects.load(Ordering::SeqCst) }
    })
}
