//! A call that is dropped is told of too, once, and never one that has ended.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aplomb_backoff::Backoff;
use aplomb_core::{Attempt, Deadline, time};
use aplomb_retry::RetryEvent;
use common::{Act, Script, layer, request};
use http::Method;
use tower::{Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_is_no_timeout() {
    let (heard, observer) = listener();
    let hung = layer().observe(observer).layer(Script::always(Act::Hang));
    let call = hung.oneshot(request(Method::GET));
    assert!(tokio::time::timeout(ms(10), call).await.is_err());
    let attempt = Attempt::FIRST;
    assert_eq!(*heard.lock().unwrap(), [RetryEvent::Abandoned { attempt, timed_out: false }]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_when_its_time_is_up_says_so() {
    let (heard, observer) = listener();
    let stack = layer().total(ms(100)).observe(observer);
    let call = stack.layer(Script::always(Act::Hang)).oneshot(request(Method::GET));
    assert!(tokio::time::timeout(ms(100), call).await.is_err());
    let attempt = Attempt::FIRST;
    assert_eq!(*heard.lock().unwrap(), [RetryEvent::Abandoned { attempt, timed_out: true }]);
}

#[tokio::test(start_paused = true)]
async fn a_call_with_one_attempt_knows_the_deadline_in_force_where_it_is_dropped() {
    let (heard, observer) = listener();
    let stack = layer().max_attempts(1).observe(observer).layer(Script::always(Act::Hang));
    let mut call = Box::pin(stack.oneshot(request(Method::GET)));
    assert!(is_pending(&mut call).await);
    let scope = Deadline::at(time::now()).enter();
    drop(call);
    drop(scope);
    let attempt = Attempt::FIRST;
    assert_eq!(*heard.lock().unwrap(), [RetryEvent::Abandoned { attempt, timed_out: true }]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_while_it_waits_names_the_attempt_that_was_sent() {
    let (heard, observer) = listener();
    let slow = Backoff::exponential(ms(50), ms(50));
    let stock = Script::always(Act::Answer(503));
    let call = layer().backoff(slow).observe(observer).layer(stock).oneshot(request(Method::GET));
    assert!(tokio::time::timeout(ms(60), call).await.is_err());
    let last = *heard.lock().unwrap().last().unwrap();
    let attempt = Attempt::FIRST.next();
    assert_eq!(last, RetryEvent::Abandoned { attempt, timed_out: false });
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ended_is_not_abandoned() {
    for act in [Act::Answer(200), Act::Answer(404), Act::Answer(501), Act::Reset] {
        let (heard, observer) = listener();
        let stack = layer().observe(observer).layer(Script::always(act.clone()));
        drop(stack.oneshot(request(Method::GET)).await);
        let heard = heard.lock().unwrap();
        let abandoned = |event: &&RetryEvent| matches!(event, RetryEvent::Abandoned { .. });
        assert_eq!(heard.iter().filter(abandoned).count(), 0, "{act:?}");
        assert!(!heard.is_empty());
    }
}

/// Polls once, and says whether it is still under way.
async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())
    })
    .await
}

type Heard = Arc<Mutex<Vec<RetryEvent>>>;

fn listener() -> (Heard, impl Fn(&RetryEvent) + Clone) {
    let heard = Heard::default();
    let into = Arc::clone(&heard);
    (heard, move |event: &RetryEvent| into.lock().unwrap().push(*event))
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
