use std::time::Duration;

use aplomb_deadline::DeadlineLayer;
use tower::Layer;
use tower::timeout::TimeoutLayer;

use super::Item;
use crate::inner::{Later, Prompt, read};
use crate::peers::{resilience, seatbelt};

pub(super) const ITEMS: &[Item] = &[
    Item::new("tower-timeout", |driver, calls| {
        driver.drive(&mut TimeoutLayer::new(SECOND).layer(Prompt), read, calls);
    })
    .over("bare"),
    Item::new("deadline", |driver, calls| {
        driver.drive(&mut DeadlineLayer::total(SECOND).layer(Prompt), read, calls);
    })
    .over("bare"),
    Item::new("tower-timeout-pending", |driver, calls| {
        driver.drive(&mut TimeoutLayer::new(SECOND).layer(Later), read, calls);
    })
    .over("bare-pending"),
    Item::new("seatbelt-timeout-pending", |driver, calls| {
        driver.drive(&mut seatbelt::timeout(driver, SECOND).layer(Later), read, calls);
    })
    .over("bare-pending"),
    Item::new("tower-resilience-timeout-pending", |driver, calls| {
        driver.drive(&mut resilience::timeout(SECOND).layer(Later), read, calls);
    })
    .over("bare-pending"),
    Item::new("deadline-pending", |driver, calls| {
        driver.drive(&mut DeadlineLayer::total(SECOND).layer(Later), read, calls);
    })
    .over("bare-pending")
    .beside("tower-timeout-pending", 1.05, 1.0),
];

const SECOND: Duration = Duration::from_secs(1);
