//! Around tonic's `Channel`.
//!
//! gRPC needs some lines of its own: its classifier and the methods that may be repeated; around the
//! channel the body that tonic sends, `.map_request(|request| Request::map(request, Body::new))`, and
//! what its errors mean, `.map_err(translate::<TimeoutExpired, ConnectError>)`. What tonic's own
//! client sends can be sent again after
//! `.map_request(|request| Request::map(request, Replayable::new))`.

use aplomb::core::grpc::{GrpcClassifier, repeatable, translate};
use aplomb::core::{
    DeadlineExceeded, GRPC_TIMEOUT, IDEMPOTENCY_KEY, NotBefore, NotRetried, Reason, Replayable,
    Saturated, cause,
};
use aplomb::idempotency::KeyLayer;
use aplomb::{DeadlineLayer, chaos};
use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use http::{Request, Response};
use http_body_util::Full;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, ConnectError, Status, TimeoutExpired};
use tower::{ServiceBuilder, ServiceExt};

use crate::layers::{backoff, breaker, bulkhead, fits_axum, loses_one, retry};
use crate::wire::{LONG, Script, Stock, ms};

fn channel(stock: &Stock) -> Channel {
    Channel::from_shared(format!("http://{}", stock.address)).unwrap().connect_lazy()
}

fn look() -> Request<Full<Bytes>> {
    call("/stock.Stock/Look")
}

fn call(method: &str) -> Request<Full<Bytes>> {
    // A message: not compressed, three bytes long.
    let message = Bytes::from_static(b"\0\0\0\0\x03mug");
    let request = Request::post(method).header("content-type", "application/grpc");
    request.header("te", "trailers").body(Full::new(message)).unwrap()
}

fn status<B>(answer: &Response<B>) -> &str {
    answer.headers()["grpc-status"].to_str().unwrap()
}

#[tokio::test]
async fn retry_sends_a_method_again_that_may_be_repeated() {
    let stock = Stock::grpc([Script::Status(14)]).await;
    let client = ServiceBuilder::new()
        .map_request(repeatable(&["/stock.Stock/Look"]))
        .layer(retry().classify(GrpcClassifier))
        .map_request(|request| Request::map(request, Body::new))
        .service(channel(&stock));
    let answer = fits_axum(client).oneshot(look()).await.unwrap();
    assert_eq!((status(&answer), stock.requests()), ("0", 2));
    let seen = stock.seen();
    assert_eq!(seen[0].2, seen[1].2);
}

#[tokio::test]
async fn retry_leaves_a_method_alone_that_nobody_named() {
    let stock = Stock::grpc([Script::Status(14)]).await;
    let client = ServiceBuilder::new()
        .map_request(repeatable(&["/stock.Stock/Look"]))
        .layer(retry().classify(GrpcClassifier))
        .map_request(|request| Request::map(request, Body::new))
        .service(channel(&stock));
    let answer = client.oneshot(call("/stock.Stock/Take")).await.unwrap();
    assert_eq!((status(&answer), stock.requests()), ("14", 1));
    assert_eq!(answer.extensions().get::<NotRetried>().unwrap().reason, Reason::Unsafe);
}

#[tokio::test]
async fn deadline_total_ends_a_call() {
    let stock = Stock::grpc([Script::Hang]).await;
    let client = ServiceBuilder::new()
        .layer(DeadlineLayer::total(ms(50)))
        .map_request(|request| Request::map(request, Body::new))
        .service(channel(&stock));
    let error = fits_axum(client).oneshot(look()).await.unwrap_err();
    assert!(cause::<DeadlineExceeded>(&*error).is_some());
}

#[tokio::test]
async fn deadline_attempt_tells_the_next_hop_in_grpcs_words() {
    let stock = Stock::grpc([]).await;
    let client = ServiceBuilder::new()
        .layer(DeadlineLayer::attempt(LONG))
        .map_request(|request| Request::map(request, Body::new))
        .service(channel(&stock));
    fits_axum(client).oneshot(look()).await.unwrap();
    assert!(stock.seen()[0].1.contains_key(GRPC_TIMEOUT));
}

#[tokio::test]
async fn deadline_attempt_ends_a_call() {
    let stock = Stock::grpc([Script::Hang]).await;
    let client = ServiceBuilder::new()
        .layer(DeadlineLayer::attempt(ms(50)))
        .map_err(translate::<TimeoutExpired, ConnectError>)
        .map_request(|request| Request::map(request, Body::new))
        .service(channel(&stock));
    let error = client.oneshot(look()).await.unwrap_err();
    assert!(cause::<DeadlineExceeded>(&*error).is_some(), "{error:?}");
}

#[tokio::test]
async fn backoff_leaves_alone_who_asked_for_it() {
    let stock = Stock::grpc([Script::Pause(60)]).await;
    let client = ServiceBuilder::new()
        .layer(backoff().classify(GrpcClassifier))
        .map_request(|request| Request::map(request, Body::new))
        .service(channel(&stock));
    let client = fits_axum(client);
    assert_eq!(status(&client.clone().oneshot(look()).await.unwrap()), "14");
    let error = client.oneshot(look()).await.unwrap_err();
    assert!(cause::<NotBefore>(&*error).is_some());
    assert_eq!(stock.requests(), 1);
}

