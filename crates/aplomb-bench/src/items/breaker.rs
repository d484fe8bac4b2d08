use std::time::Duration;

use aplomb_backoff::Backoff;
use aplomb_circuit_breaker::{CircuitBreakerLayer, State};
use tower::Layer;

use super::Item;
use crate::drive::Driver;
use crate::inner::{Failing, Prompt, read};
use crate::peers::{failsafe, resilience, seatbelt};

pub(super) const ITEMS: &[Item] =
    &[
        Item::new("failsafe-breaker", |driver, calls| {
            driver.drive(&mut failsafe::breaker(Prompt), read, calls);
        })
        .over("bare"),
        Item::new("seatbelt-breaker", |driver, calls| {
            driver.drive(&mut seatbelt::breaker(driver).layer(Prompt), read, calls);
        })
        .over("bare"),
        Item::new("tower-resilience-breaker", |driver, calls| {
            driver.drive(&mut resilience::breaker().0.layer(Prompt), read, calls);
        })
        .over("bare"),
        Item::new("tower-resilience-breaker-timed-1k", |driver, calls| {
            let mut service = resilience::timed_breaker().layer(Prompt);
            driver.drive(&mut service, read, 1_000);
            driver.drive(&mut service, read, calls);
        })
        .over("bare"),
        Item::new("breaker", |driver, calls| filled(driver, 0, calls)).over("bare").beside(
            "failsafe-breaker",
            0.6,
            0.24,
        ),
        Item::new("breaker-1k", |driver, calls| filled(driver, 1_000, calls)).over("bare").beside(
            "failsafe-breaker",
            0.6,
            0.24,
        ),
        Item::new("breaker-100k", |driver, calls| filled(driver, 100_000, calls))
            .over("bare")
            .beside("failsafe-breaker", 0.6, 0.24),
        Item::new("breaker-keyed", |driver, calls| {
            let keyed = CircuitBreakerLayer::default().per_authority();
            driver.drive(&mut keyed.layer(Prompt), read, calls);
        })
        .over("bare")
        .beside("tower-resilience-breaker", 0.6, 0.24),
        Item::new("failsafe-breaker-open", |driver, calls| {
            driver.drive(&mut failsafe::open_breaker(Prompt), read, calls);
        })
        .over("bare"),
        Item::new("seatbelt-breaker-open", |driver, calls| {
            driver.drive(&mut seatbelt::open_breaker(driver), read, calls);
        })
        .over("bare"),
        Item::new("tower-resilience-breaker-open", |driver, calls| {
            let (layer, handle) = resilience::breaker();
            driver.wait_for(handle.force_open());
            driver.drive(&mut layer.layer(Prompt), read, calls);
        })
        .over("bare"),
        Item::new("breaker-open", |driver, calls| {
            let layer = CircuitBreakerLayer::default().open_for(Backoff::exponential(HOUR, HOUR));
            driver.drive(&mut layer.layer(Failing::always()), read, 1_000);
            assert_eq!(layer.handle().snapshot().state, State::Open);
            driver.drive(&mut layer.layer(Prompt), read, calls);
        })
        .over("bare")
        .beside("tower-resilience-breaker-open", 0.2, 0.0),
    ];

/// A closed breaker with so many calls in its window.
fn filled(driver: &Driver, before: u64, calls: u64) {
    let mut service = CircuitBreakerLayer::default().layer(Prompt);
    driver.drive(&mut service, read, before);
    driver.drive(&mut service, read, calls);
}

const HOUR: Duration = Duration::from_secs(3_600);
