use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aplomb_core::{Answer, BoxError, Classify, Deadline, Degraded, Observe, Outcome, time};
use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep_until;
use tower_service::Service;

use crate::accept::accept;
use crate::answer::StandIn;
use crate::ask::{Asking, whole};
use crate::error::Nothing;
use crate::event::{FallbackEvent, Unanswered};
use crate::keeper::Watch;
use crate::layer::Shared;
use crate::missed::Missed;
use crate::rest::Draining;
use crate::rules::{Ended, Intent, Signs, Verdict, judge};

pin_project! {
    /// The answer of a [`Fallback`](crate::Fallback).
    ///
    /// Dropping it drops the call inside, or the fallback's, whichever is under way. What a write that
    /// was dropped may have changed is evicted.
    pub struct ResponseFuture<A, R, F, C, O>
    where
        R: StandIn,
    {
        #[pin]
        state: State<A, R>,
        call: Call<F, C, O>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<A, R>
    where
        R: StandIn,
    {
        Calling { #[pin] answer: A },
        // Only a call that failed asks, so only it pays for the room.
        Asking { asking: Option<Box<Asking<R>>> },
        Draining { draining: Box<Draining<R>> },
    }
}

/// A call under way.
pub(crate) struct Call<F, C, O> {
    // Nothing when nobody is going to look at it.
    pub(crate) asked: Option<http::Request<()>>,
    pub(crate) class: aplomb_core::Call,
    pub(crate) intent: Intent,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) watch: Option<Watch>,
    pub(crate) shared: Arc<Shared<F, C, O>>,
}

enum Finished<R: StandIn> {
    Done(Result<R::Output, BoxError>),
    Drains(Box<Draining<R>>),
}

enum Looked<R: StandIn> {
    Done(Result<R::Output, BoxError>),
    Asks(Box<Asking<R>>),
}

impl<A, R: StandIn, F, C, O> ResponseFuture<A, R, F, C, O> {
    #[inline]
    pub(crate) fn new(answer: A, call: Call<F, C, O>) -> Self {
        Self { state: State::Calling { answer }, call }
    }
}

impl<A, R, E, F, B, C, O> Future for ResponseFuture<A, R, F, C, O>
where
    A: Future<Output = Result<R, E>>,
    R: StandIn,
    E: Into<BoxError>,
    F: Service<http::Request<Missed>, Response = Response<B>> + Clone + Send + 'static,
    F::Error: Into<BoxError>,
    F::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    C: Classify<R>,
    O: Observe<FallbackEvent>,
{
    type Output = Result<R::Output, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Calling { answer } => {
                    // Matched before it is looked at: a response is large, and is moved once.
                    let result = match ready!(answer.poll(cx)) {
                        Ok(response) if this.call.is_plain(&response) => {
                            return Poll::Ready(Ok(response.passed()));
                        }
                        Ok(response) => Ok(response),
                        Err(error) => Err(error.into()),
                    };
                    match this.call.look(result) {
                        Looked::Done(result) => return Poll::Ready(result),
                        Looked::Asks(asking) => {
                            this.state.set(State::Asking { asking: Some(asking) });
                        }
                    }
                }
                StateProj::Asking { asking } => {
                    let waiting = asking.as_mut().expect("a call is polled no more after it ended");
                    let answer = ready!(waiting.poll_answer(cx));
                    let Some(asking) = asking.take() else { continue };
                    match this.call.finish(*asking, answer) {
                        Finished::Done(result) => return Poll::Ready(result),
                        Finished::Drains(draining) => this.state.set(State::Draining { draining }),
                    }
                }
                StateProj::Draining { draining } => return draining.poll_answer(cx).map(Ok),
            }
        }
    }
}

impl<F, C, O> Call<F, C, O> {
    /// Whether a response is the answer, and nobody is to learn of it: what nearly every call meets.
    #[inline]
    fn is_plain<R>(&self, response: &R) -> bool
    where
        C: Classify<R>,
    {
        let outcome = || self.shared.classify.classify(self.class, Ok(response));
        self.watch.is_none() && outcome() == Outcome::Success
    }

