//! Inside and around `Buffer` and `ConcurrencyLimit`, which punish a clone that was never polled
//! ready with a panic, and a permit that is kept with a deadlock.

use aplomb::core::grpc::{GrpcClassifier, repeatable};
use aplomb::core::transport;
use aplomb::idempotency::MemoryStore;
use aplomb::{DeadlineLayer, IdempotencyLayer, ProblemLayer};
use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper_util::rt::TokioExecutor;
use tonic::transport::Channel;
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::layers::{backoff, fits_axum, loses_one, retry};
use crate::wire::{LONG, Script, Stock, ask, get, post, serve_router};

/// More calls at a time than any limit here lets through.
const CALLS: usize = 12;

/// Enough for a call that is refused whenever one can be.
const ATTEMPTS: u32 = 12;

/// Refuses the first half of what it is sent.
fn refusals(status: u16) -> [Script; CALLS / 2] {
    [Script::Status(status); CALLS / 2]
}

#[tokio::test]
async fn retry_around_a_concurrency_limit_readies_it_for_every_attempt() {
    let stock = Stock::plain(refusals(503)).await;
    let client = ServiceBuilder::new()
        .layer(retry().max_attempts(ATTEMPTS))
        .concurrency_limit(2)
        .service(transport::hyper(TokioExecutor::new()).build_http());
    all(fits_axum(client), || get(stock.address), is_200).await;
    assert_eq!(stock.requests(), CALLS + CALLS / 2);
    assert!(stock.most_inside() <= 2);
}

#[tokio::test]
async fn a_stack_inside_a_buffer_around_a_concurrency_limit() {
    let stock = Stock::plain(refusals(503)).await;
    let client = ServiceBuilder::new()
        .buffer(CALLS)
        .layer(DeadlineLayer::total(LONG))
        .layer(retry().max_attempts(ATTEMPTS))
        .layer(backoff().after_failures(255))
        .layer(DeadlineLayer::attempt(LONG))
        .layer(loses_one().edge())
        .concurrency_limit(1)
        .service(transport::hyper(TokioExecutor::new()).build_http());
    all(fits_axum(client), || get(stock.address), is_200).await;
    assert_eq!(stock.requests(), CALLS + CALLS / 2, "the answer that was lost was a refusal");
    assert_eq!(stock.most_inside(), 1);
}

#[tokio::test]
async fn a_stack_around_a_buffer_of_reqwest() {
    let stock = Stock::plain(refusals(503)).await;
    let client = ServiceBuilder::new()
        .layer(DeadlineLayer::total(LONG))
        .layer(retry().max_attempts(ATTEMPTS))
        .layer(backoff().after_failures(255))
        .layer(DeadlineLayer::attempt(LONG))
        .buffer(1)
        .concurrency_limit(1)
        .service(transport::reqwest().build().unwrap());
    let sent = || reqwest::Request::new(Method::GET, stock.url().parse().unwrap());
    all(fits_axum(client), sent, |answer: &reqwest::Response| answer.status() == 200).await;
    assert_eq!(stock.requests(), CALLS + CALLS / 2);
}

#[tokio::test]
async fn a_stack_around_a_channel_which_is_a_buffer_itself() {
    let stock = Stock::grpc(refusals(14)).await;
    let channel = Channel::from_shared(format!("http://{}", stock.address)).unwrap().connect_lazy();
    let client = ServiceBuilder::new()
        .map_request(repeatable(&["/stock.Stock/Look"]))
        .layer(DeadlineLayer::total(LONG))
        .layer(retry().classify(GrpcClassifier).max_attempts(ATTEMPTS))
        .layer(backoff().classify(GrpcClassifier).after_failures(255))
        .concurrency_limit(2)
        .map_request(|request| Request::map(request, tonic::body::Body::new))
        .service(channel);
    let sent = || Request::post("/stock.Stock/Look").body(Full::<Bytes>::default()).unwrap();
    all(fits_axum(client), sent, |answer| answer.headers()["grpc-status"] == "0").await;
    assert_eq!(stock.requests(), CALLS + CALLS / 2);
    assert!(stock.most_inside() <= 2);
}

#[tokio::test]
async fn a_router_inside_a_buffer_and_a_concurrency_limit() {
    let router = Router::new().route("/stock", any(async || "42")).layer(
        ServiceBuilder::new()
            .layer(ProblemLayer::new())
            .layer(DeadlineLayer::inherit())
            .buffer(CALLS)
            .layer(DeadlineLayer::total(LONG))
            .layer(retry())
            .layer(backoff())
            .concurrency_limit(1)
            .layer(IdempotencyLayer::new(MemoryStore::new()).global_scope("shop")),
    );
    let address = serve_router(router).await;
    let sent = |call: usize| tokio::spawn(ask(post(address, &format!("call-{call}"))));
    for seen in (0..CALLS).map(sent).collect::<Vec<_>>() {
        assert_eq!(seen.await.unwrap().unwrap().status, 200);
    }
}

fn is_200<B>(answer: &Response<B>) -> bool {
    answer.status() == 200
}

/// Sends all calls at once through clones of one service; all must succeed.
async fn all<S, Req>(service: S, sent: impl Fn() -> Req, is_well: fn(&S::Response) -> bool)
where
    S: Service<Req, Error: std::fmt::Debug + Send, Response: Send, Future: Send>,
    S: Clone + Send + 'static,
    Req: Send + 'static,
{
    let calls: Vec<_> = (0..CALLS).map(|_| tokio::spawn(service.clone().oneshot(sent()))).collect();
    for call in calls {
        assert!(is_well(&call.await.unwrap().unwrap()));
    }
}
