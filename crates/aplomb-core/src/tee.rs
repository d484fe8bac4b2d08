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
#[cfg(test)]
mod tests;

use std::any::Any;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::{fmt, io};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::BoxError;
use bell::Bell;
pub use erased::Replayable;
use log::Log;

/// One attempt's reading of a body that others read too.
pub(crate) struct Tee<B: Body> {
    shared: Arc<Shared<B>>,
    id: u32,
}

/// What the next attempt needs of a body that is a stream.
///
/// While it is there what goes by is recorded. Dropping it lets the attempts under way go on and
/// the recorded bytes go, as soon as no attempt has still to send them.
pub struct KeptBody<B: Body> {
    // Nothing is to be kept of a body that had ended before it was sent.
    shared: Option<Arc<Shared<B>>>,
}

/// The rest of the body went to a newer attempt, so that this one cannot send it.
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

/// What the attempts share. No code but ours runs under its lock.
struct State<B: Body> {
    log: Log,
    /// Elsewhere while a reader polls it, and gone when it has ended.
    live: Option<B>,
    polled_by: Option<u32>,
    end: End<B::Error>,
    is_kept: bool,
    /// By age, the newest last. Who is not among them was cut off.
    readers: Vec<Reader>,
    latest: u32,
}

struct Reader {
    id: u32,
    at: u64,
    is_past_trailers: bool,
}

enum End<E> {
    Open,
    Whole,
    Failed(Option<E>),
}

impl<B: Body> Tee<B> {
    fn new(live: B, cap: usize) -> (Self, KeptBody<B>) {
        let (hint, bell) = (live.size_hint(), Arc::<Bell>::default());
        let state = State {
            log: Log::new(cap),
            live: Some(live),
            polled_by: None,
            end: End::Open,
            is_kept: true,
            readers: vec![Reader::new(0)],
            latest: 0,
        };
        let waker = Waker::from(Arc::clone(&bell));
        let shared = Arc::new(Shared { state: Mutex::new(state), hint, bell, waker });
        let kept = KeptBody { shared: Some(Arc::clone(&shared)) };
        (Self { shared, id: 0 }, kept)
    }
}

