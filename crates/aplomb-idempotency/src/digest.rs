//! Hashes parts so that no two lists of parts hash alike.

use sha2::{Digest as _, Sha256};

/// SHA-256 over parts, each behind its length: `["ab", "c"]` and `["a", "bc"]` differ.
pub(crate) struct Digest(Sha256);

impl Digest {
    /// The first part says what is hashed, so that no hash of one kind is one of another.
    pub(crate) fn of(kind: &str) -> Self {
        Self(Sha256::new()).part(kind)
    }

    pub(crate) fn part(mut self, part: impl AsRef<[u8]>) -> Self {
        self.add(part.as_ref());
        self
    }

    /// A list, behind its own length.
    pub(crate) fn list<P: AsRef<[u8]>>(mut self, parts: &[P]) -> Self {
        self.0.update((parts.len() as u64).to_be_bytes());
        for part in parts {
            self.add(part.as_ref());
        }
        self
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
    }
}
