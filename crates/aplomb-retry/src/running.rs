use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{
    Answer, Attempt, Attempts, BoxError, Call, CallRecord, Classify, Deadline, Decision, Failure,
    FailureKind, Observe, Outcome, Reason, Replay, Request, owner, time,
};

use crate::budget::{Budget, Sent, Withdrawal};
use crate::event::RetryEvent;
use crate::layer::Policy;
use crate::notes::{exhausted_inside, plus, sent_beneath};
use crate::rules::{Again, BodyIs, Progress};

/// A call under way: what it carries from one attempt to the next.
pub(crate) struct Running<K, C, O> {
    pub(crate) kept: Option<K>,
    pub(crate) call: Call,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) wants_record: bool,
    pub(crate) budget: Option<Budget>,
    pub(crate) policy: Arc<Policy<C, O>>,
    // Only a call that failed once pays for the room.
    pub(crate) failed: Option<Box<Failed>>,
    // Tells the observer when the call is dropped; nothing once it has ended. A pointer, since a drop
    // knows no more of an observer than that it is one.
    pub(crate) unfinished: Option<Tell<O>>,
}

/// How an observer is told.
pub(crate) type Tell<O> = fn(&O, &RetryEvent);

/// What a call carries once an attempt of it has failed.
pub(crate) struct Failed {
    progress: Progress,
    sent: Option<Sent>,
    pub(crate) record: CallRecord,
    /// What layers inside sent beyond this one's attempts.
    pub(crate) beneath: u32,
}

/// The next attempt, paid for and not sent yet.
pub(crate) struct Next<Req> {
    request: Req,
    withdrawal: Withdrawal,
}

pub(crate) enum Settled<R: Answer, Req> {
    Done(Result<R, BoxError>),
    Again { wait: Duration, next: Next<Req>, rest: Option<R::Rest> },
}

