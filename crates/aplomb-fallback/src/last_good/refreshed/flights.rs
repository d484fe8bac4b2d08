//! Who is asking already, by key.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// One flight for each key; who comes later waits for it.
///
/// There are never more than callers, since each flight is held by one.
pub(crate) struct Flights<K, L> {
    under_way: Mutex<HashMap<K, Weak<L>>>,
}

/// What a caller is to do.
pub(crate) enum Joined<K: Eq + Hash, L> {
    /// Ask, for itself and for all who wait.
    Leads(Flight<K, L>),
    /// Wait for this.
    Follows(Arc<L>),
}

/// The right to ask for a key. Dropping it lets the next one ask.
pub(crate) struct Flight<K: Eq + Hash, L> {
    key: K,
    flights: Arc<Flights<K, L>>,
    pub(crate) line: Arc<L>,
}

impl<K, L> Default for Flights<K, L> {
    fn default() -> Self {
        Self { under_way: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash, L> Flights<K, L> {
    /// Joins the flight of a key, or begins one on a new `line`.
    pub(crate) fn join(self: &Arc<Self>, key: &K, line: impl FnOnce() -> L) -> Joined<K, L> {
        let mut under_way = self.lock();
        if let Some(line) = under_way.get(key).and_then(Weak::upgrade) {
            return Joined::Follows(line);
        }
        let line = Arc::new(line());
        under_way.insert(key.clone(), Arc::downgrade(&line));
        drop(under_way);
        Joined::Leads(Flight { key: key.clone(), flights: Arc::clone(self), line })
    }
}

impl<K: Eq + Hash, L> Flights<K, L> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Weak<L>>> {
        // Nothing that could panic happens under this lock.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, L> Drop for Flight<K, L> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}

impl<K, L> fmt::Debug for Flights<K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}