impl<B: Body> KeptBody<B> {
    /// Puts a tee in the body's place; nothing is kept when it is known to be longer than the cap.
    fn of(body: B, cap: usize, put: impl FnOnce(Teed<B>)) -> Option<Self> {
        if body.size_hint().lower() > cap as u64 {
            put(Teed::Plain(body));
            return None;
        }
        if body.is_end_stream() {
            put(Teed::Plain(body));
            return Some(Self { shared: None });
        }
        let (tee, kept) = Tee::new(body, cap);
        put(Teed::Tee(tee));
        Some(kept)
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
        let mut live = match self.shared.lock().step(id) {
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

/// What the live body answered, its data shared.
enum Came<E> {
    Nothing,
    Data(Bytes),
    Trailers(HeaderMap),
    Error(E),
    End,
}

impl<E> Came<E> {
    fn of<D: Buf>(polled: Poll<Option<Result<Frame<D>, E>>>) -> Self {
        let frame = match polled {
            Poll::Pending => return Self::Nothing,
            Poll::Ready(None) => return Self::End,
            Poll::Ready(Some(Err(error))) => return Self::Error(error),
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        // The bytes of a `Bytes` are shared by this, those of any other buffer are copied once.
        match frame.map_data(|mut data| data.copy_to_bytes(data.remaining())).into_data() {
            Ok(data) => Self::Data(data),
            Err(frame) => frame.into_trailers().map_or(Self::Data(Bytes::new()), Self::Trailers),
        }
    }
}

/// What a reader does next.
enum Step<B: Body> {
    Frame(Frame<Bytes>),
    End,
    Fail(B::Error),
    /// It was left behind.
    Cut,
    /// Another reader has the live body in hand.
    Wait,
    /// It polls the live body.
    Live(B),
}

impl<B: Body> State<B> {
    fn reader(&self, id: u32) -> Option<&Reader> {
        self.readers.iter().find(|reader| reader.id == id)
    }

    fn join(&mut self) -> Option<u32> {
        if !self.is_kept {
            return None;
        }
        self.latest += 1;
        self.readers.push(Reader::new(self.latest));
        Some(self.latest)
    }

    fn step(&mut self, id: u32) -> Step<B> {
        let Some(place) = self.readers.iter().position(|reader| reader.id == id) else {
            return Step::Cut;
        };
        let reader = &mut self.readers[place];
        if let Some(data) = self.log.read(reader.at) {
            reader.at += data.len() as u64;
            self.trim();
            return Step::Frame(Frame::data(data));
        }
        if let (Some(trailers), false) = (self.log.trailers(), reader.is_past_trailers) {
            reader.is_past_trailers = true;
            return Step::Frame(Frame::trailers(trailers.clone()));
        }
        match &mut self.end {
            End::Open => self.go_live(id),
            End::Whole => Step::End,
            End::Failed(error) => error.take().map_or(Step::Cut, Step::Fail),
        }
    }

    fn go_live(&mut self, id: u32) -> Step<B> {
        if self.log.is_over() && id != self.latest {
            self.readers.retain(|reader| reader.id != id);
            return Step::Cut;
        }
        let Some(live) = self.live.take() else { return Step::Wait };
        self.polled_by = Some(id);
        Step::Live(live)
    }

    fn put_back(&mut self, live: B) {
        self.live = Some(live);
        self.polled_by = None;
    }

    /// Takes what came to the reader that polled the live body; says whether others wait for it.
    fn take(&mut self, id: u32, came: Came<B::Error>, rest: Option<B>) -> (Step<B>, bool) {
        let are_many = self.readers.len() > 1;
        self.polled_by = None;
        if rest.is_none() {
            self.end = End::Whole;
        }
        self.live = rest;
        let step = match came {
            Came::Nothing | Came::End => Step::End,
            Came::Data(data) => self.take_data(id, data),
            Came::Trailers(trailers) => self.take_trailers(id, trailers),
            Came::Error(error) => self.fail(id, error),
        };
        (step, are_many)
    }

    fn take_data(&mut self, id: u32, data: Bytes) -> Step<B> {
        let fits = self.log.fits(data.len());
        if !fits && id == self.latest {
            self.leave_behind(id);
        }
        if !self.is_kept && self.readers.len() == 1 {
            self.log.pass(data.len());
        } else {
            self.log.push(data.clone());
            if !fits {
                self.readers.retain(|reader| reader.id != id);
                return Step::Cut;
            }
        }
        if let Some(reader) = self.readers.iter_mut().find(|reader| reader.id == id) {
            reader.at += data.len() as u64;
        }
        self.trim();
        Step::Frame(Frame::data(data))
    }

    fn take_trailers(&mut self, id: u32, trailers: HeaderMap) -> Step<B> {
        let kept = self.log.push_trailers(trailers.clone());
        if !kept && id == self.latest {
            self.leave_behind(id);
        }
        if let Some(reader) = self.readers.iter_mut().find(|reader| reader.id == id) {
            reader.is_past_trailers = true;
        }
        Step::Frame(Frame::trailers(trailers))
    }

    /// A body that failed cannot be sent again; the newest attempt is the one to hear of it.
    fn fail(&mut self, id: u32, error: B::Error) -> Step<B> {
        let newest = self.readers.last().map_or(id, |reader| reader.id);
        self.leave_behind(newest);
        if newest == id {
            self.end = End::Failed(None);
            return Step::Fail(error);
        }
        self.end = End::Failed(Some(error));
        Step::Cut
    }

    /// One reader goes on alone.
    fn leave_behind(&mut self, alone: u32) {
        self.is_kept = false;
        self.readers.retain(|reader| reader.id == alone);
        self.trim();
    }

    /// Lets go what nobody will read any more.
    fn trim(&mut self) {
        if !self.is_kept {
            let read_by_all = self.readers.iter().map(|reader| reader.at).min();
            self.log.trim(read_by_all);
        }
    }

    /// A reader is gone; answers with the live body if nobody is left to read it.
    fn leave(&mut self, id: u32) -> Option<B> {
        self.readers.retain(|reader| reader.id != id);
        if self.polled_by == Some(id) {
            // It was dropped with the live body in its hands: that panicked.
            self.end = End::Failed(None);
            self.is_kept = false;
            self.readers.clear();
        }
        self.abandon()
    }

    fn abandon(&mut self) -> Option<B> {
        self.trim();
        self.live.take_if(|_| self.readers.is_empty() && !self.is_kept)
    }

    fn is_at_end(&self, id: u32) -> bool {
        let all_read = |reader: &Reader| {
            reader.at == self.log.end()
                && (reader.is_past_trailers || self.log.trailers().is_none())
        };
        matches!(self.end, End::Whole) && self.reader(id).is_some_and(all_read)
    }
}

impl Reader {
    const fn new(id: u32) -> Self {
        Self { id, at: 0, is_past_trailers: false }
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
