use aplomb_backoff::Backoff;
use aplomb_core::Dice;
use aplomb_retry::{Budget, RetryLayer};
use std::time::Duration;
use tower::Layer;

use super::Item;
use crate::inner::{Failing, Prompt, read, read_8, write};
use crate::peers::{resilience, seatbelt, tower as plain};

pub(super) const ITEMS: &[Item] = &[
    Item::new("tower-retry", |driver, calls| {
        driver.drive(&mut plain::retry().layer(Prompt), read, calls);
    })
    .over("bare"),
    Item::new("seatbelt-retry", |driver, calls| {
        driver.drive(&mut seatbelt::retry(driver).layer(Prompt), read, calls);
    })
    .over("bare"),
    Item::new("tower-resilience-retry", |driver, calls| {
        driver.drive(&mut resilience::retry().layer(Prompt), read, calls);
    })
    .over("bare"),
    Item::new("retry", |driver, calls| driver.drive(&mut retry().layer(Prompt), read, calls))
        .over("bare")
        .beside("tower-retry", 1.0, 0.85),
    Item::new("tower-retry-8-headers", |driver, calls| {
        driver.drive(&mut plain::retry().layer(Prompt), read_8, calls);
    })
    .over("bare-8-headers"),
    Item::new("retry-8-headers", |driver, calls| {
        driver.drive(&mut retry().layer(Prompt), read_8, calls);
    })
    .over("bare-8-headers")
    .beside("tower-retry-8-headers", 1.0, 0.85),
    Item::new("tower-retry-post", |driver, calls| {
        driver.drive(&mut plain::retry().layer(Prompt), write, calls);
    })
    .over("bare-post"),
    Item::new("retry-once", |driver, calls| {
        let once = retry().max_attempts(1).unlimited_total();
        driver.drive(&mut once.layer(Prompt), write, calls);
    })
    .over("bare-post")
    .beside("tower-retry-post", 0.4, 0.25),
    Item::new("retry-post", |driver, calls| driver.drive(&mut retry().layer(Prompt), write, calls))
        .over("bare-post")
        .beside("tower-retry-post", 1.0, 0.85),
    Item::new("tower-first-retry", |driver, calls| {
        driver.drive(&mut plain::rich_retry().layer(Failing::every_other()), read, calls);
    })
    .over("bare"),
    Item::new("first-retry", |driver, calls| {
        let service = Failing::every_other();
        driver.drive(&mut at_once(Budget::percent(100)).layer(service), read, calls);
    })
    .over("bare")
    .told_beside("tower-first-retry"),
    Item::new("tower-denied-retry", |driver, calls| {
        driver.drive(&mut plain::spent_retry().layer(Failing::always()), read, calls);
    })
    .over("bare"),
    Item::new("denied-retry", |driver, calls| {
        driver.drive(&mut at_once(Budget::percent(0)).layer(Failing::always()), read, calls);
    })
    .over("bare")
    .told_beside("tower-denied-retry"),
];

pub(super) fn retry() -> RetryLayer {
    RetryLayer::new(Budget::percent(20)).dice(Dice::seeded(1))
}

/// Waits for nothing, so that no timer is measured.
fn at_once(budget: Budget) -> RetryLayer {
    let nothing = Backoff::exponential(Duration::ZERO, Duration::ZERO);
    RetryLayer::new(budget).dice(Dice::seeded(1)).backoff(nothing)
}
