use std::collections::VecDeque;
use std::mem;

use bytes::Bytes;
use http::HeaderMap;

/// What went by of a body, addressed by how many bytes of it had gone by before.
///
/// Long frames are shared. Short ones are copied together: a thousand frames of ten bytes would
/// hold a thousand buffers of who knows what size, and the cap counts bytes.
pub(super) struct Log {
    chunks: VecDeque<(u64, Bytes)>,
    tail: Vec<u8>,
    end: u64,
    held: usize,
    cap: usize,
    trailers: Option<HeaderMap>,
}

impl Log {
    pub(super) const fn new(cap: usize) -> Self {
        Self { chunks: VecDeque::new(), tail: Vec::new(), end: 0, held: 0, cap, trailers: None }
    }

    /// How many bytes of the body have gone by.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    pub(super) const fn fits(&self, len: usize) -> bool {
        self.held.saturating_add(len) <= self.cap
    }

    pub(super) const fn is_over(&self) -> bool {
        self.held > self.cap
    }

    #[cfg(test)]
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    pub(super) const fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    pub(super) fn push(&mut self, data: Bytes) {
        let len = data.len();
        if len >= SHORT {
            self.seal();
            self.chunks.push_back((self.end, data));
        } else {
            self.tail.extend_from_slice(&data);
        }
        self.end += len as u64;
        self.held += len;
        if self.tail.len() >= TAIL_MAX {
            self.seal();
        }
    }

    /// Counts bytes that nobody will ask for.
    pub(super) fn pass(&mut self, len: usize) {
        debug_assert_eq!(self.held_data(), 0, "what is held would be in the way");
        self.end += len as u64;
    }

    /// Keeps the trailers; says whether they fitted.
    pub(super) fn push_trailers(&mut self, trailers: HeaderMap) -> bool {
        let size = trailers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let fits = self.fits(size);
        self.held += size;
        self.trailers = Some(trailers);
        fits
    }

    /// What comes at this place, if it has gone by. Readers stand where chunks begin, as it happens;
    /// nothing here relies on it.
    pub(super) fn read(&mut self, at: u64) -> Option<Bytes> {
        if at >= self.end {
            return None;
        }
        if at >= self.end - self.tail.len() as u64 {
            self.seal();
        }
        let after = self.chunks.partition_point(|(start, _)| *start <= at);
        let (start, chunk) = self.chunks.get(after.checked_sub(1)?)?;
        let skip = usize::try_from(at - start).ok()?;
        Some(chunk.slice(skip..))
    }

    /// Lets go what lies before this place, or everything.
    pub(super) fn trim(&mut self, before: Option<u64>) {
        let before = before.unwrap_or(self.end);
        while let Some((start, chunk)) = self.chunks.front() {
            if start + chunk.len() as u64 > before {
                return;
            }
            self.held -= chunk.len();
            self.chunks.pop_front();
        }
        if before >= self.end {
            self.held -= self.tail.len();
            self.tail = Vec::new();
        }
    }

    fn seal(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let tail = mem::take(&mut self.tail);
        self.chunks.push_back((self.end - tail.len() as u64, tail.into()));
    }

    fn held_data(&self) -> usize {
        self.chunks.iter().map(|(_, chunk)| chunk.len()).sum::<usize>() + self.tail.len()
    }
}

/// Frames shorter than this are copied instead of shared.
const SHORT: usize = 1024;

/// As many copied bytes make a chunk.
const TAIL_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_frames_are_held_together_and_long_ones_shared() {
        let mut log = Log::new(100_000);
        for frame in 0..1_000 {
            log.push(vec![u8::try_from(frame % 251).unwrap(); 10].into());
        }
        let long = Bytes::from(vec![7; SHORT]);
        log.push(long.clone());
        assert_eq!((log.chunks.len(), log.held()), (3, 10_000 + SHORT));
        assert_eq!(log.read(10_000).unwrap().as_ptr(), long.as_ptr());
    }

    #[test]
    fn a_chunk_can_be_read_from_its_middle() {
        let mut log = Log::new(100);
        log.push("some".into());
        log.push("thing".into());
        assert_eq!(log.read(0).unwrap(), "something");
        assert_eq!(log.read(6).unwrap(), "ing");
        log.trim(Some(6));
        assert_eq!((log.read(6).unwrap(), log.read(9)), ("ing".into(), None));
        log.trim(Some(9));
        assert_eq!(log.held(), 0);
    }
}
