//! A stack as a link in a chain of `reqwest-middleware`.

#![cfg(feature = "reqwest-middleware")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aplomb::core::{OperationClass, cause, transport};
use aplomb::policy::{OperationName, Policy, PolicyFile};
use aplomb::stack::{self, NoOperation, Stack};
use axum::Router;
use http::StatusCode;
use reqwest_middleware::ClientBuilder;

#[tokio::test]
async fn a_call_through_the_chain_goes_by_its_policy() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = move || {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        async move { if first { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK } }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/stock", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, app).await });

    let stack = Stack::new(Policy::preset(OperationClass::Read).build().unwrap());
    let plain = transport::reqwest().build().unwrap();
    let client = ClientBuilder::new(plain).with(stack.middleware()).build();
    assert_eq!(client.get(url).send().await.unwrap().status(), 200);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_error_of_reqwests_own_is_found_in_the_chains() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stack = Stack::new(Policy::preset(OperationClass::Confirm).build().unwrap());
    let plain = transport::reqwest().build().unwrap();
    let client = ClientBuilder::new(plain).with(stack.middleware()).build();
    let error = client.get(format!("http://{nobody}/")).send().await.unwrap_err();
    assert!(cause::<reqwest::Error>(&error).unwrap().is_connect(), "{error}");
}

#[tokio::test]
async fn each_call_through_the_chain_goes_by_the_policy_of_its_operation() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let app = Router::new().fallback(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { StatusCode::SERVICE_UNAVAILABLE }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let policies = |attempts: u32| {
        let text = format!(
            "version = 1\n[service]\nname = 'shop'\n[dependency.stock]\nauthority = '{authority}'\n\
             [dependency.stock.operation.look]\nclass = 'read'\nmatch = 'GET /stock/{{sku}}'\n\
             attempts = {attempts}\n"
        );
        PolicyFile::parse("aplomb.toml", &text).unwrap()
    };
    let link = stack::client(policies(2)).middleware();
    let handle = link.handle();
    let plain = transport::reqwest().build().unwrap();
    let client = ClientBuilder::new(plain).with(link).build();
    let url = |path: &str| format!("http://{authority}{path}");
    assert_eq!(client.get(url("/stock/mug")).send().await.unwrap().status(), 503);
    assert_eq!(asked.load(Ordering::SeqCst), 2);

    handle.apply(policies(1));
    assert_eq!(client.get(url("/stock/mug")).send().await.unwrap().status(), 503);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    let named = client.get(url("/")).with_extension(OperationName::new("stock.look"));
    assert_eq!(named.send().await.unwrap().status(), 503);
    assert_eq!(asked.load(Ordering::SeqCst), 4);

    let error = client.get(url("/other")).send().await.unwrap_err();
    assert!(cause::<NoOperation>(&error).is_some(), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 4, "nothing was sent");
}
