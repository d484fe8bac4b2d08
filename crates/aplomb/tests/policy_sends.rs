//! What a preset sends, through the layers that are built from it.

#![cfg(feature = "policy")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aplomb::core::{Attempts, Dice, OperationClass};
use aplomb::policy::{Key, Pace, Policy};
use aplomb::{Budget, RetryLayer};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use tower::{ServiceBuilder, ServiceExt, service_fn};

#[tokio::test(start_paused = true)]
async fn an_unkeyed_post_through_any_preset_is_sent_once() {
    for class in OperationClass::ALL {
        assert_eq!(sends(*class, Method::POST, None).await, 1, "{class}");
        assert_eq!(sends(*class, Method::PATCH, None).await, 1, "{class}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_safe_to_repeat_is_sent_as_often_as_the_preset_says() {
    for (class, method, key, expected) in [
        (OperationClass::Read, Method::GET, None, 2),
        (OperationClass::KeyedWrite, Method::POST, Some("k"), 3),
        (OperationClass::Confirm, Method::PUT, None, 1),
        (OperationClass::Deferred, Method::POST, Some("k"), 1),
        (OperationClass::BestEffort, Method::PUT, None, 2),
    ] {
        assert_eq!(sends(class, method, key).await, expected, "{class}");
    }
}

/// How often a request reaches a server that always answers 503, its budget full and its last retry
/// a success, so that the price of a second one is low.
async fn sends(class: OperationClass, method: Method, key: Option<&str>) -> u32 {
    let kept = Key::new("order", Duration::from_secs(9 * 24 * 3600));
    let policy = Policy::preset(class).key(kept).build().unwrap();
    let budget = Budget::new(policy.budget().unwrap_or_default().terms());
    budget.withdraw(aplomb::retry::Cost::FREE).unwrap().sent().succeeded();
    let attempts = match policy.pace() {
        Pace::Waiting => policy.attempts(),
        Pace::Once | Pace::Rescheduled => Attempts::ONE,
    };
    let retry = RetryLayer::new(budget)
        .max_attempts(attempts)
        .total(policy.total())
        .backoff(policy.backoff().unwrap_or_default())
        .dice(Dice::seeded(7))
        .honours_keys();
    let seen = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&seen);
    let service = ServiceBuilder::new().layer(retry).service(service_fn(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        let failed = Response::builder().status(503).body(Full::<Bytes>::default());
        async { Ok::<_, Infallible>(failed.unwrap()) }
    }));
    let mut request =
        Request::builder().method(method).uri("http://d/").body(Full::<Bytes>::default()).unwrap();
    if let Some(key) = key {
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    }
    let answer = service.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 503);
    seen.load(Ordering::Relaxed)
}
