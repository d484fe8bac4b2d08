use aplomb_admission::AdmissionLayer;
use tower::Layer;
use tower::limit::ConcurrencyLimitLayer;

use super::Item;
use crate::inner::{Prompt, read};

pub(super) const ITEMS: &[Item] = &[
    Item::new("tower-limit", |driver, calls| {
        driver.drive(&mut ConcurrencyLimitLayer::new(PLACES as usize).layer(Prompt), read, calls);
    })
    .over("bare"),
    Item::new("admission", |driver, calls| {
        driver.drive(&mut AdmissionLayer::new(PLACES).layer(Prompt), read, calls);
    })
    .over("bare"),
    Item::new("bulkhead", |driver, calls| {
        driver.drive(&mut AdmissionLayer::outbound(PLACES).layer(Prompt), read, calls);
    })
    .over("bare")
    .beside("tower-limit", 1.8, 1.0),
];

/// Never used up by one call at a time.
const PLACES: u32 = 100;
