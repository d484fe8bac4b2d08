use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::keeper::Tee;

pin_project! {
    /// The body of a response: the service's own, or a fallback's.
    pub struct FallbackBody<B> {
        #[pin]
        inner: Inner<B>,
    }
}

pin_project! {
    #[project = InnerProj]
    enum Inner<B> {
        Passed { #[pin] body: B },
        // What goes by is copied, until the copy is whole or has become too long.
        Copied { #[pin] body: B, tee: Option<Box<Tee>> },
        Whole { bytes: Bytes },
    }
}

impl<B> FallbackBody<B> {
    pub(crate) const fn passed(body: B) -> Self {
        Self { inner: Inner::Passed { body } }
    }

    pub(crate) const fn whole(bytes: Bytes) -> Self {
        Self { inner: Inner::Whole { bytes } }
    }
}

/// For whoever answers instead of the service around it, such as a problem layer.
impl<B> From<Bytes> for FallbackBody<B> {
    fn from(bytes: Bytes) -> Self {
        Self::whole(bytes)
    }
}

impl<B: Body> FallbackBody<B> {
    pub(crate) fn copied(body: B, tee: Tee) -> Self {
        let mut tee = Some(Box::new(tee));
        settle(&mut tee, body.is_end_stream());
        Self { inner: Inner::Copied { body, tee } }
    }
}

impl<B: Body<Data = Bytes>> Body for FallbackBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().inner.project() {
            InnerProj::Passed { body } => body.poll_frame(cx),
            InnerProj::Whole { bytes } => {
                let rest = std::mem::take(bytes);
                Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))))
            }
            InnerProj::Copied { mut body, tee } => {
                let frame = ready!(body.as_mut().poll_frame(cx));
                match &frame {
                    Some(Ok(frame)) => {
                        let goes_on = tee.as_mut().is_some_and(|tee| tee.copy(frame));
                        if !goes_on {
                            *tee = None;
                        }
                        // Some readers ask whether it has ended, and poll no more when it has.
                        settle(tee, body.is_end_stream());
                    }
                    Some(Err(_)) => *tee = None,
                    None => settle(tee, true),
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Passed { body } | Inner::Copied { body, .. } => body.is_end_stream(),
            Inner::Whole { bytes } => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Passed { body } | Inner::Copied { body, .. } => body.size_hint(),
            Inner::Whole { bytes } => SizeHint::with_exact(bytes.remaining() as u64),
        }
    }
}

impl<B> fmt::Debug for FallbackBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackBody")
            .field("is_whole", &matches!(self.inner, Inner::Whole { .. }))
            .finish_non_exhaustive()
    }
}

/// Stores the copy when it is whole.
fn settle(tee: &mut Option<Box<Tee>>, is_over: bool) {
    if let Some(tee) = tee.take_if(|_| is_over) {
        tee.keep();
    }
}
