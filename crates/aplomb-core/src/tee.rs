//! A body that is a stream, kept for the next attempt while this one sends it.
//!
//! Attempts read one body through one log. What went by is in the log, up to a cap; whoever has
//! read the log to its end polls the live body on, and what comes is there for the others too. So a
//! server that answers before it has read everything costs nothing: the next attempt replays the
//! log and goes on with the rest of the live body, though the connection of the attempt before may
//! still be sending, for as long as it likes.
//!
//! Over the cap only one attempt can have the rest. The newest has it; the log is let go behind it,
//! and the body cannot be sent again. An older attempt never costs a newer one anything: where it
//! would lead the log over the cap it is cut off, and its body fails with [`Superseded`]. No body is
//! ever silently shortened: it is whole, or it fails, or it never ends.

mod bell;
mod erased;
mod log;
#[cfg(feature = "reqwest")]
mod reqwest;
mod state;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::{fmt, io};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

#[cfg(feature = "reqwest")]
pub use self::reqwest::KeptReqwest;
use crate::BoxError;
use bell::Bell;
pub use erased::Replayable;
use state::{Came, FIRST, State, Step};

/// One attempt's reading of a body that others read too.
pub(crate) struct Tee<B: Body> {
    shared: Arc<Shared<B>>,
    id: u32,
}

/// What the next attempt needs of a body that is a stream.
///
/// While it is there what goes by is recorded. Dropping it lets the attempts under way go on and
/// the recorded bytes go, as soon as no attempt has still to send them.
///
/// ```
/// use aplomb_core::{KeptBody, ReplayBody, Replayable};
/// use http_body_util::Full;
///
/// type Stream = Replayable<Full<bytes::Bytes>>; // any body
/// let mut upload: Stream = Replayable::new(Full::new("one mug".into()));
/// let mut kept: KeptBody<Stream> = upload.keep(64 * 1024).expect("it is short");
/// // While the first attempt sends it, the next one can begin from the start.
/// assert!(<Stream as ReplayBody>::again(&mut kept).is_some());
/// ```
pub struct KeptBody<B: Body> {
    // Nothing is to be kept of a body that had ended before it was sent.
    shared: Option<Arc<Shared<B>>>,
}

/// The rest of the body went to a newer attempt, so that this one cannot send it.
///
/// ```
/// use aplomb_core::{BoxError, Superseded, cause};
///
/// let error: BoxError = Superseded::default().into();
/// assert!(cause::<Superseded>(&*error).is_some(), "a newer attempt has the rest of the body");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Superseded;

struct Shared<B: Body> {
    state: Mutex<State<B>>,
    hint: SizeHint,
    bell: Arc<Bell>,
    // What the live body wakes: everybody, for whoever polled it last may not care any more.
    waker: Waker,
}

impl<B: Body> Tee<B> {
    fn new(live: B, cap: usize) -> (Self, KeptBody<B>) {
        let (hint, bell) = (live.size_hint(), Arc::<Bell>::default());
        let state = State::new(live, cap);
        let waker = Waker::from(Arc::clone(&bell));
        let shared = Arc::new(Shared { state: Mutex::new(state), hint, bell, waker });
        let kept = KeptBody { shared: Some(Arc::clone(&shared)) };
        (Self { shared, id: FIRST }, kept)
    }
}

impl<B: Body> KeptBody<B> {
    /// The body to send instead of this one. Nothing is kept when it is known to be longer than the
    /// cap.
    fn of(body: B, cap: usize) -> (Teed<B>, Option<Self>) {
        if body.size_hint().lower() > cap as u64 {
            return (Teed::Plain(body), None);
        }
        if body.is_end_stream() {
            return (Teed::Plain(body), Some(Self { shared: None }));
        }
        let (tee, kept) = Tee::new(body, cap);
        (Teed::Tee(tee), Some(kept))
    }

    fn is_whole(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| shared.lock().is_kept)
    }

    /// One more reading from the start, `Some(None)` of a body that was empty.
    #[expect(clippy::option_option, reason = "gone, empty, or there")]
    fn again(&self) -> Option<Option<Tee<B>>> {
        let Some(shared) = &self.shared else { return Some(None) };
        let id = shared.lock().join()?;
        Some(Some(Tee { shared: Arc::clone(shared), id }))
    }
}

/// A body as it was, or read through a log.
enum Teed<B: Body> {
    Plain(B),
    Tee(Tee<B>),
}

