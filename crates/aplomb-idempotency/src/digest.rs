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
        let part = part.as_ref();
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// BLAKE3 over parts, each behind its length. Half as long as the same for [`Digest`], so that most
/// requests but for their bodies fit into one block.
pub(crate) struct Parts(Vec<u8>);

impl Parts {
    /// The first byte says what is hashed and how.
    pub(crate) fn of(version: u8) -> Self {
        let mut parts = Vec::with_capacity(ROOM);
        parts.push(version);
        Self(parts)
    }

    pub(crate) fn part(mut self, part: impl AsRef<[u8]>) -> Self {
        self.add(part.as_ref());
        self
    }

    /// A list, whose end is told from a part.
    pub(crate) fn list<'a>(mut self, parts: impl Iterator<Item = &'a [u8]>) -> Self {
        for part in parts {
            self.0.push(MORE);
            self.add(part);
        }
        self.0.push(END);
        self
    }

    /// The hash of these and one more part, which is not copied when it is long.
    pub(crate) fn finish(mut self, last: &[u8]) -> [u8; 32] {
        self.put(last.len());
        if last.len() > CHUNK {
            return blake3::Hasher::new().update(&self.0).update(last).finalize().into();
        }
        self.0.extend_from_slice(last);
        blake3::hash(&self.0).into()
    }

    fn add(&mut self, part: &[u8]) {
        self.put(part.len());
        self.0.extend_from_slice(part);
    }

    /// Seven bits at a time, the lowest first, each byte but the last with its highest bit set.
    #[expect(clippy::cast_possible_truncation, reason = "the lowest byte is what is asked for")]
    fn put(&mut self, mut length: usize) {
        while length >= 0x80 {
            self.0.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.0.push(length as u8);
    }
}

const MORE: u8 = 1;
const END: u8 = 0;
/// What most lists take.
const ROOM: usize = 256;
/// What BLAKE3 works on at a time.
const CHUNK: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_long_part_is_hashed_as_a_short_one_is() {
        for length in [0, 1, 127, 128, CHUNK - 1, CHUNK, CHUNK + 1, 10 * CHUNK, 20_000] {
            let body = vec![7; length];
            let expected: [u8; 32] = blake3::hash(&Parts::of(2).part("a").part(&body).0).into();
            assert_eq!(Parts::of(2).part("a").finish(&body), expected, "{length}");
        }
    }

    #[test]
    fn no_two_lists_of_parts_are_alike() {
        let of = |parts: &[&str], after: &str| {
            let parts = parts.iter().map(|part| part.as_bytes());
            Parts::of(2).list(parts).part(after).finish(b"last")
        };
        let lists: [&[&str]; 6] =
            [&["ab", "c"], &["a", "bc"], &["abc"], &["ab", "c", ""], &[""], &[]];
        let after = ["", "c", "\u{1}", "\0", "\u{1}\u{1}c\0"];
        let hashes: HashSet<_> =
            lists.iter().flat_map(|list| after.map(|after| of(list, after))).collect();
        assert_eq!(hashes.len(), lists.len() * after.len());
    }

    #[test]
    fn lengths_are_written_so_that_none_begins_another() {
        let mut written: Vec<Vec<u8>> = Vec::new();
        for length in [0, 1, 127, 128, 255, 16_383, 16_384, usize::MAX] {
            let mut parts = Parts(Vec::new());
            parts.put(length);
            assert!(!written.iter().any(|w| parts.0.starts_with(w) || w.starts_with(&parts.0)));
            written.push(parts.0);
        }
        assert_eq!(written[4], [0xff, 0x01]);
    }
}
