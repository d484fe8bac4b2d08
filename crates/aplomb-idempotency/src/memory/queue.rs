use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::RecordId;
use crate::record::{State, Timestamp};

/// Records in the order in which time does something to them.
#[derive(Default)]
pub(super) struct Queue {
    order: Mutex<Order>,
}

#[derive(Default)]
struct Order {
    /// When a sweep has something to do, soonest first.
    due: BTreeSet<(Timestamp, RecordId)>,
    /// What may be forgotten for lack of room, the soonest to expire first.
    tombstones: BTreeSet<(Timestamp, RecordId)>,
}

impl Queue {
    /// A record went from one state to another; none stands for its absence. Called while the
    /// record is locked, so that the two never differ.
    pub(super) fn moved(&self, id: RecordId, from: Option<&State>, to: Option<&State>) {
        let (was, is) = (from.and_then(State::due), to.and_then(State::due));
        let was_tombstone = matches!(from, Some(State::Tombstone { .. }));
        let is_tombstone = matches!(to, Some(State::Tombstone { .. }));
        if was == is && was_tombstone == is_tombstone {
            return;
        }
        let mut order = self.lock();
        if let Some(was) = was {
            order.due.remove(&(was, id));
            order.tombstones.remove(&(was, id));
        }
        if let Some(is) = is {
            order.due.insert((is, id));
            if is_tombstone {
                order.tombstones.insert((is, id));
            }
        }
    }

    /// A record that is due.
    pub(super) fn due(&self, now: Timestamp) -> Option<RecordId> {
        self.lock().due.first().filter(|(due, _)| *due <= now).map(|&(_, id)| id)
    }

    /// The tombstone to forget first.
    pub(super) fn tombstone(&self) -> Option<RecordId> {
        self.lock().tombstones.first().map(|&(_, id)| id)
    }

    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
