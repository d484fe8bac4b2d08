//! The layers as the cells use them, and what axum wants of what they make.

use aplomb::retry::Terms;
use aplomb::{Backoff, BackoffLayer, Budget, RetryLayer, chaos};
use aplomb_core::Ratio;

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
