use aplomb::policy::Policy;
use aplomb::stack::Stack;
use aplomb_circuit_breaker::CircuitBreakerLayer;
use aplomb_core::{Dice, OperationClass};
use tower::{Layer, ServiceBuilder};

use super::Item;
use super::fallback::fallback;
use super::retry::retry;
use crate::inner::{Later, Prompt, read};
use crate::peers::{resilience, seatbelt};

pub(super) const ITEMS: &[Item] = &[
    Item::new("seatbelt-three", |driver, calls| {
        let layers =
            ServiceBuilder::new().layer(seatbelt::fallback(driver)).layer(seatbelt::retry(driver));
        let mut service = layers.layer(seatbelt::breaker(driver)).service(Prompt);
        driver.drive(&mut service, read, calls);
    })
    .over("bare"),
    Item::new("tower-resilience-three", |driver, calls| {
        driver.drive(&mut resilience::three(Prompt), read, calls);
    })
    .over("bare"),
    Item::new("three", |driver, calls| {
        let layers = ServiceBuilder::new().layer(fallback()).layer(retry());
        let mut service = layers.layer(CircuitBreakerLayer::default()).service(Prompt);
        driver.drive(&mut service, read, calls);
    })
    .over("bare")
    .beside("tower-resilience-three", 0.3, 0.24),
    Item::new("whole-stack", |driver, calls| {
        let policy = Policy::preset(OperationClass::Read).build().expect("a preset is sound");
        let stack = Stack::new(policy).dice(Dice::seeded(1));
        driver.drive(&mut stack.layer(Later), read, calls);
    })
    .over("bare-pending"),
];
