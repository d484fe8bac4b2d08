use aplomb_core::DegradedKind;
use aplomb_fallback::{FallbackLayer, Fixed};
use bytes::Bytes;
use http::Response;
use tower::Layer;

use super::Item;
use crate::inner::{Prompt, read};
use crate::peers::{resilience, seatbelt};

pub(super) const ITEMS: &[Item] = &[
    Item::new("seatbelt-fallback", |driver, calls| {
        driver.drive(&mut seatbelt::fallback(driver).layer(Prompt), read, calls);
    })
    .over("bare"),
    Item::new("tower-resilience-fallback", |driver, calls| {
        driver.drive(&mut resilience::fallback().layer(Prompt), read, calls);
    })
    .over("bare"),
    Item::new("fallback", |driver, calls| driver.drive(&mut fallback().layer(Prompt), read, calls))
        .over("bare")
        .within("bare", 1.05, 1.0),
];

pub(super) fn fallback() -> FallbackLayer<Fixed> {
    let answer = Response::new(Bytes::from_static(b"{\"available\":null}"));
    FallbackLayer::fixed(Fixed::new(DegradedKind::Approximate, answer))
}