    /// Looks at how the call inside ended: its answer is the answer, or the fallback is asked.
    fn look<R, B>(&mut self, mut result: Result<R, BoxError>) -> Looked<R>
    where
        R: StandIn,
        F: Service<http::Request<Missed>, Response = Response<B>> + Clone + Send + 'static,
        F::Error: Into<BoxError>,
        F::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
        C: Classify<R>,
        O: Observe<FallbackEvent>,
    {
        let ended = self.ended(&result);
        if let Some(copied) = self.learn(&ended, &mut result) {
            return Looked::Done(copied);
        }
        let settings = self.shared.settings;
        let condition = match judge(self.intent, &ended, settings.conditions, settings.is_pending) {
            Verdict::Passes => return Looked::Done(result.map(R::passed)),
            Verdict::Keeps(condition) => {
                self.tell(FallbackEvent::Kept { condition });
                return Looked::Done(result.map(R::passed));
            }
            Verdict::Asks(condition) => condition,
        };
        if settings.only_observes {
            self.tell(FallbackEvent::WouldAsk { condition });
            return Looked::Done(result.map(R::passed));
        }
        let Ok(place) = Arc::clone(&self.shared.places).try_acquire_owned() else {
            self.tell(FallbackEvent::Unanswered { condition, why: Unanswered::Full });
            return Looked::Done(result.map(R::passed));
        };
        let missed = Missed {
            condition,
            is_unknown: self.is_unknown(&ended),
            is_sent: ended.is_sent(),
            status: result.as_ref().ok().map(Answer::status),
        };
        Looked::Asks(Box::new(self.ask(missed, result, place)))
    }

    fn ended<R>(&self, result: &Result<R, BoxError>) -> Ended
    where
        R: StandIn,
        C: Classify<R>,
    {
        let (seen, signs) = match result {
            Ok(response) => (Ok(response), Signs::of_response(response.extensions())),
            Err(error) => {
                let error = &**error as &(dyn Error + 'static);
                (Err(error), Signs::default())
            }
        };
        let outcome = self.shared.classify.classify(self.class, seen);
        // A chain is searched only when it can matter.
        let signs = match seen {
            Err(error) if outcome != Outcome::Success => Signs::of_error(error),
            _ => signs,
        };
        Ended { outcome, signs }
    }

    fn is_unknown(&self, ended: &Ended) -> bool {
        match self.intent {
            Intent::Read => false,
            Intent::Write { repeats } => ended.may_have_acted(repeats),
        }
    }

    /// Lets whoever keeps good answers see how the call ended. An answer to be kept is copied while
    /// its caller reads it.
    fn learn<R: StandIn>(
        &mut self,
        ended: &Ended,
        result: &mut Result<R, BoxError>,
    ) -> Option<Result<R::Output, BoxError>> {
        let (watch, asked) = (self.watch.take()?, self.asked.as_ref()?);
        let stands_in = |response: &R| Degraded::of(response.extensions()).is_some();
        if self.intent == Intent::Read && result.as_ref().is_ok_and(stands_in) {
            // Another layer's word, not the dependency's: nothing is learnt about what is kept.
            return None;
        }
        let tee = match result {
            Ok(response) => {
                let length = response.least_length();
                let seen = (response.status(), response.headers());
                let tee = watch.settle(asked, ended, Some(seen));
                tee.filter(|tee| tee.has_room(length))
            }
            Err(_) => watch.settle(asked, ended, None),
        };
        let tee = tee?;
        let taken = std::mem::replace(result, Err(Nothing.into()));
        Some(taken.map(|response| response.copied(tee)))
    }

    fn ask<R, B>(
        &mut self,
        missed: Missed,
        original: Result<R, BoxError>,
        place: OwnedSemaphorePermit,
    ) -> Asking<R>
    where
        F: Service<http::Request<Missed>, Response = Response<B>> + Clone + Send + 'static,
        F::Error: Into<BoxError>,
        F::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let settings = self.shared.settings;
        let own = Deadline::after(time::now(), settings.slice);
        let until = self.deadline.map_or(own, |callers| callers.min(own));
        let request = self.asked.take().unwrap_or_default().map(|()| missed);
        Asking {
            uri: request.uri().clone(),
            answer: Box::pin(whole(self.shared.fallback.clone(), request, settings.body_cap)),
            bell: Box::pin(sleep_until(until.instant())),
            until,
            condition: missed.condition,
            original,
            _place: place,
        }
    }

    /// The fallback answered, or did not.
    fn finish<R>(
        &mut self,
        asking: Asking<R>,
        answer: Result<Response<Bytes>, Unanswered>,
    ) -> Finished<R>
    where
        R: StandIn,
        O: Observe<FallbackEvent>,
    {
        let Asking { condition, original, uri, .. } = asking;
        match answer.and_then(|answer| accept(answer, condition, &self.shared.settings)) {
            Ok((answer, event)) => {
                self.tell(event);
                let answer = R::whole(answer, &uri);
                let Ok(response) = original else { return Finished::Done(Ok(answer)) };
                let time = self.shared.settings.drain;
                Finished::Drains(Box::new(Draining::new(response, time, answer)))
            }
            Err(why) => {
                self.tell(FallbackEvent::Unanswered { condition, why });
                Finished::Done(original.map(R::passed))
            }
        }
    }

    fn tell(&self, event: FallbackEvent)
    where
        O: Observe<FallbackEvent>,
    {
        self.shared.observer.observe(&event);
    }
}

impl<A, R: StandIn, F, C, O> fmt::Debug for ResponseFuture<A, R, F, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("is_asking", &matches!(self.state, State::Asking { .. }))
            .finish_non_exhaustive()
    }
}
