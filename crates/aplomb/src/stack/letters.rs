//! Requests that finally failed, kept for redrive.

use aplomb_core::Rng;
use aplomb_dead_letter::{DeadLetter, DeadLetterLayer};
use tower_layer::Layer;

use super::around::{Around, Calls};
use super::either::Either;
use crate::policy::{Mode, Pace, Policy, WhenExhausted};

/// Letters of each operation whose policy says `dead-letter`. Made by `dead_letters`.
#[derive(Clone, Debug)]
pub struct Lettered<A, K, C, P> {
    inner: A,
    layer: DeadLetterLayer<K, C, P>,
}

impl<A, K, C, P> Lettered<A, K, C, P> {
    pub(crate) const fn new(inner: A, layer: DeadLetterLayer<K, C, P>) -> Self {
        Self { inner, layer }
    }
}

impl<A, K, C, P> Calls for Lettered<A, K, C, P> {}

impl<S, O, A, K, C, P> Around<S, O> for Lettered<A, K, C, P>
where
    A: Around<S, O>,
    C: Clone,
    P: Clone,
{
    type Service = Either<DeadLetter<A::Service, K, C, P>, A::Service>;

    fn around(&self, name: &str, policy: &Policy, observer: &O, inner: S) -> Self::Service {
        let inner = self.inner.around(name, policy, observer, inner);
        let keeps = matches!(policy.when_exhausted(), WhenExhausted::DeadLetter { .. });
        if keeps && policy.mode() == Mode::Enforce {
            return Either::Layered(rounds(&self.layer, policy).layer(inner));
        }
        Either::Bare(inner)
    }
}

/// How often a job comes back, after which waits: as its policy says.
fn rounds<K, C: Clone, P: Clone>(
    layer: &DeadLetterLayer<K, C, P>,
    policy: &Policy,
) -> DeadLetterLayer<K, C, P> {
    let layer = layer.clone();
    match policy.backoff() {
        Some(backoff) if policy.pace() == Pace::Rescheduled => {
            let layer = layer.rounds_max(policy.attempts().get());
            layer.schedule(move |round: u32, rng: &mut Rng| backoff.delay(round, rng))
        }
        _ => layer,
    }
}
