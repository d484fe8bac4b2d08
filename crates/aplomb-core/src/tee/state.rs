use std::task::Poll;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame};

use super::log::Log;

/// What the attempts share. No code but ours runs under its lock.
pub(super) struct State<B: Body> {
    pub(super) log: Log,
    /// Elsewhere while a reader polls it, and gone when it has ended.
    live: Option<B>,
    pub(super) polled_by: Option<u32>,
    end: End<B::Error>,
    pub(super) is_kept: bool,
    /// By age, the newest last. Who is not among them was cut off.
    readers: Vec<Reader>,
    latest: u32,
}

pub(super) struct Reader {
    id: u32,
    pub(super) at: u64,
    is_past_trailers: bool,
}

enum End<E> {
    Open,
    Whole,
    Failed(Option<E>),
}

/// What the live body answered, its data shared.
pub(super) enum Came<E> {
    Nothing,
    Data(Bytes),
    Trailers(HeaderMap),
    Error(E),
    End,
}

impl<E> Came<E> {
    pub(super) fn of<D: Buf>(polled: Poll<Option<Result<Frame<D>, E>>>) -> Self {
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
pub(super) enum Step<B: Body> {
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
    /// A body that one attempt is about to send and others may.
    pub(super) fn new(live: B, cap: usize) -> Self {
        Self {
            log: Log::new(cap),
            live: Some(live),
            polled_by: None,
            end: End::Open,
            is_kept: true,
            readers: vec![Reader::new(FIRST)],
            latest: FIRST,
        }
    }

    pub(super) fn reader(&self, id: u32) -> Option<&Reader> {
        self.readers.iter().find(|reader| reader.id == id)
    }

    pub(super) fn join(&mut self) -> Option<u32> {
        if !self.is_kept {
            return None;
        }
        self.latest += 1;
        self.readers.push(Reader::new(self.latest));
        Some(self.latest)
    }

    pub(super) fn step(&mut self, id: u32) -> Step<B> {
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

    pub(super) fn put_back(&mut self, live: B) {
        self.live = Some(live);
        self.polled_by = None;
    }

    /// Takes what came to the reader that polled the live body; says whether others wait for it.
    pub(super) fn take(
        &mut self,
        id: u32,
        came: Came<B::Error>,
        rest: Option<B>,
    ) -> (Step<B>, bool) {
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
    pub(super) fn leave(&mut self, id: u32) -> Option<B> {
        self.readers.retain(|reader| reader.id != id);
        if self.polled_by == Some(id) {
            // It was dropped with the live body in its hands: that panicked.
            self.end = End::Failed(None);
            self.is_kept = false;
            self.readers.clear();
        }
        self.abandon()
    }

    pub(super) fn abandon(&mut self) -> Option<B> {
        self.trim();
        self.live.take_if(|_| self.readers.is_empty() && !self.is_kept)
    }

    pub(super) fn is_at_end(&self, id: u32) -> bool {
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

/// The reader that the body begins with.
pub(super) const FIRST: u32 = 0;
