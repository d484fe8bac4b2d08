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
