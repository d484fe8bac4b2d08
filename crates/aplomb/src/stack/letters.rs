//! Requests that finally failed, kept for redrive.

use aplomb_dead_letter::{DeadLetter, DeadLetterLayer};
use tower_layer::Layer;

use super::around::Around;
use super::either::Either;
use crate::policy::{Mode, Policy, WhenExhausted};

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
            return Either::Layered(self.layer.layer(inner));
        }
        Either::Bare(inner)
    }
}
