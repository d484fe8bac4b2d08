//! The time and the places that a fallback has, and what is left when it does not answer.

mod common;

use std::convert::Infallible;

use aplomb_core::{BoxError, Condition, Deadline, DegradedKind, cause, time};
use aplomb_fallback::{FallbackEvent, FallbackLayer, Fixed, Missed, Nothing, OrElse, Unanswered};
use bytes::Bytes;
use common::{Events, Stock, answer, down, get, ms, seconds, send, text};
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::sleep;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};

#[tokio::test(start_paused = true)]
async fn a_fallback_that_is_late_leaves_the_original_answer() {
    let (events, begun) = (Events::default(), time::now());
    let layer = FallbackLayer::new(service_fn(slow)).slice(ms(50)).observe(events.clone());
    let service = layer.layer(Stock::says(|_| down()));
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down");
    assert_eq!(time::now() - begun, ms(50));
    assert_eq!(events.take(), [unanswered(Unanswered::Late)]);
}

#[tokio::test(start_paused = true)]
async fn the_slice_covers_the_body_too() {
    let trickles = service_fn(|_: Request<Missed>| async {
        let body = http_body_util::StreamBody::new(Trickle(Box::pin(sleep(seconds(9)))));
        Ok::<_, Infallible>(Response::new(body))
    });
    let begun = time::now();
    let service = FallbackLayer::new(trickles).layer(Stock::says(|_| down()));
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down");
    assert_eq!(time::now() - begun, ms(100));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_will_wait_less_shortens_the_slice() {
    let begun = time::now();
    let service = FallbackLayer::new(service_fn(slow)).slice(seconds(9));
    let service = service.layer(Stock::says(|_| down()));
    let mut request = get("/mugs");
    request.extensions_mut().insert(Deadline::after(begun, ms(20)));
    assert_eq!(text(&send(&service, request).await.unwrap()), "down");
    assert_eq!(time::now() - begun, ms(20));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_sees_how_long_it_has() {
    let looks = service_fn(|_: Request<Missed>| async {
        let left = Deadline::current().map(|deadline| deadline.remaining(time::now()));
        Ok::<_, Infallible>(Response::new(format!("{left:?}")))
    });
    let service = FallbackLayer::new(looks).slice(ms(70)).layer(Stock::says(|_| down()));
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "Some(70ms)");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_costs_no_time_is_given_when_time_is_up() {
    let fixed = Fixed::new(DegradedKind::Approximate, Response::new("at hand".into()));
    let service = FallbackLayer::new(fixed).layer(Stock::says(|_| down()));
    let mut request = get("/mugs");
    request.extensions_mut().insert(Deadline::at(time::now()));
    assert_eq!(text(&send(&service, request).await.unwrap()), "at hand");
}

#[tokio::test(start_paused = true)]
async fn over_the_cap_calls_keep_their_original_answer_and_wait_for_nobody() {
    let events = Events::default();
    let layer = FallbackLayer::new(service_fn(slow)).slice(seconds(9)).concurrent(2);
    let layer = layer.observe(events.clone());
    // Two applications of one layer value share its places.
    let services = [layer.layer(Stock::says(|_| down())), layer.layer(Stock::says(|_| down()))];
    let (first, second, third) = tokio::join!(
        send(&services[0], get("/mugs")),
        send(&services[1], get("/mugs")),
        send(&services[0], get("/mugs")),
    );
    assert_eq!(text(&third.unwrap()), "down");
    assert_eq!((text(&first.unwrap()), text(&second.unwrap())), ("slow", "slow"));
    assert_eq!(events.take()[0], unanswered(Unanswered::Full));
    // The places came back.
    assert_eq!(text(&send(&services[0], get("/mugs")).await.unwrap()), "slow");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_gives_its_place_back() {
    let layer = FallbackLayer::new(service_fn(slow)).slice(seconds(9)).concurrent(1);
    let service = layer.layer(Stock::says(|_| down()));
    assert!(tokio::time::timeout(ms(5), send(&service, get("/mugs"))).await.is_err());
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "slow");
}

#[tokio::test(start_paused = true)]
async fn a_fallback_that_fails_leaves_the_original_answer() {
    let events = Events::default();
    let fails = service_fn(|_: Request<Missed>| async {
        Err::<Response<Full<Bytes>>, BoxError>("it broke".into())
    });
    let service = FallbackLayer::new(fails).observe(events.clone());
    let service = service.layer(Stock::says(|_| Err("the original".into())));
    let error = send(&service, get("/mugs")).await.unwrap_err();
    assert_eq!(error.to_string(), "the original");
    assert_eq!(events.take(), [unanswered(Unanswered::Failed)]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_no_answer_unless_it_was_prepared() {
    let replica = service_fn(|_: Request<Missed>| async {
        Response::builder().status(500).body(Full::<Bytes>::from("replica broke"))
    });
    let service = FallbackLayer::new(replica).layer(Stock::says(|_| down()));
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down");

    let page = Response::builder().status(503).body("come back later".into()).unwrap();
    let service = FallbackLayer::new(Fixed::new(DegradedKind::Approximate, page));
    let service = service.layer(Stock::says(|_| down()));
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "come back later");
}

#[tokio::test(start_paused = true)]
async fn an_answer_over_the_cap_is_a_failure() {
    let long = service_fn(|_: Request<Missed>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("12345")))
    });
    for (cap, said) in [(5, "12345"), (4, "down")] {
        let service = FallbackLayer::new(long).body_cap(cap).layer(Stock::says(|_| down()));
        assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), said);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fallback_that_is_not_ready_in_time_leaves_the_original_answer() {
    let mut busy = ConcurrencyLimit::new(service_fn(slow), 1);
    busy.ready().await.unwrap();
    let service = FallbackLayer::new(busy.clone()).layer(Stock::says(|_| down()));
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down");
}

