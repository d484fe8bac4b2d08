//! Around `reqwest::Client`.

use aplomb::core::{
    DeadlineExceeded, Degraded, EXPECTED_TIMEOUT, IDEMPOTENCY_KEY, NotBefore, Saturated, cause,
    transport,
};
use aplomb::idempotency::KeyLayer;
use aplomb::{DeadlineLayer, chaos};
use http::Method;
use reqwest::Request;
use tower::{ServiceBuilder, ServiceExt};

use crate::layers::{backoff, breaker, bulkhead, fallback, fits_axum, loses_one, retry};
use crate::wire::{LONG, Script, Stock, ms};

fn client() -> reqwest::Client {
    transport::reqwest().build().unwrap()
}

fn get(stock: &Stock) -> Request {
    Request::new(Method::GET, stock.url().parse().unwrap())
}

#[tokio::test]
async fn retry_sends_a_get_again_that_failed() {
    let stock = Stock::plain([Script::Status(503)]).await;
    let client = ServiceBuilder::new().layer(retry()).service(client());
    let answer = fits_axum(client).oneshot(get(&stock)).await.unwrap();
    assert_eq!((answer.status().as_u16(), stock.requests()), (200, 2));
}

#[tokio::test]
async fn retry_sends_a_keyed_post_again_with_the_same_bytes() {
    let stock = Stock::plain([Script::Status(503)]).await;
    let client = ServiceBuilder::new().layer(retry().honours_keys()).service(client());
    let mut post = Request::new(Method::POST, stock.url().parse().unwrap());
    post.headers_mut().insert("idempotency-key", "k".parse().unwrap());
    *post.body_mut() = Some("a mug".into());
    assert_eq!(client.oneshot(post).await.unwrap().status(), 200);
    let seen = stock.seen();
    assert_eq!(seen.iter().map(|(_, _, body)| &body[..]).collect::<Vec<_>>(), [b"a mug"; 2]);
}

#[tokio::test]
async fn deadline_total_ends_a_call() {
    let stock = Stock::plain([Script::Hang]).await;
    let client = ServiceBuilder::new().layer(DeadlineLayer::total(ms(50))).service(client());
    let error = fits_axum(client).oneshot(get(&stock)).await.unwrap_err();
    assert!(cause::<DeadlineExceeded>(&*error).is_some());
}

#[tokio::test]
async fn deadline_attempt_tells_the_next_hop() {
    let stock = Stock::plain([]).await;
    let client = ServiceBuilder::new().layer(DeadlineLayer::attempt(LONG)).service(client());
    fits_axum(client).oneshot(get(&stock)).await.unwrap();
    assert!(stock.seen()[0].1.contains_key(EXPECTED_TIMEOUT));
}

#[tokio::test]
async fn backoff_leaves_alone_who_asked_for_it() {
    let stock = Stock::plain([Script::Pause(60)]).await;
    let client = ServiceBuilder::new().layer(backoff()).service(client());
    let client = fits_axum(client);
    assert_eq!(client.clone().oneshot(get(&stock)).await.unwrap().status(), 503);
    let error = client.oneshot(get(&stock)).await.unwrap_err();
    assert!(cause::<NotBefore>(&*error).is_some());
    assert_eq!(stock.requests(), 1);
}

#[tokio::test]
async fn chaos_edge_loses_an_answer() {
    let stock = Stock::plain([]).await;
    let client = ServiceBuilder::new().layer(loses_one().edge()).service(client());
    let error = fits_axum(client).oneshot(get(&stock)).await.unwrap_err();
    assert!(cause::<chaos::Cut>(&*error).unwrap().answered);
    assert_eq!(stock.requests(), 1);
}

#[tokio::test]
async fn a_whole_stack_survives_a_lost_answer_and_a_refusal() {
    let stock = Stock::plain([Script::Status(200), Script::Status(503)]).await;
    let client = ServiceBuilder::new()
        .layer(DeadlineLayer::total(LONG))
        .layer(retry())
        .layer(backoff())
        .layer(DeadlineLayer::attempt(LONG))
        .layer(loses_one().edge())
        .service(client());
    let answer = fits_axum(client).oneshot(get(&stock)).await.unwrap();
    assert_eq!((answer.status().as_u16(), stock.requests()), (200, 3));
}

#[tokio::test]
async fn breaker_stops_calling_what_failed() {
    let stock = Stock::plain([Script::Status(503)]).await;
    let client = ServiceBuilder::new().layer(breaker()).service(client());
    let client = fits_axum(client);
    assert_eq!(client.clone().oneshot(get(&stock)).await.unwrap().status(), 503);
    let error = client.oneshot(get(&stock)).await.unwrap_err();
    assert!(cause::<NotBefore>(&*error).is_some());
    assert_eq!(stock.requests(), 1);
}

#[tokio::test]
async fn admission_takes_no_more_than_there_are_places() {
    let stock = Stock::plain([Script::Hang]).await;
    let client = ServiceBuilder::new().layer(bulkhead()).service(client());
    let client = fits_axum(client);
    let hanging = tokio::spawn(client.clone().oneshot(get(&stock)));
    while stock.requests() == 0 {
        tokio::task::yield_now().await;
    }
    let error = client.oneshot(get(&stock)).await.unwrap_err();
    assert!(cause::<Saturated>(&*error).is_some());
    assert_eq!(stock.requests(), 1);
    hanging.abort();
}

#[tokio::test]
async fn fallback_answers_instead() {
    let stock = Stock::plain([Script::Status(503)]).await;
    let client = ServiceBuilder::new().layer(fallback()).service(client());
    let answer = fits_axum(client).oneshot(get(&stock)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(Degraded::of(answer.extensions()).is_some());
}

#[tokio::test]
async fn key_is_stamped_once_for_all_attempts() {
    let stock = Stock::plain([Script::Status(503)]).await;
    let client = ServiceBuilder::new()
        .layer(KeyLayer::random())
        .layer(retry().honours_keys())
        .service(client());
    let mut post = Request::new(Method::POST, stock.url().parse().unwrap());
    *post.body_mut() = Some("a mug".into());
    assert_eq!(fits_axum(client).oneshot(post).await.unwrap().status(), 200);
    let seen = stock.seen();
    let keys: Vec<_> = seen.iter().map(|(_, headers, _)| &headers[IDEMPOTENCY_KEY]).collect();
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
}