impl<B: Body> Shared<B> {
    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().expect("no panic happens under this lock")
    }
}

impl<B> Body for Tee<B>
where
    B: Body + Unpin,
    B::Error: 'static,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let (bell, id) = (&self.shared.bell, self.id);
        let seen = bell.rung();
        let step = self.shared.lock().step(id);
        let mut live = match step {
            Step::Frame(frame) => return Poll::Ready(Some(Ok(frame))),
            Step::End => return Poll::Ready(None),
            Step::Fail(error) => return Poll::Ready(Some(Err(error))),
            Step::Cut => return cut(),
            Step::Wait => {
                bell.wait(id, cx.waker(), seen);
                return Poll::Pending;
            }
            Step::Live(live) => live,
        };
        let polled = Pin::new(&mut live).poll_frame(&mut Context::from_waker(&self.shared.waker));
        let came = Came::of(polled);
        if matches!(came, Came::Nothing) {
            self.shared.lock().put_back(live);
            bell.wait(id, cx.waker(), seen);
            return Poll::Pending;
        }
        let is_over = !matches!(came, Came::Data(_)) || live.is_end_stream();
        let (rest, over) = if is_over { (None, Some(live)) } else { (Some(live), None) };
        let (step, are_many) = self.shared.lock().take(id, came, rest);
        drop(over);
        if are_many {
            bell.ring();
        }
        match step {
            Step::Frame(frame) => Poll::Ready(Some(Ok(frame))),
            Step::Fail(error) => Poll::Ready(Some(Err(error))),
            Step::End => Poll::Ready(None),
            Step::Cut | Step::Wait | Step::Live(_) => cut(),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.shared.lock().is_at_end(self.id)
    }

    // The framing of the first attempt is the framing of all: what remains is what the body said
    // at first less what this attempt has read, wherever the live body has got to meanwhile.
    fn size_hint(&self) -> SizeHint {
        let (mut left, first) = (SizeHint::new(), &self.shared.hint);
        let read = self.shared.lock().reader(self.id).map_or(0, |reader| reader.at);
        if let Some(upper) = first.upper() {
            left.set_upper(upper.saturating_sub(read));
        }
        left.set_lower(first.lower().saturating_sub(read));
        left
    }
}

impl<B: Body> Drop for Tee<B> {
    fn drop(&mut self) {
        let (rest, lost) = {
            let mut state = self.shared.lock();
            let lost = state.polled_by == Some(self.id);
            (state.leave(self.id), lost)
        };
        drop(rest);
        self.shared.bell.forget(self.id);
        if lost {
            self.shared.bell.ring();
        }
    }
}

impl<B: Body> Drop for KeptBody<B> {
    fn drop(&mut self) {
        let Some(shared) = &self.shared else { return };
        let rest = {
            let mut state = shared.lock();
            state.is_kept = false;
            state.abandon()
        };
        drop(rest);
    }
}

/// An attempt that was cut off fails, if its body has an error for it; otherwise it does not end.
fn cut<T, E: 'static>() -> Poll<Option<Result<T, E>>> {
    superseded().map_or(Poll::Pending, |error| Poll::Ready(Some(Err(error))))
}

/// [`Superseded`] as the error of a body, whose type only its user knows.
fn superseded<E: 'static>() -> Option<E> {
    let mut made: Option<E> = None;
    let slot: &mut dyn Any = &mut made;
    if let Some(boxed) = slot.downcast_mut::<Option<BoxError>>() {
        *boxed = Some(Superseded.into());
    } else if let Some(io) = slot.downcast_mut::<Option<io::Error>>() {
        *io = Some(io::Error::other(Superseded));
    } else if let Some(own) = slot.downcast_mut::<Option<Superseded>>() {
        *own = Some(Superseded);
    } else {
        #[cfg(feature = "axum")]
        if let Some(axum) = slot.downcast_mut::<Option<axum::Error>>() {
            *axum = Some(axum::Error::new(Superseded));
        }
    }
    made
}

impl fmt::Display for Superseded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the rest of this body went to a newer attempt")
    }
}

impl Error for Superseded {}

impl<B: Body> fmt::Debug for Tee<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tee").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<B: Body> fmt::Debug for KeptBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptBody").field("is_whole", &self.is_whole()).finish_non_exhaustive()
    }
}
