//! A call tells how it went to whoever asks.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::time::Duration;

use aplomb_backoff::Backoff;
use aplomb_core::{CallRecord, KeepRecord, OperationClass, Ratio, Reason, cause};
use aplomb_retry::{Budgets, RetryLayer, Terms};
use common::{Act, Script, layer, request};
use http::Method;
use tower::{Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn a_rescued_call_tells_what_was_decided_and_paid() {
    let steady = Backoff::exponential(ms(30), ms(30));
    let mut asked = request(Method::GET);
    asked.extensions_mut().insert(KeepRecord);
    let stock = Script::new([Act::Answer(503)]);
    let response = layer().backoff(steady).layer(stock).oneshot(asked).await.unwrap();
    let record = response.extensions().get::<CallRecord>().unwrap();
    assert_eq!(record.to_string(), "attempt 1 failed (transient), 100 in the budget: waited 30 ms");
    assert_eq!(record.decisions[0].balance_after.to_string(), "99");
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_tells_it_beside_its_error() {
    let layer = layer().max_attempts(2).keep_records();
    let error = layer.layer(Script::always(Act::Reset)).oneshot(request(Method::GET)).await;
    let error = error.unwrap_err();
    let record = cause::<CallRecord>(&*error).unwrap();
    assert_eq!(record.decisions.len(), 2);
    assert_eq!(record.decisions[1].then, Err(Reason::Attempts));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_ask_is_told_nothing() {
    let stock = Script::new([Act::Answer(503)]);
    let response = layer().layer(stock).oneshot(request(Method::GET)).await.unwrap();
    assert!(response.extensions().get::<CallRecord>().is_none());
}

#[tokio::test(start_paused = true)]
async fn each_class_of_operation_spends_its_own_budget() {
    let budgets = Budgets::new(Terms::earning(Ratio::ZERO).cap(1));
    let layer = RetryLayer::new(budgets.clone());
    for (class, sends) in [(None, 2), (None, 1), (Some(OperationClass::Deferred), 2)] {
        let stock = Script::always(Act::Answer(503));
        let mut read = request(Method::GET);
        class.and_then(|class| read.extensions_mut().insert::<OperationClass>(class));
        layer.layer(stock.clone()).oneshot(read).await.unwrap();
        assert_eq!(stock.sends(), sends, "{class:?}");
    }
    assert_eq!(budgets.of("stock", OperationClass::Read).balance().to_string(), "0");
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_only_observes_tells_what_it_would_have_sent_and_sends_nothing() {
    let heard = common::Heard::default();
    let budget = aplomb_retry::Budget::new(Terms::earning(Ratio::ZERO).cap(1));
    let layer = RetryLayer::new(budget.clone()).observe(heard.clone()).observe_only();
    let stock = Script::always(Act::Answer(503));
    for _ in 0..2 {
        let response = layer.layer(stock.clone()).oneshot(request(Method::GET)).await.unwrap();
        assert!(response.extensions().get::<aplomb_core::NotRetried>().is_none());
    }
    assert_eq!(stock.sends(), 2);
    let events = heard.events();
    assert!(matches!(events[0], aplomb_retry::RetryEvent::WouldRetry { .. }), "{events:?}");
    let refused = aplomb_retry::RetryEvent::Refused {
        attempt: aplomb_core::Attempt::FIRST,
        failure: aplomb_core::Failure::new(aplomb_core::FailureKind::Transient),
        reason: Reason::Budget,
    };
    assert_eq!(events[1..], [refused]);
    assert_eq!(budget.balance().to_string(), "0");
}
