//! A circuit for each key, bounded.

use std::sync::{Arc, Mutex, PoisonError};

use aplomb_core::time::{Duration, Instant};
use dashmap::DashMap;

use crate::breaker::Breaker;
use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// The circuits of the keys that were used last.
#[derive(Debug)]
pub(crate) struct Cells {
    origin: Instant,
    known: DashMap<Arc<str>, Arc<Cell>>,
    /// How many were ever made. One at a time makes a new one; who uses a known one waits for nobody.
    made: Mutex<u64>,
}

/// The circuit of a key.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) key: Arc<str>,
    pub(crate) breaker: Breaker,
    number: u64,
    used: AtomicU64,
    passed: AtomicU64,
    failed: AtomicU64,
    is_forgotten: AtomicBool,
}

impl Cells {
    pub(crate) fn new(origin: Instant) -> Self {
        Self { origin, known: DashMap::new(), made: Mutex::new(0) }
    }

    pub(crate) fn get(&self, key: &str, now: Instant) -> Option<Arc<Cell>> {
        let cell = self.peek(key)?;
        cell.used_at(self.millis(now));
        Some(cell)
    }

    /// The circuit of a key, without counting that as a use.
    pub(crate) fn peek(&self, key: &str) -> Option<Arc<Cell>> {
        self.known.get(key).map(|cell| Arc::clone(&cell))
    }

    /// The circuit of a new key, and those that made room for it.
    #[cold]
    pub(crate) fn make(&self, key: &str, now: Instant, most: usize) -> (Arc<Cell>, Vec<Arc<Cell>>) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = self.get(key, now) {
            return (cell, Vec::new());
        }
        let forgotten = if self.known.len() < most { Vec::new() } else { self.make_room(most) };
        *made += 1;
        let key: Arc<str> = key.into();
        let cell = Arc::new(Cell::new(Arc::clone(&key), *made, now));
        cell.used_at(self.millis(now));
        self.known.insert(key, Arc::clone(&cell));
        (cell, forgotten)
    }

    /// Lets go of the eighth that was used least recently, so that of a flood of new keys only one in
    /// so many looks at them all. What an operator holds goes last.
    fn make_room(&self, most: usize) -> Vec<Arc<Cell>> {
        let mut all: Vec<_> = self.known.iter().map(|cell| Arc::clone(&cell)).collect();
        all.sort_unstable_by_key(|cell| {
            let used = cell.used.load(Ordering::Relaxed);
            (cell.breaker.held().is_some(), used, cell.number)
        });
        let surplus = all.len().saturating_sub(most);
        all.truncate(surplus + (most / 8).max(1));
        for cell in &all {
            cell.is_forgotten.store(true, Ordering::Relaxed);
            self.known.remove(&cell.key);
        }
        all
    }

    pub(crate) fn all(&self) -> Vec<Arc<Cell>> {
        let mut all: Vec<_> = self.known.iter().map(|cell| Arc::clone(&cell)).collect();
        all.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        all
    }

    fn millis(&self, now: Instant) -> u64 {
        let passed: Duration = now.saturating_duration_since(self.origin);
        u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Cell {
    fn new(key: Arc<str>, number: u64, now: Instant) -> Self {
        let (used, passed, failed) =
            (AtomicU64::new(0), AtomicU64::new(NEVER), AtomicU64::new(NEVER));
        let is_forgotten = AtomicBool::new(false);
        Self { key, breaker: Breaker::new(now), number, used, passed, failed, is_forgotten }
    }

    /// Whether its key has another circuit by now, or none: calls that are still out hold this one.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.is_forgotten.load(Ordering::Relaxed)
    }

    fn used_at(&self, millis: u64) {
        // Written once a millisecond at most: readers on other cores keep the line.
        if self.used.load(Ordering::Relaxed) != millis {
            self.used.store(millis, Ordering::Relaxed);
        }
    }

    /// Whether this is its first success, or its first failure, at this moment of the parent's: it
    /// has one vote of each a moment, so that a busy cell counts for no more than a quiet one.
    #[inline]
    pub(crate) fn may_vote(&self, moment: u64, passed: bool) -> bool {
        let last = if passed { &self.passed } else { &self.failed };
        last.load(Ordering::Relaxed) != moment && last.swap(moment, Ordering::Relaxed) != moment
    }
}

const NEVER: u64 = u64::MAX;

#[cfg(all(test, not(aplomb_loom)))]
mod tests {
    use super::*;
    use crate::change::Hold;
    use aplomb_core::time;

    #[test]
    fn the_keys_that_were_used_last_stay() {
        let (cells, start) = (Cells::new(time::now()), time::now());
        let at = |second| start + Duration::from_secs(second);
        for (second, key) in (1..).zip(["a", "b", "c", "d"]) {
            cells.make(key, at(second), 4);
        }
        cells.get("a", at(10));
        let (_, forgotten) = cells.make("e", at(11), 4);
        assert_eq!(keys(&forgotten), ["b"]);
        assert_eq!(keys(&cells.all()), ["a", "c", "d", "e"]);
    }

    #[test]
    fn strangers_cannot_make_the_map_grow_for_ever() {
        let (cells, now) = (Cells::new(time::now()), time::now());
        for stranger in 0..10_000 {
            cells.make(&stranger.to_string(), now, 100);
            assert!(cells.known.len() <= 100);
        }
    }

    #[test]
    fn what_an_operator_holds_goes_last() {
        let (cells, now) = (Cells::new(time::now()), time::now());
        let (held, _) = cells.make("held", now, 2);
        held.breaker.hold(Hold::Open, now);
        for second in 1..10 {
            cells.make(&second.to_string(), now + Duration::from_secs(second), 2);
        }
        assert!(cells.get("held", now).is_some());
    }

    #[test]
    fn a_cell_has_one_vote_of_each_kind_a_moment() {
        let cell = Cell::new("a".into(), 1, time::now());
        assert!(cell.may_vote(7, true) && cell.may_vote(7, false));
        assert!(!cell.may_vote(7, true) && !cell.may_vote(7, false));
        assert!(cell.may_vote(8, true));
    }

    fn keys(cells: &[Arc<Cell>]) -> Vec<&str> {
        cells.iter().map(|cell| &*cell.key).collect()
    }
}
