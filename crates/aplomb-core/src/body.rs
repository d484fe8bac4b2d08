use bytes::Buf;
use http_body_util::{Empty, Full};

/// A body that can be sent more than once.
///
/// Bodies in memory share their bytes. A body that is a stream keeps what has gone by, up to the
/// cap, in whatever [`Kept`](Self::Kept) it likes; `again` then answers `None` when that was not
/// all.
pub trait ReplayBody: Sized {
    /// What the next attempt needs of it.
    type Kept;

    /// Keeps what the next attempt needs, before this one sends the body; nothing when the body is
    /// known to be longer than `cap` bytes.
    fn keep(&mut self, cap: usize) -> Option<Self::Kept>;

    /// Whether all of its bytes are still there.
    fn is_whole(_kept: &Self::Kept) -> bool {
        true
    }

    /// The same bytes once more, or `None` when they are gone.
    fn again(kept: &mut Self::Kept) -> Option<Self>;
}

impl<D: Buf + Clone> ReplayBody for Full<D> {
    type Kept = Self;

    fn keep(&mut self, cap: usize) -> Option<Self> {
        let length = http_body::Body::size_hint(self).lower();
        (length <= cap as u64).then(|| self.clone())
    }

    fn again(kept: &mut Self) -> Option<Self> {
        Some(kept.clone())
    }
}

impl<D: Buf> ReplayBody for Empty<D> {
    type Kept = ();

    fn keep(&mut self, _: usize) -> Option<()> {
        Some(())
    }

    fn again((): &mut ()) -> Option<Self> {
        Some(Self::new())
    }
}

/// No body at all, as in tests and in services that carry no bytes.
impl ReplayBody for () {
    type Kept = ();

    fn keep(&mut self, _: usize) -> Option<()> {
        Some(())
    }

    fn again((): &mut ()) -> Option<()> {
        Some(())
    }
}
