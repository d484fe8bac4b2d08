//! A call's permit, given back whatever becomes of the call.

use std::sync::Arc;

use aplomb_core::{Call, Dice, Outcome, time};

use crate::circuits::{Circuits, Hears, Terms};
use crate::held::Held;
use crate::vote::Ended;

/// What every call through a layer shares.
#[derive(Debug)]
pub(crate) struct Shared<K, C, O> {
    pub(crate) circuits: Arc<Circuits>,
    pub(crate) terms: Terms,
    pub(crate) key: K,
    pub(crate) classify: C,
    pub(crate) observer: O,
    pub(crate) dice: Dice,
    // A drop may ask for no more than its type does; what it does is chosen where more is known.
    pub(crate) settle: fn(&Self, &Held, Ended),
}

impl<K, C, O: Hears> Shared<K, C, O> {
    pub(crate) fn settle(&self, held: &Held, ended: Ended) {
        self.circuits.settle(&self.terms, held, ended, &self.dice, &self.observer);
    }
}

/// A call that is out. Dropped before its end is told, it tells by itself: that its caller gave it
/// up, or that the service panicked.
pub(crate) struct Guard<K, C, O> {
    pub(crate) shared: Arc<Shared<K, C, O>>,
    pub(crate) call: Call,
    held: Held,
}

impl<K, C, O> Guard<K, C, O> {
    #[inline]
    pub(crate) fn new(shared: Arc<Shared<K, C, O>>, call: Call, held: Held) -> Self {
        Self { shared, call, held }
    }

    /// Runs what may panic. A panic is told apart from one that passes by: the thread panics in both
    /// cases, but only here is it the service's.
    #[inline]
    pub(crate) fn inside<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.held.is_inside = true;
        let done = work();
        self.held.is_inside = false;
        done
    }

    /// The call is not answered at once.
    #[inline]
    pub(crate) fn waits(&mut self) {
        self.held.waits(&self.shared.terms.settings.trip, time::now);
    }

    /// The call was answered, and this is what its answer means.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a tenth of its cost would be the call")]
    pub(crate) fn answered(&mut self, outcome: Outcome)
    where
        O: Hears,
    {
        let Shared { circuits, terms, .. } = &*self.shared;
        if outcome == Outcome::Success && circuits.count_success(terms, &self.held) {
            self.held.votes = false;
        } else {
            self.end(outcome);
        }
    }

    /// The call ended in a way that has to be looked at.
    #[inline(never)]
    pub(crate) fn end(&mut self, outcome: Outcome)
    where
        O: Hears,
    {
        self.shared.settle(&self.held, Ended::With(outcome));
        self.held.votes = false;
    }
}

impl<K, C, O> Drop for Guard<K, C, O> {
    #[inline]
    fn drop(&mut self) {
        if self.held.votes {
            let ended = if self.held.is_inside { Ended::Panicked } else { Ended::Dropped };
            (self.shared.settle)(&self.shared, &self.held, ended);
        }
    }
}
