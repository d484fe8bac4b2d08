//! A deferred call: what it carries until its answer is there, and what follows from that.

use std::error::Error;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aplomb_core::{
    Answer, BoxError, Call, Classify, NotRetried, Observe, Outcome, ReplayBody, cause, time,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::Request;
use http_body::Body;

use crate::bury::Bury;
use crate::error::{BodyNotKept, NotStored};
use crate::event::DeadLetterEvent;
use crate::fate::{Fate, Reschedule};
use crate::judge::{self, Verdict};
use crate::layer::Shared;
use crate::{Cause, Job, KeptRequest, LastFailure, Letter, LetterId, Timestamp};

/// What a deferred call carries.
pub(crate) struct Deferred<B: ReplayBody, K, C, O> {
    pub(crate) kept: Option<Request<B::Kept>>,
    pub(crate) key: Box<str>,
    pub(crate) call: Call,
    pub(crate) job: Option<Job>,
    pub(crate) shared: Arc<Shared<K, C, O>>,
}

/// What follows from an answer.
pub(crate) enum Next<R> {
    Done(Result<R, BoxError>),
    /// The sink is asked first.
    Ask(Asking<R>),
}

pub(crate) type Asking<R> = Pin<Box<dyn Future<Output = Result<R, BoxError>> + Send>>;

/// How a round ended.
struct Ended {
    failure: LastFailure,
    attempts: u32,
    at: SystemTime,
    asked: Option<Duration>,
}

impl<B, K, C, O> Deferred<B, K, C, O>
where
    B: ReplayBody<Kept: Send + 'static> + Body<Data: Buf + Send> + Send + 'static,
    K: Bury,
    C: Send + Sync + 'static,
    O: Observe<DeadLetterEvent> + Send + Sync + 'static,
{
    /// The answer is there.
    pub(crate) fn answered<R>(self, result: Result<R, BoxError>) -> Next<R>
    where
        R: Answer + Send + 'static,
        C: Classify<R>,
    {
        let outcome = self.shared.classify.classify(self.call, seen(&result));
        let left = self.left();
        let answer = result.as_ref().ok().map(|answer| (answer.status(), answer.headers()));
        match judge::judge(outcome, answer, left) {
            Verdict::Delivered if self.job.is_some_and(|job| job.may_have_a_letter()) => {
                Next::Ask(Box::pin(self.retract(result)))
            }
            Verdict::Delivered => Next::Done(delivered(result)),
            Verdict::Again { asked } => {
                let reschedule = self.reschedule(&Ended::of(&result, outcome, asked));
                let (kind, wait) = (reschedule.failure.kind, reschedule.wait);
                self.announce(DeadLetterEvent::Rescheduled { kind, wait });
                Next::Done(Fate::Reschedule(reschedule).beside(result))
            }
            Verdict::Dead { cause, asked } => {
                let ended = Ended::of(&result, outcome, asked);
                Next::Ask(Box::pin(self.bury(result, cause, ended)))
            }
        }
    }

    /// How much is left for further rounds: nothing after the last one.
    fn left(&self) -> Duration {
        match self.job {
            Some(job) if job.rounds.saturating_add(1) < self.shared.settings.rounds_max => {
                job.left(time::now())
            }
            _ => Duration::ZERO,
        }
    }

    /// Stores a letter, or leaves the request with its caller.
    async fn bury<R: Answer>(
        mut self,
        result: Result<R, BoxError>,
        cause: Cause,
        ended: Ended,
    ) -> Result<R, BoxError> {
        let Some(request) = self.whole_request().await else {
            let cap = self.shared.settings.body_cap;
            return Err(self.not_stored(&ended, BodyNotKept { cap }));
        };
        let letter = self.letter(request, cause, &ended);
        match self.shared.sink.bury(letter).await {
            Ok(fate) => {
                self.announce(match fate {
                    Fate::HandedOver(_) => DeadLetterEvent::HandedOver { cause },
                    _ => DeadLetterEvent::Stored { cause },
                });
                fate.beside(result)
            }
            Err(error) => Err(self.not_stored(&ended, error)),
        }
    }

    /// It was done. A letter that a worker stored before it died must not be sent any more.
    async fn retract<R: Answer>(self, result: Result<R, BoxError>) -> Result<R, BoxError> {
        let Some(kept) = &self.kept else { return delivered(result) };
        let id = LetterId::of(kept.method(), kept.uri(), &self.key);
        match self.shared.sink.retract(id).await {
            Ok(false) => {}
            Ok(true) => self.announce(DeadLetterEvent::Retracted),
            // Done once more under its key, it is done no more than now.
            Err(error) => {
                let ended = Ended::of(&result, Outcome::Success, None);
                return Err(self.not_stored(&ended, error));
            }
        }
        delivered(result)
    }

    fn letter(&self, request: KeptRequest, cause: Cause, ended: &Ended) -> Letter {
        let at = Timestamp::from(ended.at);
        let job = self.job.unwrap_or_else(|| Job::new(Duration::ZERO, time::now()));
        Letter {
            id: LetterId::of(&request.method, &request.uri, &self.key),
            request,
            key: self.key.clone(),
            cause,
            attempts: job.attempts.saturating_add(ended.attempts),
            rounds: job.rounds.saturating_add(1),
            last_failure: ended.failure.clone(),
            first_failed_at: job.first_failed_at.unwrap_or(at),
            last_failed_at: at,
            not_before: at.plus(ended.asked.unwrap_or_default()),
            horizon: self.job.map(|job| at.plus(job.left(time::now()))),
        }
    }

    fn reschedule(&self, ended: &Ended) -> Reschedule {
        let settings = &self.shared.settings;
        let round = self.job.map_or(0, |job| job.rounds).saturating_add(1);
        let wait = settings.schedule.wait(round, ended.asked, &mut settings.dice.roll());
        Reschedule::new(ended.failure.clone(), ended.attempts, ended.at, wait)
    }

    fn not_stored(&self, ended: &Ended, source: impl Into<BoxError>) -> BoxError {
        self.announce(DeadLetterEvent::NotStored);
        Box::new(NotStored { reschedule: self.reschedule(ended), source: source.into() })
    }

    /// The request with its whole body, unless that is over the cap or gone.
    async fn whole_request(&mut self) -> Option<KeptRequest> {
        let mut kept = self.kept.take()?;
        let body = B::again(kept.body_mut())?;
        let (parts, _) = kept.into_parts();
        let settings = &self.shared.settings;
        let body = read(body, settings.body_cap).await?;
        Some(KeptRequest::of(&parts, body, &settings.headers))
    }

    fn announce(&self, event: DeadLetterEvent) {
        self.shared.observer.observe(&event);
    }
}

impl Ended {
    fn of<R: Answer>(
        result: &Result<R, BoxError>,
        outcome: Outcome,
        asked: Option<Duration>,
    ) -> Self {
        let why = not_retried(result);
        let failure = LastFailure::new(outcome, seen(result).map(Answer::status));
        let failure = failure.reason(why.map(|why| why.reason));
        Self { failure, attempts: judge::sends(outcome, why), at: time::wall(), asked }
    }
}

/// An answer as classifiers see it.
pub(crate) fn seen<R>(result: &Result<R, BoxError>) -> Result<&R, &(dyn Error + 'static)> {
    match result {
        Ok(response) => Ok(response),
        Err(error) => Err(&**error),
    }
}

/// Why the retrying inside ended, if it did.
pub(crate) fn not_retried<R: Answer>(result: &Result<R, BoxError>) -> Option<NotRetried> {
    match result {
        Ok(response) => response.extensions().get().copied(),
        Err(error) => cause(&**error).copied(),
    }
}

/// A success whose status does not look like one says what it is.
fn delivered<R: Answer>(result: Result<R, BoxError>) -> Result<R, BoxError> {
    match &result {
        Ok(response) if is_plain(response) => result,
        _ => Fate::Delivered.beside(result),
    }
}

fn is_plain(response: &impl Answer) -> bool {
    !response.status().is_client_error() && !response.status().is_server_error()
}

/// All of a body, unless it breaks off or is longer than `cap` bytes.
async fn read<B>(body: B, cap: usize) -> Option<Bytes>
where
    B: Body<Data: Buf>,
{
    let (mut body, mut bytes) = (pin!(body), BytesMut::new());
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        // Trailers are no part of what a letter keeps.
        let Ok(data) = frame.ok()?.into_data() else { continue };
        if bytes.len() + data.remaining() > cap {
            return None;
        }
        bytes.put(data);
    }
    Some(bytes.freeze())
}
