//! What a call that is out carries with it.

use std::sync::Arc;

use aplomb_core::time::Instant;

use crate::breaker::Permit;
use crate::cells::Cell;
use crate::trip::Trip;

/// What a call that is out holds: a permit of the only circuit, or one of its key's and one of the
/// circuit above. Small, since it lies beside the call's own future.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) begun: Option<Instant>,
    pub(crate) cell: Option<Arc<Cell>>,
    pub(crate) whole: u16,
    of_cell: u16,
    pub(crate) votes: bool,
    pub(crate) is_inside: bool,
}

impl Held {
    /// No circuit is to hear of this call.
    pub(crate) const NOTHING: Self =
        Self { begun: None, cell: None, whole: 0, of_cell: 0, votes: false, is_inside: false };

    #[inline]
    #[expect(clippy::needless_pass_by_value, reason = "it lives on here")]
    pub(crate) fn of(permit: Permit) -> Self {
        let Permit { generation, begun } = permit;
        Self { begun, whole: generation, votes: true, ..Self::NOTHING }
    }

    pub(crate) fn of_both(cell: Arc<Cell>, permit: &Permit, whole: Permit) -> Self {
        Self { cell: Some(cell), of_cell: permit.generation, ..Self::of(whole) }
    }

    /// The permit of the only circuit, or of the one above.
    pub(crate) fn of_whole(&self) -> Permit {
        Permit { generation: self.whole, begun: self.begun }
    }

    /// The permit of its key's circuit.
    pub(crate) fn of_cell(&self) -> Permit {
        Permit { generation: self.of_cell, begun: self.begun }
    }

    /// The call is not answered at once: from now on it is timed, if anybody asks for it.
    #[inline]
    pub(crate) fn waits(&mut self, trip: &Trip, clock: impl FnOnce() -> Instant) {
        if self.begun.is_none() && trip.times_calls() {
            self.begun = Some(clock());
        }
    }
}