impl<K, C, O> Running<K, C, O> {
    /// Looks at how an attempt ended: answers with the failure, or else ends the call.
    ///
    /// The answer stays where it is: a response is large, and on the happy path nothing is to be
    /// done to it.
    #[inline]
    pub(crate) fn look<R>(&mut self, result: Result<&mut R, &mut BoxError>) -> Option<Failure>
    where
        R: Answer,
        C: Classify<R>,
        O: Observe<RetryEvent>,
    {
        let seen = match &result {
            Ok(response) => Ok(&**response),
            Err(error) => Err(&***error as &(dyn Error + 'static)),
        };
        let outcome = self.policy.classify.classify(self.call, seen);
        if let Outcome::Failure(failure) = outcome {
            return Some(failure);
        }
        self.end(outcome);
        match result {
            Ok(response) if self.wants_record => self.leave_record(response),
            Ok(_) => {}
            Err(error) => self.say_saturated(error),
        }
        None
    }

    /// The attempt that was made last.
    pub(crate) fn attempt(&self) -> Attempt {
        self.failed.as_ref().map_or(Attempt::FIRST, |failed| failed.progress.attempt())
    }

    #[inline]
    fn end(&mut self, outcome: Outcome)
    where
        O: Observe<RetryEvent>,
    {
        self.unfinished = None;
        let success = outcome == Outcome::Success;
        match &mut self.failed {
            None if success => self.budget().deposit(),
            None => {}
            Some(failed) => {
                // Told or not, it is over: what has no vote must not get one when it is dropped.
                let _ = failed.sent.take().filter(|_| success).map(Sent::succeeded);
            }
        }
        let attempt = self.attempt();
        self.policy.observer.observe(&RetryEvent::Done { attempt, success });
    }

    /// An attempt failed: the call is over, or it is sent again.
    #[cold]
    pub(crate) fn fail<R, Req>(
        &mut self,
        failure: Failure,
        result: Result<R, BoxError>,
    ) -> Settled<R, Req>
    where
        R: Answer,
        Req: Replay<Kept = K>,
        K: Request,
        O: Observe<RetryEvent>,
    {
        let mut failed =
            self.failed.take().unwrap_or_else(|| Box::new(Failed::first(self.call, self.deadline)));
        // A key in flight elsewhere says nothing about the dependency's health, nor does a call that
        // a layer inside held back.
        let votes = failure.kind != FailureKind::Pending && !failure.held_back;
        if let Some(sent) = failed.sent.take().filter(|_| votes) {
            sent.failed();
        }
        if self.is_owned_elsewhere(&result) {
            failed.progress.stand_down();
        }
        failed.beneath = failed.beneath.saturating_add(sent_beneath(&result));
        let (attempt, before) = (failed.progress.attempt(), self.budget().balance());
        let next = self.next(&mut failed.progress, failure);
        if self.wants_record {
            let then = next.as_ref().map(|(wait, _)| *wait).map_err(|reason| *reason);
            let decision = Decision::new(attempt, failure, then);
            failed.record.decisions.push(decision.balance(before, self.budget().balance()));
        }
        self.failed = Some(failed);
        match next {
            Ok((wait, next)) if self.policy.settings.only_observes => {
                // Spent as if it were sent; how it would have ended, nobody knows.
                drop(next.withdrawal.sent());
                self.unfinished = None;
                let event = RetryEvent::WouldRetry { failed: attempt, failure, wait };
                self.policy.observer.observe(&event);
                Settled::Done(result)
            }
            Ok((wait, next)) => {
                let event = RetryEvent::Waiting { failed: attempt, failure, wait };
                self.policy.observer.observe(&event);
                Settled::Again { wait, next, rest: result.ok().map(Answer::into_rest) }
            }
            Err(reason) => {
                self.unfinished = None;
                let event = RetryEvent::Refused { attempt, failure, reason };
                self.policy.observer.observe(&event);
                if self.policy.settings.only_observes {
                    return Settled::Done(result);
                }
                if reason.is_exhaustion() {
                    owner::exhausted();
                }
                Settled::Done(self.annotate(result, reason))
            }
        }
    }

    /// Whether a layer inside has given up already, or somebody named itself the owner.
    fn is_owned_elsewhere<R: Answer>(&self, result: &Result<R, BoxError>) -> bool
    where
        K: Request,
    {
        if exhausted_inside(result).is_some() {
            return true;
        }
        let me = self.policy.settings.owner.as_deref();
        self.kept
            .as_ref()
            .is_some_and(|kept| owner::is_owned_elsewhere(kept.headers(), kept.authority(), me))
    }

    /// The next attempt and the wait before it, or why there is none.
    fn next<Req>(
        &mut self,
        progress: &mut Progress,
        failure: Failure,
    ) -> Result<(Duration, Next<Req>), Reason>
    where
        Req: Replay<Kept = K>,
    {
        let Policy { settings, purse, dice, .. } = &*self.policy;
        let budget = purse.open(self.budget.as_ref());
        let body = match &self.kept {
            Some(kept) if Req::is_whole(kept) => BodyIs::Kept,
            // Nothing is kept for an attempt that was never to be: the body is not to blame.
            None if settings.rules.attempts == Attempts::ONE => BodyIs::Kept,
            _ => BodyIs::Gone,
        };
        let (now, mut rng) = (time::now(), dice.roll());
        let Again { wait, withdrawal } =
            settings.rules.judge(progress, failure, body, now, &mut rng, budget)?;
        // A stream may have ended meanwhile: then the withdrawal goes back by its drop.
        let request = self.kept.as_mut().and_then(Req::again).ok_or(Reason::Body)?;
        Ok((wait, Next { request, withdrawal }))
    }

    /// The service broke while the call waited to be sent again. It will not mend: the call is over,
    /// and what was withdrawn for its next attempt goes back.
    #[cold]
    pub(crate) fn break_off<R>(&mut self, error: BoxError) -> Result<R, BoxError>
    where
        R: Answer,
        C: Classify<R>,
        O: Observe<RetryEvent>,
    {
        self.unfinished = None;
        let (attempt, reason) = (self.attempt(), Reason::Permanent);
        let outcome = self.policy.classify.classify(self.call, Err(&*error));
        let failure = outcome.failure().unwrap_or(Failure::new(FailureKind::Permanent));
        self.policy.observer.observe(&RetryEvent::Refused { attempt, failure, reason });
        self.annotate(Err(error), reason)
    }

    /// The next attempt goes out: answers with the request to send.
    pub(crate) fn resend<Req>(&mut self, next: Next<Req>) -> Req
    where
        Req: Replay,
        O: Observe<RetryEvent>,
    {
        let Next { mut request, withdrawal } = next;
        if let Some(failed) = &mut self.failed {
            failed.progress.resent();
            failed.sent = Some(withdrawal.sent());
        }
        let attempt = self.attempt();
        // Whoever passed the request on may have counted before.
        let before = owner::attempt(request.headers());
        let count = plus(before, self.last().number() - 1);
        if !count.is_first() {
            request.headers_mut().insert(owner::ATTEMPT_COUNT, count.number().into());
        }
        self.policy.observer.observe(&RetryEvent::Resent { attempt });
        request
    }

    fn budget(&self) -> &Budget {
        self.policy.purse.open(self.budget.as_ref())
    }
}

impl Failed {
    fn first(call: Call, deadline: Option<Deadline>) -> Self {
        let progress = Progress::new(call, deadline);
        Self { progress, sent: None, record: CallRecord::default(), beneath: 0 }
    }
}

impl<K, C, O> Running<K, C, O> {
    #[cold]
    fn abandoned(&self, tell: Tell<O>) {
        let deadline = self.deadline.or_else(Deadline::current);
        let timed_out = deadline.is_some_and(|deadline| deadline.is_over(time::now()));
        let event = RetryEvent::Abandoned { attempt: self.attempt(), timed_out };
        tell(&self.policy.observer, &event);
    }
}

/// A dropped future is a common end of a call: whoever counts calls must hear of it.
impl<K, C, O> Drop for Running<K, C, O> {
    #[inline]
    fn drop(&mut self) {
        if let Some(tell) = self.unfinished {
            self.abandoned(tell);
        }
    }
}

/// A retry that is dropped when its time is up has failed, though nobody is left to be told so: the
/// deadline that ends it lies outside. One that is dropped earlier, since its caller hung up, has no
/// vote.
impl Drop for Failed {
    fn drop(&mut self) {
        let Some(sent) = self.sent.take() else { return };
        if self.progress.deadline().is_some_and(|deadline| deadline.is_over(time::now())) {
            sent.failed();
        }
    }
}
