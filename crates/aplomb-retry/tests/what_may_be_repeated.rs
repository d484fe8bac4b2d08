//! Nothing unsafe is ever repeated, whatever fails.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use aplomb_core::{NotRetried, Reason, Repeatable, cause};
use common::{Act, Script, keyed, layer, request};
use http::Method;
use tower::{Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn a_request_that_is_safe_to_repeat_is_repeated() {
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"] {
        let stock = Script::new([Act::Answer(503), Act::Reset]);
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let response = layer().layer(stock.clone()).oneshot(request(method)).await.unwrap();
        assert_eq!((response.status().as_u16(), stock.sends()), (200, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_without_a_key_is_sent_exactly_once_whatever_fails() {
    let failures =
        [Act::Answer(500), Act::Answer(503), Act::Pushback(429, "0"), Act::Answer(408), Act::Reset];
    for method in [Method::POST, Method::PATCH] {
        for failure in &failures {
            for honours in [false, true] {
                let stock = Script::always(failure.clone());
                let layer = if honours { layer().honours_keys() } else { layer() };
                let _ = layer.layer(stock.clone()).oneshot(request(method.clone())).await;
                assert_eq!(stock.sends(), 1, "{method} after {failure:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_that_never_left_is_sent_again() {
    let stock = Script::new([Act::Refuse]);
    let response = layer().layer(stock.clone()).oneshot(request(Method::POST)).await.unwrap();
    assert_eq!((response.status().as_u16(), stock.sends()), (200, 2));
}

#[tokio::test(start_paused = true)]
async fn a_key_alone_is_not_enough_the_operation_must_honour_it() {
    for (honours, sends) in [(false, 1), (true, 3)] {
        let stock = Script::new([Act::Answer(503), Act::Reset]);
        let layer = if honours { layer().honours_keys() } else { layer() };
        let _ = layer.layer(stock.clone()).oneshot(keyed(Method::POST)).await;
        assert_eq!(stock.sends(), sends);
    }
}

#[tokio::test(start_paused = true)]
async fn the_author_of_a_request_knows_better_than_its_method() {
    use Repeatable::{No, Yes};
    for (mark, mut request, sends) in [
        (Yes, request(Method::POST), 3),
        (No, request(Method::GET), 1),
        (No, keyed(Method::POST), 1),
    ] {
        let stock = Script::new([Act::Answer(503), Act::Reset]);
        request.extensions_mut().insert(mark);
        let client = layer().honours_keys().layer(stock.clone());
        let response = client.oneshot(request).await.unwrap();
        assert_eq!(stock.sends(), sends, "{mark:?}");
        let why = response.extensions().get().map(|why: &NotRetried| why.reason);
        assert_eq!(why, (sends == 1).then_some(Reason::Unsafe));
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_repeated_is_sent_again_when_it_never_left() {
    let stock = Script::new([Act::Refuse]);
    let mut once = request(Method::GET);
    once.extensions_mut().insert(Repeatable::No);
    let client = layer().only_reads().layer(stock.clone());
    assert_eq!(client.oneshot(once).await.unwrap().status(), 200);
    assert_eq!(stock.sends(), 2);
}

#[tokio::test(start_paused = true)]
async fn every_attempt_carries_the_same_key_headers_and_bytes_and_its_number() {
    let stock = Script::new([Act::Answer(503), Act::Reset]);
    layer().honours_keys().layer(stock.clone()).oneshot(keyed(Method::POST)).await.unwrap();
    let arrivals = stock.arrivals();
    assert_eq!(arrivals.len(), 3);
    for (arrival, number) in arrivals.iter().zip([None, Some("2"), Some("3")]) {
        assert_eq!(arrival.body, "body");
        let mut headers = arrival.headers.clone();
        let count = headers.remove("x-envoy-attempt-count");
        assert_eq!(count.as_ref().map(|count| count.to_str().unwrap()), number);
        assert_eq!(headers, arrivals[0].headers);
        assert_eq!(arrival.headers["idempotency-key"], "order_1_line_1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_in_flight_elsewhere_is_asked_for_again() {
    let stock = Script::new([Act::Pushback(409, "1")]);
    let call = layer().honours_keys().layer(stock.clone()).oneshot(keyed(Method::POST));
    assert_eq!(call.await.unwrap().status(), 200);
    assert!(stock.arrivals()[1].at >= std::time::Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_mistake_is_not_repeated() {
    for status in [400, 401, 404, 409, 410, 422] {
        let stock = Script::always(Act::Answer(status));
        let response = layer().layer(stock.clone()).oneshot(request(Method::GET)).await.unwrap();
        assert_eq!((response.status().as_u16(), stock.sends()), (status, 1));
        assert_eq!(response.extensions().get::<NotRetried>(), None, "nothing was refused");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_cap_goes_out_once_and_says_so() {
    let stock = Script::always(Act::Reset);
    let call = layer().body_cap(3).layer(stock.clone()).oneshot(request(Method::PUT));
    let error = call.await.unwrap_err();
    assert_eq!(cause::<NotRetried>(&*error).unwrap().reason, Reason::Body);
    assert_eq!((stock.sends(), &stock.arrivals()[0].body[..]), (1, &b"body"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_post_of_an_operation_that_only_reads_is_repeated() {
    let stock = Script::new([Act::Answer(503)]);
    let layer = layer().only_reads();
    layer.layer(stock.clone()).oneshot(request(Method::POST)).await.unwrap();
    assert_eq!(stock.sends(), 2);
}