#[tokio::test(start_paused = true)]
async fn what_the_failed_call_held_is_given_back_before_the_fallback_is_asked() {
    // A limit of one around both: a fallback that asks it while the failed call held it never ends.
    let limited = ConcurrencyLimit::new(
        Stock::says(|request| match request.uri().path() {
            "/primary" => down(),
            _ => answer(200, "from the same pool"),
        }),
        1,
    );
    let again = limited.clone();
    let asks = service_fn(move |_: Request<Missed>| again.clone().oneshot(get("/other")));
    let service = FallbackLayer::new(asks).layer(limited);
    let mut service = service.clone();
    let response = service.ready().await.unwrap().call(get("/primary")).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn the_second_of_two_fallbacks_answers_when_the_first_does_not() {
    let fixed = || Fixed::new(DegradedKind::Approximate, Response::new("the second".into()));
    let nothing =
        service_fn(|_: Request<Missed>| async { Err::<Response<Full<Bytes>>, _>(Nothing) });
    let broken = service_fn(|_: Request<Missed>| async {
        Response::builder().status(502).body(Full::<Bytes>::default())
    });
    let service = FallbackLayer::new(OrElse::new(nothing, fixed())).layer(Stock::says(|_| down()));
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "the second");
    let service = FallbackLayer::new(OrElse::new(broken, fixed())).layer(Stock::says(|_| down()));
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "the second");
    let service = FallbackLayer::new(OrElse::new(fixed(), nothing)).layer(Stock::says(|_| down()));
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "the second");
    let service = FallbackLayer::new(OrElse::new(Unready, fixed())).layer(Stock::says(|_| down()));
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "the second");
}

#[tokio::test(start_paused = true)]
async fn when_no_fallback_has_anything_to_say_the_original_error_is_found() {
    let (events, nothing) = (Events::default(), || {
        service_fn(|_: Request<Missed>| async { Err::<Response<Full<Bytes>>, _>(Nothing) })
    });
    let layer = FallbackLayer::new(OrElse::new(nothing(), nothing())).observe(events.clone());
    let reset = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let service = layer.layer(Stock::says(move |_| Err(reset().into())));
    let error = send(&service, get("/mugs")).await.unwrap_err();
    assert!(cause::<std::io::Error>(&*error).is_some() && cause::<Nothing>(&*error).is_none());
    assert_eq!(events.take(), [unanswered(Unanswered::Nothing)]);
}

#[tokio::test(start_paused = true)]
async fn a_rest_that_does_not_come_is_waited_for_a_moment_only() {
    let begun = time::now();
    let hangs = service_fn(|_: common::Asked| async {
        let body = http_body_util::StreamBody::new(Trickle(Box::pin(sleep(seconds(9)))));
        Response::builder().status(503).body(body).map_err(BoxError::from)
    });
    let fixed = Fixed::new(DegradedKind::Approximate, Response::new("at hand".into()));
    let service = FallbackLayer::new(fixed).layer(hangs);
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "at hand");
    assert_eq!(time::now() - begun, ms(5));
}

async fn slow(_: Request<Missed>) -> Result<Response<Full<Bytes>>, Infallible> {
    sleep(seconds(1)).await;
    Ok(Response::new("slow".into()))
}

fn unanswered(why: Unanswered) -> FallbackEvent {
    let condition = Condition::Upstream;
    FallbackEvent::Unanswered { condition, why }
}

/// A body whose first frame comes late.
struct Trickle(std::pin::Pin<Box<tokio::time::Sleep>>);

impl futures_util::Stream for Trickle {
    type Item = Result<http_body::Frame<Bytes>, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.as_mut().poll(cx).map(|()| None)
    }
}

/// A fallback that broke, and must not be called.
#[derive(Clone)]
struct Unready;

impl Service<Request<Missed>> for Unready {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Self::Response, BoxError>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), BoxError>> {
        std::task::Poll::Ready(Err("it broke".into()))
    }

    fn call(&mut self, _: Request<Missed>) -> Self::Future {
        panic!("it is not ready")
    }
}
