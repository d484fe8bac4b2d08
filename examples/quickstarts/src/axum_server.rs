//! Keys that run once, deadlines and admission on a router.

use aplomb::AdmissionLayer;
use aplomb::core::Principal;
use aplomb::idempotency::{IdempotencyLayer, MemoryStore};
use axum::routing::post;
use axum::{Extension, Router};

/// A service that reserves, once for each key.
pub fn app() -> Router {
    // quick start
    let admission = AdmissionLayer::new(64);
    let keys = IdempotencyLayer::new(MemoryStore::new());
    let stack = aplomb::stack::server()
        .authenticate(Extension(Principal::new("shop")))
        .admission(admission)
        .idempotency(keys);
    Router::new().route("/reservations", post(reserve)).layer(stack)
    // end
}

async fn reserve() -> &'static str {
    "reserved"
}
