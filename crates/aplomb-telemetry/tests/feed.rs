//! What a dashboard hears.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use aplomb_core::{Attempt, Failure, FailureKind, Observe};
use aplomb_retry::RetryEvent;
use aplomb_telemetry::{Feed, Heard};
use common::{inventory, metrics, ms};

#[tokio::test]
async fn an_event_is_a_small_value_that_leaves_out_what_it_does_not_say() {
    let feed = Feed::new(8);
    let look_up = inventory(&metrics().feeding(&feed));
    let mut reader = feed.read();
    let (failed, failure) = (Attempt::FIRST, Failure::new(FailureKind::Transient));
    look_up.observe(&RetryEvent::Waiting { failed, failure, wait: ms(30) });
    let mut heard = serde_json::to_value(reader.next().await.unwrap()).unwrap();
    assert!(heard.as_object_mut().unwrap().remove("at").unwrap().as_u64().unwrap() > 0);
    assert_eq!(
        heard,
        serde_json::json!({
            "dependency": "inventory", "operation": "look", "layer": "retry",
            "event": "waiting", "attempt": 1, "reason": "transient", "millis": 30,
        })
    );
}

#[tokio::test]
async fn a_slow_reader_loses_the_oldest_and_is_told_how_many() {
    let feed = Feed::new(4);
    let look_up = inventory(&metrics().feeding(&feed));
    let mut reader = feed.read();
    for _ in 0..7 {
        look_up.observe(&RetryEvent::Resent { attempt: Attempt::FIRST.next() });
    }
    let lost = reader.next().await.unwrap();
    assert_eq!(lost, Heard::Lost { events: 3 });
    assert_eq!(serde_json::to_string(&lost).unwrap(), r#"{"lost":3}"#);
    for _ in 0..4 {
        assert!(matches!(reader.next().await, Some(Heard::Happening(_))));
    }
}

#[tokio::test]
async fn a_reader_hears_nothing_from_before_it_came_and_learns_that_the_feed_ended() {
    let feed = Feed::new(4);
    let metrics = metrics().feeding(&feed);
    let look_up = inventory(&metrics);
    look_up.observe(&RetryEvent::Resent { attempt: Attempt::FIRST.next() });
    let mut reader = feed.read();
    drop((feed, metrics, look_up));
    assert_eq!(reader.next().await, None);
}
