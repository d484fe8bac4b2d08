//! Which attempt a send is: on the wire, to whoever observes, to whoever asks afterwards.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::time::Duration;

use aplomb_core::{BoxError, NotRetried, Reason, Saturated, cause, owner};
use aplomb_retry::RetryEvent;
use common::{Act, Body, Heard, Script, keyed, layer, request};
use http::{Method, Response};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

const SOON: Duration = Duration::from_millis(50);

#[tokio::test(start_paused = true)]
async fn what_was_held_back_is_no_attempt_to_whoever_receives_the_next() {
    let (stock, heard) = (Script::new([Act::HoldBack(SOON), Act::Answer(503)]), Heard::default());
    let client = layer().observe(heard.clone()).layer(stock.clone());
    client.oneshot(request(Method::GET)).await.unwrap();
    assert_eq!(counts(&stock), [None, None, Some(2)]);
    let numbers = heard.events().into_iter().map(|event| match event {
        RetryEvent::Waiting { failed, .. } => ("waiting", failed.number()),
        RetryEvent::Resent { attempt } => ("resent", attempt.number()),
        RetryEvent::Done { attempt, success: true } => ("done", attempt.number()),
        other => panic!("{other:?}"),
    });
    let expected = [("waiting", 1), ("resent", 1), ("waiting", 1), ("resent", 2), ("done", 2)];
    assert_eq!(numbers.collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn holding_back_has_an_end_though_it_is_no_send() {
    let stock = Script::always(Act::HoldBack(SOON));
    let client = layer().unlimited_total().layer(stock.clone());
    let error = client.oneshot(request(Method::GET)).await.unwrap_err();
    assert_eq!(stock.sends(), 3);
    assert_eq!(why(&error), (Reason::Attempts, 1));
}

#[tokio::test(start_paused = true)]
async fn layers_around_each_other_count_on() {
    let stock = Script::new([Act::Refuse, Act::Answer(503), Act::Reset]);
    let response = nested(&stock).oneshot(keyed(Method::POST)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(counts(&stock), [None, Some(2), Some(3), Some(4)]);
}

#[tokio::test(start_paused = true)]
async fn the_note_counts_what_all_layers_sent() {
    let told = Act::Header(503, "x-should-retry", "false");
    let stock = Script::new([Act::Refuse, Act::Answer(503), told]);
    let response = nested(&stock).oneshot(keyed(Method::POST)).await.unwrap();
    let note = response.extensions().get::<NotRetried>().unwrap();
    assert_eq!((note.reason, note.attempt.number()), (Reason::Told, 3));
}

#[tokio::test(start_paused = true)]
async fn a_full_bulkhead_says_which_send_it_held_back() {
    for (script, number) in [
        (vec![Act::Full], 1),
        (vec![Act::Answer(503), Act::Full], 2),
        (vec![Act::HoldBack(SOON), Act::Full], 1),
    ] {
        let (stock, heard) = (Script::new(script), Heard::default());
        let client = layer().observe(heard.clone()).layer(stock.clone());
        let error = client.oneshot(request(Method::GET)).await.unwrap_err();
        assert!(cause::<Saturated>(&*error).is_some());
        assert_eq!(why(&error), (Reason::Saturated, number));
        let last = heard.events().pop();
        assert!(matches!(last, Some(RetryEvent::Done { success: false, .. })), "{last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_bulkhead_under_two_layers_counts_what_both_sent() {
    let stock = Script::new([Act::Answer(503), Act::Refuse, Act::Full]);
    let error = nested(&stock).oneshot(keyed(Method::POST)).await.unwrap_err();
    assert_eq!(why(&error), (Reason::Saturated, 3));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_passed_on_is_counted_on() {
    for (came, sent) in [("3", [3, 4]), ("4294967295", [u32::MAX; 2]), ("4294967296", [0, 2])] {
        let stock = Script::new([Act::Answer(503)]);
        let mut passed_on = request(Method::GET);
        passed_on.headers_mut().insert(owner::ATTEMPT_COUNT, came.parse().unwrap());
        layer().layer(stock.clone()).oneshot(passed_on).await.unwrap();
        // What nobody can read goes out once more as it came.
        assert_eq!(counts(&stock), sent.map(|count| (count > 0).then_some(count)), "{came}");
    }
}

/// An outer layer that knows of keys around one that does not.
fn nested(
    stock: &Script,
) -> impl Service<http::Request<Body>, Response = Response<Body>, Error = BoxError> {
    ServiceBuilder::new().layer(layer().honours_keys()).layer(layer()).service(stock.clone())
}

/// The attempt counts that arrived; none where there was no number.
fn counts(stock: &Script) -> Vec<Option<u32>> {
    let count = |headers: &http::HeaderMap| {
        headers.get(owner::ATTEMPT_COUNT)?.to_str().unwrap().parse().ok()
    };
    stock.arrivals().iter().map(|arrival| count(&arrival.headers)).collect()
}

fn why(error: &BoxError) -> (Reason, u32) {
    let note = cause::<NotRetried>(&**error).unwrap();
    (note.reason, note.attempt.number())
}
