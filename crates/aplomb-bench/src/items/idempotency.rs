//! A route behind our layer beside a peer's, on a store in memory: keys it saw, keys it sees first.

use aplomb_idempotency::{IdempotencyLayer, MemoryStore};
use axum::Router;
use axum::routing::post;
use http::{Request, header};
use tower::ServiceExt;

use super::Item;
use crate::drive::Driver;
use crate::peers::idempotent;

pub(super) const ITEMS: &[Item] = &[
    Item::new("bare-route", |driver, calls| ask(driver, &route(), calls, fresh)),
    Item::new("axum-idempotent-first", |driver, calls| {
        ask(driver, &idempotent::around(route()), calls, fresh);
    })
    .over("bare-route"),
    Item::new("axum-idempotent-replay", |driver, calls| {
        ask(driver, &idempotent::around(route()), calls, same);
    })
    .over("bare-route"),
    Item::new("idempotent-first", |driver, calls| first(driver, 0, calls))
        .over("bare-route")
        .beside("axum-idempotent-first", 0.55, 0.4),
    Item::new("idempotent-first-10k", |driver, calls| first(driver, 10_000, calls))
        .over("bare-route")
        .beside("axum-idempotent-first", 0.55, 0.4),
    Item::new("idempotent-replay", |driver, calls| replay(driver, 0, calls))
        .over("bare-route")
        .beside("axum-idempotent-replay", 0.35, 0.25),
    Item::new("idempotent-replay-10k", |driver, calls| replay(driver, 10_000, calls))
        .over("bare-route")
        .beside("axum-idempotent-replay", 0.35, 0.25),
];

fn first(driver: &Driver, before: u64, calls: u64) {
    let routes = ours();
    ask(driver, &routes, before, |number| keyed(&format!("before-{number}")));
    ask(driver, &routes, calls, fresh);
}

fn replay(driver: &Driver, before: u64, calls: u64) {
    let routes = ours();
    ask(driver, &routes, before, |number| keyed(&format!("before-{number}")));
    ask(driver, &routes, calls, same);
}

fn ours() -> Router {
    route().layer(IdempotencyLayer::new(MemoryStore::new()).global_scope("bench"))
}

/// A route that answers with 1 KiB.
pub(super) fn route() -> Router {
    Router::new().route("/orders", post(|| async { ANSWER }))
}

/// Asks one after the other, each answer awaited.
pub(super) fn ask(
    driver: &Driver,
    routes: &Router,
    calls: u64,
    make: impl Fn(u64) -> Request<axum::body::Body>,
) {
    driver.wait_for(async {
        for number in 0..calls {
            let Ok(answer) = routes.clone().oneshot(make(number)).await;
            assert!(answer.status().is_success(), "{}", answer.status());
        }
    });
}

fn fresh(number: u64) -> Request<axum::body::Body> {
    keyed(&format!("key-{number}"))
}

fn same(_: u64) -> Request<axum::body::Body> {
    keyed("key-again")
}

pub(super) fn keyed(key: &str) -> Request<axum::body::Body> {
    let request = Request::post("/orders").header("idempotency-key", key);
    let request = request.header(header::COOKIE, idempotent::COOKIE);
    request.body(ORDER.into()).expect("it has all that a request needs")
}

const ORDER: &str = "{\"sku\":\"mug\",\"quantity\":1}";
static ANSWER: &str = match std::str::from_utf8(&[b'a'; 1_024]) {
    Ok(text) => text,
    Err(_) => "",
};
