//! The layer around real clients and routers, and outside the layers that it hears from.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aplomb_circuit_breaker::{CircuitBreakerLayer, Trip};
use aplomb_core::{BoxError, Condition, DegradedKind};
use aplomb_deadline::DeadlineLayer;
use aplomb_fallback::{FallbackEvent, FallbackLayer, Fixed, Missed};
use aplomb_retry::{Budget, RetryLayer, Terms};
use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use bytes::Bytes;
use common::{Events, Stock, down, ms, send, text};
use futures_util::StreamExt;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

#[tokio::test]
async fn around_an_axum_router() {
    let router = Router::new()
        .route("/mugs", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route("/orders", post(async || (StatusCode::BAD_GATEWAY, "own")))
        .layer(
            ServiceBuilder::new()
                .layer(HandleErrorLayer::new(async |_: BoxError| StatusCode::BAD_GATEWAY))
                .layer(limited()),
        );
    let ask = |method, path: &str| {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let router = router.clone();
        async move {
            let response = router.oneshot(request).await.unwrap();
            response.into_body().collect().await.unwrap().to_bytes()
        }
    };
    assert_eq!(ask(Method::GET, "/mugs").await, "limited availability");
    assert_eq!(ask(Method::POST, "/orders").await, "own");
}

#[tokio::test]
async fn around_a_hyper_client_whose_server_is_not_there() {
    let mut client = ServiceBuilder::new().layer(limited()).service(hyper::<Full<Bytes>>());
    let request = common::get(nowhere().await);
    let response = client.ready().await.unwrap().call(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "limited availability");
}

#[tokio::test]
async fn the_connection_of_a_response_that_was_stood_in_for_is_used_again() {
    // The address of its peer is a new one for each connection.
    let peers = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&peers);
    let fails = get(async move |ConnectInfo(peer): ConnectInfo<SocketAddr>| {
        seen.lock().unwrap().insert(peer);
        // Its end comes after its head, as it does over a network.
        let parts = futures_util::stream::iter(["down ", "for ", "a while"]).then(async |part| {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            Ok::<_, Infallible>(part)
        });
        (StatusCode::SERVICE_UNAVAILABLE, Body::from_stream(parts))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/mugs", listener.local_addr().unwrap());
    let router = Router::new().route("/mugs", fails);
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let layer = limited().drain(Duration::from_secs(30));
    let mut client = ServiceBuilder::new().layer(layer).service(hyper::<Full<Bytes>>());
    for _ in 0..20 {
        let request = Request::builder().uri(&uri).body(Full::default()).unwrap();
        let response = client.ready().await.unwrap().call(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "limited availability");
    }
    // One or two, where there would be twenty: a connection may be back a moment late.
    let connections = peers.lock().unwrap().len();
    assert!(connections <= 4, "{connections} connections for 20 calls");
}

#[tokio::test]
async fn a_hyper_client_of_a_replica_is_a_fallback_as_it_is() {
    let replica = serve(Router::new().route("/mugs", get(async || "from the replica"))).await;
    let fallback = ServiceBuilder::new()
        .map_request(move |mut request: Request<Missed>| {
            *request.uri_mut() = format!("{replica}/mugs").parse().unwrap();
            request
        })
        .service(hyper::<Missed>());
    let layer = FallbackLayer::new(fallback).as_good().slice(Duration::from_secs(30));
    let service = layer.layer(Stock::says(|_| down()));
    let response = send(&service, common::get("http://stock/mugs")).await.unwrap();
    assert_eq!(text(&response), "from the replica");
    assert!(!response.headers().contains_key("cache-control"));
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn around_a_reqwest_client() {
    let there = serve(Router::new().route("/mugs", get(async || "5"))).await;
    let mut client = ServiceBuilder::new()
        .layer(limited())
        .service(aplomb_core::transport::reqwest().build().unwrap());
    let mut ask = async |url: String| {
        let request = reqwest::Request::new(Method::GET, url.parse().unwrap());
        let response = client.ready().await.unwrap().call(request).await.unwrap();
        (response.url().to_string(), response.text().await.unwrap())
    };
    let url = format!("{there}/mugs");
    assert_eq!(ask(url.clone()).await, (url, "5".to_owned()));
    let gone = nowhere().await.to_owned();
    assert_eq!(ask(gone.clone()).await, (gone, "limited availability".to_owned()));
}

#[cfg(all(feature = "reqwest", feature = "last-good"))]
#[tokio::test]
async fn the_last_good_answer_of_a_reqwest_client_keeps_its_url() {
    use aplomb_fallback::LastGood;
    let there = serve(Router::new().route("/mugs", get(async || "5"))).await;
    let last_good = LastGood::new(Duration::from_secs(3_600));
    let layer = FallbackLayer::last_good(last_good);
    let url: reqwest::Url = format!("{there}/mugs").parse().unwrap();
    let of = |url: &reqwest::Url| reqwest::Request::new(Method::GET, url.clone());
    let good = layer.layer(aplomb_core::transport::reqwest().build().unwrap());
    let first = good.oneshot(of(&url)).await.unwrap();
    assert_eq!(first.url(), &url);
    assert_eq!(first.text().await.unwrap(), "5");
    let fails = layer.layer(tower::service_fn(|_: reqwest::Request| async {
        Err::<reqwest::Response, BoxError>(aplomb_core::DeadlineExceeded::default().into())
    }));
    let served = fails.oneshot(of(&url)).await.unwrap();
    assert!(served.headers().contains_key("age"));
    assert_eq!(served.url(), &url);
    assert_eq!(served.text().await.unwrap(), "5");
}

#[tokio::test(start_paused = true)]
async fn outside_deadline_retry_and_breaker_each_condition_is_recognised() {
    let events = Events::default();
    let stack = |budget: Budget, trip| {
        ServiceBuilder::new()
            .layer(limited().observe(events.clone()))
            .layer(DeadlineLayer::total(ms(300)))
            .layer(RetryLayer::new(budget).max_attempts(2))
            .layer(CircuitBreakerLayer::new(trip))
            .layer(DeadlineLayer::attempt(ms(5_000)))
    };
    let condition = |events: &Events| match events.take()[..] {
        [FallbackEvent::Used { condition, .. }] => condition,
        ref other => panic!("{other:?}"),
    };
    let empty = || Budget::new(Terms::earning(aplomb_core::Ratio::ZERO).initial(0));
    let get = || common::get("http://stock/mugs");

    let fails = stack(empty(), Trip::default()).service(Stock::says(|_| down()));
    send(&fails, get()).await.unwrap();
    assert_eq!(condition(&events), Condition::Budget);

    let opens = stack(empty(), Trip::default()).service(Stock::says(|_| down()));
    for _ in 0..10 {
        send(&opens, get()).await.unwrap();
    }
    events.take();
    send(&opens, get()).await.unwrap();
    assert_eq!(condition(&events), Condition::Open);

    let hangs = tower::service_fn(|_: common::Asked| std::future::pending::<common::Answer>());
    let hangs = stack(empty(), Trip::default()).service(hangs);
    send(&hangs, get()).await.unwrap();
    assert_eq!(condition(&events), Condition::Deadline);
}

fn limited() -> FallbackLayer<Fixed> {
    let answer = Response::new("limited availability".into());
    FallbackLayer::new(Fixed::new(DegradedKind::Approximate, answer))
}

fn hyper<B>() -> Client<HttpConnector, B>
where
    B: http_body::Body<Data: Send> + Send,
{
    Client::builder(TokioExecutor::new()).build_http()
}

/// Serves on a free port of this machine, and says where.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// Where nobody listens.
async fn nowhere() -> &'static str {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    Box::leak(format!("http://{address}/mugs").into_boxed_str())
}
