use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aplomb_core::{BoxError, Observe};
use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{Chaos, Cut, Event, Everything, Matches, Station, StationLayer};

/// Lets answers break off: their head arrives, and a part of their body. See [`Chaos::body`].
///
/// The service has acted and answered. Half of a body whose length is known goes out, or a few bytes
/// of another, then the body fails with a [`Cut`] and a hyper server closes the connection. Empty
/// bodies are left alone.
pub type BodyLayer<P = Everything, O = ()> = StationLayer<AtBody, P, O>;

/// A service whose answers may break off.
pub type Bodies<S, P = Everything, O = ()> = Station<AtBody, S, P, O>;

/// Names the station of a [`BodyLayer`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AtBody;

impl<S, R, B, P, O> Service<R> for Bodies<S, P, O>
where
    S: Service<R, Response = Response<B>> + Clone,
    B: Body,
    P: Matches<R>,
    O: Observe<Event> + Clone,
{
    type Response = Response<CutBody<B>>;
    type Error = S::Error;
    type Future = BodyFuture<S::Future, O>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let touched = self.layer.only.matches(&request);
        let chaos = touched.then(|| self.layer.chaos.clone());
        BodyFuture { answer: self.take().call(request), chaos }
    }
}

pin_project! {
    /// The answer, whose body may break off.
    pub struct BodyFuture<F, O = ()> {
        #[pin]
        answer: F,
        chaos: Option<Chaos<O>>,
    }
}

impl<F, B, E, O> Future for BodyFuture<F, O>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    O: Observe<Event>,
{
    type Output = Result<Response<CutBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(context))?;
        let begun = this.chaos.as_ref().filter(|_| !answer.body().is_end_stream());
        let cut = begun.and_then(Chaos::cuts_short);
        Poll::Ready(Ok(answer.map(|body| CutBody::new(body, cut))))
    }
}

impl<F, O> fmt::Debug for BodyFuture<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyFuture").finish_non_exhaustive()
    }
}

pin_project! {
    /// A body that may break off.
    #[derive(Debug)]
    pub struct CutBody<B> {
        #[pin]
        body: B,
        fate: Fate,
    }
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Whole,
    /// So many bytes go out before the cut.
    Cut {
        cut: Cut,
        left: u64,
    },
    /// They were handed over; the server sends them while this waits once.
    Sent {
        cut: Cut,
    },
}

impl<B: Body> CutBody<B> {
    fn new(body: B, cut: Option<Cut>) -> Self {
        let left = body.size_hint().exact().map_or(PART, |length| length / 2);
        let fate = cut.map_or(Fate::Whole, |cut| Fate::Cut { cut, left });
        Self { body, fate }
    }
}

impl<B> Body for CutBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let (cut, left) = match *this.fate {
            Fate::Whole => {
                return this.body.poll_frame(context).map(|next| Some(next?.map_err(Into::into)));
            }
            Fate::Sent { cut } => return Poll::Ready(Some(Err(cut.reset()))),
            Fate::Cut { cut, left } => (cut, left),
        };
        if left > 0 {
            if let Some(frame) = ready!(this.body.poll_frame(context)) {
                let data = frame.map_err(Into::into)?.into_data().unwrap_or_default();
                let kept =
                    data.slice(..data.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
                let left = left - kept.len() as u64;
                *this.fate = Fate::Cut { cut, left };
                return Poll::Ready(Some(Ok(Frame::data(kept))));
            }
        }
        *this.fate = Fate::Sent { cut };
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.fate, Fate::Whole) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What goes out of a body whose length is not known.
const PART: u64 = 16;