#[tokio::test]
async fn chaos_edge_loses_an_answer() {
    let stock = Stock::grpc([]).await;
    let client = ServiceBuilder::new()
        .layer(loses_one().edge())
        .map_request(|request| Request::map(request, Body::new))
        .service(channel(&stock));
    let error = fits_axum(client).oneshot(look()).await.unwrap_err();
    assert!(cause::<chaos::Cut>(&*error).unwrap().answered);
    assert_eq!(stock.requests(), 1);
}

#[tokio::test]
async fn a_whole_stack_survives_a_lost_answer_and_a_refusal() {
    let stock = Stock::grpc([Script::Status(0), Script::Status(14)]).await;
    let client = ServiceBuilder::new()
        .map_request(repeatable(&["/stock.Stock/Look"]))
        .layer(DeadlineLayer::total(LONG))
        .layer(retry().classify(GrpcClassifier))
        .layer(backoff().classify(GrpcClassifier))
        .layer(DeadlineLayer::attempt(LONG))
        .layer(loses_one().edge())
        .map_request(|request| Request::map(request, Body::new))
        .service(channel(&stock));
    let answer = fits_axum(client).oneshot(look()).await.unwrap();
    assert_eq!((status(&answer), stock.requests()), ("0", 3));
}

#[tokio::test]
async fn a_client_of_tonics_own_calls_through_the_layers() {
    let stock = Stock::grpc([Script::Status(14), Script::Status(5)]).await;
    let layers = ServiceBuilder::new()
        .map_request(repeatable(&["/stock.Stock/Look"]))
        .map_request(|request| Request::map(request, Replayable::new))
        .layer(DeadlineLayer::total(LONG))
        .layer(retry().classify(GrpcClassifier))
        .layer(backoff().classify(GrpcClassifier))
        .layer(DeadlineLayer::attempt(LONG))
        .map_err(translate::<TimeoutExpired, ConnectError>)
        .map_request(|request| Request::map(request, Body::new))
        .service(channel(&stock));
    assert_eq!(unary(layers).await.code(), Code::NotFound);
    let seen = stock.seen();
    assert_eq!(seen.iter().map(|(_, _, body)| &body[5..]).collect::<Vec<_>>(), [b"mug"; 2]);
}

#[tokio::test]
async fn a_client_of_tonics_own_is_told_that_the_time_was_up() {
    let stock = Stock::grpc([Script::Hang]).await;
    let layers = ServiceBuilder::new().layer(DeadlineLayer::total(ms(50))).service(channel(&stock));
    assert!(cause::<DeadlineExceeded>(&unary(layers).await).is_some());
}

/// Asks for a mug as generated code does, and answers with how that failed.
async fn unary<S>(layers: S) -> Status
where
    S: tonic::client::GrpcService<Body, Error: Into<aplomb::core::BoxError>>,
    S::ResponseBody:
        http_body::Body<Data = Bytes, Error: Into<aplomb::core::BoxError>> + Send + 'static,
{
    let mut client = Grpc::new(layers);
    client.ready().await.map_err(|_| ()).unwrap();
    let path = PathAndQuery::from_static("/stock.Stock/Look");
    let asked = tonic::Request::new(Bytes::from("mug"));
    client.unary(asked, path, Plain).await.unwrap_err()
}

/// Messages that are their bytes.
#[derive(Clone, Copy)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

#[tokio::test]
async fn breaker_stops_calling_what_failed() {
    let stock = Stock::grpc([Script::Status(14)]).await;
    let client = ServiceBuilder::new()
        .layer(breaker().classify(GrpcClassifier))
        .map_request(|request| Request::map(request, Body::new))
        .service(channel(&stock));
    let client = fits_axum(client);
    assert_eq!(status(&client.clone().oneshot(look()).await.unwrap()), "14");
    let error = client.oneshot(look()).await.unwrap_err();
    assert!(cause::<NotBefore>(&*error).is_some());
    assert_eq!(stock.requests(), 1);
}

#[tokio::test]
async fn admission_takes_no_more_than_there_are_places() {
    let stock = Stock::grpc([Script::Hang]).await;
    let client = ServiceBuilder::new()
        .layer(bulkhead())
        .map_request(|request| Request::map(request, Body::new))
        .service(channel(&stock));
    let client = fits_axum(client);
    let hanging = tokio::spawn(client.clone().oneshot(look()));
    while stock.requests() == 0 {
        tokio::task::yield_now().await;
    }
    let error = client.oneshot(look()).await.unwrap_err();
    assert!(cause::<Saturated>(&*error).is_some());
    hanging.abort();
}

#[tokio::test]
async fn key_is_stamped_on_a_call() {
    let stock = Stock::grpc([]).await;
    let client = ServiceBuilder::new()
        .layer(KeyLayer::random())
        .map_request(|request| Request::map(request, Body::new))
        .service(channel(&stock));
    fits_axum(client).oneshot(look()).await.unwrap();
    assert!(stock.seen()[0].1.contains_key(IDEMPOTENCY_KEY));
}
