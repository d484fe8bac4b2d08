use std::hash::{BuildHasherDefault, Hasher};

use dashmap::DashMap;

use crate::RecordId;

/// Where the records of identities lie, by a short hash of them, so that the long one which ids are
/// made by is not worked out each time.
///
/// A hint: two identities may share a short hash, so whoever follows one looks at the record.
#[derive(Default)]
pub(super) struct Hints(DashMap<u64, RecordId, BuildHasherDefault<Same>>);

impl Hints {
    pub(super) fn of(&self, short: u64) -> Option<RecordId> {
        self.0.get(&short).map(|id| *id)
    }

    /// Called while the record is locked, as is `forget`, so that no hint outlives its record.
    pub(super) fn put(&self, short: u64, id: RecordId) {
        self.0.insert(short, id);
    }

    pub(super) fn forget(&self, short: u64, id: RecordId) {
        self.0.remove_if(&short, |_, hint| *hint == id);
    }

    #[cfg(all(test, not(aplomb_loom)))]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// What is a hash already is not hashed again.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
