#[cfg(aplomb_loom)]
use loom::sync::atomic::{AtomicUsize, Ordering};
#[cfg(not(aplomb_loom))]
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much there is, and how much there may be.
pub(crate) struct Room {
    records: AtomicUsize,
    bytes: AtomicUsize,
    records_max: usize,
    bytes_max: usize,
}

impl Room {
    pub(crate) fn new(records_max: usize, bytes_max: usize) -> Self {
        Self { records: AtomicUsize::new(0), bytes: AtomicUsize::new(0), records_max, bytes_max }
    }

    pub(crate) fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Takes room for one record, or nothing.
    pub(crate) fn take(&self, bytes: usize) -> Option<()> {
        grow(&self.records, 1, self.records_max)?;
        if grow(&self.bytes, bytes, self.bytes_max).is_none() {
            self.records.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(())
    }

    pub(crate) fn give(&self, bytes: usize) {
        self.records.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn fits(&self, has: usize, wants: usize) -> bool {
        let others = self.bytes.load(Ordering::Relaxed).saturating_sub(has);
        others.saturating_add(wants) <= self.bytes_max
    }

    pub(crate) fn resize(&self, from: usize, to: usize) {
        self.bytes.fetch_add(to, Ordering::Relaxed);
        self.bytes.fetch_sub(from, Ordering::Relaxed);
    }
}

fn grow(count: &AtomicUsize, by: usize, max: usize) -> Option<()> {
    let grown = |count: usize| count.checked_add(by).filter(|&count| count <= max);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).ok().map(drop)
}

/// Everything else of the store lies under locks, one of the map's for each record, one of the
/// queue's: there is no interleaving of atomics to check. The room is shared by all records.
#[cfg(all(test, aplomb_loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    #[test]
    fn two_records_and_room_for_one() {
        loom::model(|| {
            let room = Arc::new(Room::new(1, 100));
            let other = Arc::clone(&room);
            let theirs = thread::spawn(move || other.take(60).is_some());
            let mine = room.take(60).is_some();
            assert_ne!(mine, theirs.join().unwrap());
            assert_eq!((room.records(), room.bytes()), (1, 60));
        });
    }

    #[test]
    fn a_record_that_does_not_fit_takes_nothing_from_who_does() {
        loom::model(|| {
            let room = Arc::new(Room::new(2, 100));
            let other = Arc::clone(&room);
            let large = thread::spawn(move || other.take(101).is_some());
            assert!(room.take(40).is_some(), "there is a place and there are bytes for it");
            assert!(!large.join().unwrap());
            assert_eq!((room.records(), room.bytes()), (1, 40));
        });
    }

    #[test]
    fn what_is_given_back_while_another_grows_is_counted_once() {
        loom::model(|| {
            let room = Arc::new(Room::new(3, 1_000));
            assert!(room.take(100).is_some() && room.take(100).is_some());
            let other = Arc::clone(&room);
            let gives = thread::spawn(move || other.give(100));
            room.resize(100, 150);
            gives.join().unwrap();
            assert_eq!((room.records(), room.bytes()), (1, 150));
        });
    }
}
