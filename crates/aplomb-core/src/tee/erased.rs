//! Bodies that hide what they are wrap the tee in themselves, so that their type does not change.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};

use super::{KeptBody, Tee, Teed};
use crate::ReplayBody;

/// Any body, made fit to be sent again.
///
/// Boxed bodies and axum's need no such help. A request around another stream is mapped once, on its
/// way to the layers that retry. What a body that is not `Unpin` needs before that is a `Box::pin`.
///
/// ```
/// # use bytes::Bytes; use http_body_util::{Empty, BodyExt};
/// use aplomb_core::{Replay, Replayable};
///
/// # let upload = Empty::<Bytes>::new();
/// let mut request = http::Request::put("http://stock/photos/7").body(upload)?.map(Replayable::new);
/// let kept = request.keep(64 * 1024);
/// # assert!(kept.is_some());
/// # Ok::<(), http::Error>(())
/// ```
///
/// What is dropped before its end is read on by the next attempt. When attempts overlap, since the
/// connection of the one before still sends, they share what they read; over the cap the newest goes
/// on alone, and the older one fails if the body's error is a [`BoxError`](crate::BoxError), an
/// [`io::Error`](std::io::Error) or axum's. With any other error it makes no progress any more, until
/// its connection is closed.
pub struct Replayable<B: Body<Error: 'static> + Unpin>(Inner<B>);

enum Inner<B: Body<Error: 'static> + Unpin> {
    Plain(B),
    // Of itself, for a body that passes two layers that retry is kept twice.
    Tee(Tee<Replayable<B>>),
    Empty,
}

impl<B: Body<Error: 'static> + Unpin> Replayable<B> {
    /// A body that can be kept while it is sent.
    pub const fn new(body: B) -> Self {
        Self(Inner::Plain(body))
    }
}

impl<B: Body<Error: 'static> + Unpin> Body for Replayable<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.0 {
            Inner::Plain(body) => Pin::new(body)
                .poll_frame(cx)
                .map_ok(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))),
            Inner::Tee(tee) => Pin::new(tee).poll_frame(cx),
            Inner::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Plain(body) => body.is_end_stream(),
            Inner::Tee(tee) => tee.is_end_stream(),
            Inner::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Plain(body) => body.size_hint(),
            Inner::Tee(tee) => tee.size_hint(),
            Inner::Empty => SizeHint::with_exact(0),
        }
    }
}

impl<B: Body<Error: 'static> + Unpin> ReplayBody for Replayable<B> {
    type Kept = KeptBody<Self>;

    fn keep(&mut self, cap: usize) -> Option<Self::Kept> {
        let this = mem::replace(self, Self(Inner::Empty));
        let (teed, kept) = KeptBody::of(this, cap);
        *self = match teed {
            Teed::Plain(body) => body,
            Teed::Tee(tee) => Self(Inner::Tee(tee)),
        };
        kept
    }

    fn is_whole(kept: &Self::Kept) -> bool {
        kept.is_whole()
    }

    fn again(kept: &mut Self::Kept) -> Option<Self> {
        Some(Self(kept.again()?.map_or(Inner::Empty, Inner::Tee)))
    }
}

impl<B: Body<Error: 'static> + Unpin> fmt::Debug for Replayable<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_kept = matches!(self.0, Inner::Tee(_));
        f.debug_struct("Replayable").field("is_kept", &is_kept).finish_non_exhaustive()
    }
}

/// A body that wraps any other in itself.
macro_rules! wraps_its_tee {
    ($body:ty, $new:path $(, $error:ident)?) => {
        impl $(<$error: Send + 'static>)? ReplayBody for $body {
            type Kept = KeptBody<Self>;

            fn keep(&mut self, cap: usize) -> Option<Self::Kept> {
                let (teed, kept) = KeptBody::of(mem::take(self), cap);
                *self = match teed {
                    Teed::Plain(body) => body,
                    Teed::Tee(tee) => $new(tee),
                };
                kept
            }

            fn is_whole(kept: &Self::Kept) -> bool {
                kept.is_whole()
            }

            fn again(kept: &mut Self::Kept) -> Option<Self> {
                Some(kept.again()?.map_or_else(Self::default, $new))
            }
        }
    };
}

wraps_its_tee!(BoxBody<Bytes, E>, BoxBody::new, E);
wraps_its_tee!(UnsyncBoxBody<Bytes, E>, UnsyncBoxBody::new, E);
#[cfg(feature = "axum")]
wraps_its_tee!(axum::body::Body, axum::body::Body::new);
