//! The layers as the cells use them, and what axum wants of what they make.

use aplomb::admission::{AdmissionLayer, Outbound};
use aplomb::circuit_breaker::Trip;
use aplomb::fallback::Fixed;
use aplomb::retry::Terms;
use aplomb::{
    Backoff, BackoffLayer, Budget, CircuitBreakerLayer, FallbackLayer, RetryLayer, chaos,
};
use aplomb_core::{DegradedKind, Ratio};
use bytes::Bytes;
use http::Response;

use crate::wire::ms;

/// Retries that soon come and are never refused for money.
pub(crate) fn retry() -> RetryLayer {
    let rich = Budget::new(Terms::earning(Ratio::ONE).cap(1_000));
    RetryLayer::new(rich).backoff(Backoff::full(ms(1), ms(1))).unlimited_total()
}

/// A pace that a pushback sets, and for which no call waits.
pub(crate) fn backoff() -> BackoffLayer {
    BackoffLayer::new(Backoff::interactive()).longest_wait(ms(0))
}

/// A circuit that one failure opens.
pub(crate) fn breaker() -> CircuitBreakerLayer {
    CircuitBreakerLayer::new(Trip::default().failures_in_a_row(1))
}

/// One place, for which nobody waits.
pub(crate) fn bulkhead() -> AdmissionLayer<Outbound> {
    AdmissionLayer::outbound(1).longest_wait(ms(0))
}

/// The same on a server, which answers by itself.
pub(crate) fn doors() -> AdmissionLayer {
    AdmissionLayer::new(1).longest_wait(ms(0))
}

/// Few words when nothing else is known.
pub(crate) fn fallback() -> FallbackLayer<Fixed> {
    let few = Response::new(Bytes::from_static(b"few"));
    FallbackLayer::new(Fixed::new(DegradedKind::Approximate, few))
}

/// A network that loses the next answer.
pub(crate) fn loses_one() -> chaos::Chaos {
    let chaos = chaos::Chaos::seeded(7);
    chaos.set(chaos::Knobs { lose_next: 1, ..chaos::Knobs::default() });
    chaos
}

/// What axum asks of a service.
pub(crate) fn fits_axum<S: Clone + Send + Sync + 'static>(service: S) -> S {
    service
}
