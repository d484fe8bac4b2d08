//! Sends a dead letter again: claimed, paid for, spread, settled.

use std::future::poll_fn;
use std::time::Duration;

use aplomb_core::{
    Answer, BoxError, Call, Classify, Deadline, Observe, OperationClass, Outcome, Pushback,
    Withdraw, time,
};
use tower_service::Service;

use crate::deferred::{not_retried, seen};
use crate::event::DeadLetterEvent;
use crate::judge;
use crate::machine::{Ended, Step};
use crate::operator::{Listing, Note};
use crate::redriven::{RedriveError, Redriven, Unwritten};
use crate::redriver::{RedriveRequest, Redriver, Terms};
use crate::sink::{Sink, SinkError, StepError};
use crate::{LastFailure, Letter, LetterId, Record};

impl<K, S, W, C, O> Redriver<K, S, W, C, O>
where
    K: Sink,
    S: Service<RedriveRequest, Response: Answer, Error: Into<BoxError>> + Clone,
    W: Withdraw,
    C: Classify<S::Response>,
    O: Observe<DeadLetterEvent>,
{
    /// Sends a letter again, under its own key.
    ///
    /// # Errors
    ///
    /// [`RedriveError::Refused`] when it is not there, has ended, is being sent, is to be left alone
    /// or was sent too often; [`RedriveError::BudgetEmpty`] when the budget does not pay for it;
    /// [`RedriveError::Sink`] when the sink failed before it was sent. It was sent nevertheless when
    /// the error is [`RedriveError::Unwritten`], since the outcome could not be written down, or
    /// refuses with [`Lost`](crate::Refused::Lost), since somebody else claimed the letter meanwhile.
    pub async fn redrive(&self, id: LetterId, note: &Note) -> Result<Redriven, RedriveError> {
        let Terms { lease, redrives_max, .. } = self.terms;
        let claim = Step::Claim { note: note.clone(), lease, redrives_max };
        let claimed = self.sink.step(id, &claim).await.map_err(|error| self.refuse(error))?;
        let after = claimed.letter.last_failure.as_failure();
        let Some(withdrawal) = self.budget.withdraw(&after) else {
            return Err(self.cannot_pay(&claimed, note).await);
        };
        self.observer.observe(&DeadLetterEvent::Redriving);
        let limit = lease.saturating_sub(lease / 4);
        let deadline = Deadline::after(time::now(), limit);
        let mut sent = None;
        let sending = self.send(&claimed.letter, deadline, withdrawal, &mut sent);
        let result = tokio::time::timeout(limit, sending).await;
        let result = result.unwrap_or_else(|elapsed| Err(elapsed.into()));
        let request = &claimed.letter.request;
        let call = Call::of(&request.method, &request.headers);
        let outcome = self.classify.classify(call, seen(&result));
        let is_sent = sent.is_some();
        if let Some(sent) = sent {
            W::settle(sent, outcome);
        }
        let (ended, redriven) = self.judge(&claimed, outcome, &result, is_sent);
        self.settle(&claimed, note, ended, redriven).await
    }

    /// Sends up to `most` letters again, one after the other, and says what became of each. It ends
    /// early when the budget is empty, which is the last thing that it says. Letters that are to be
    /// left alone, are being sent or were sent too often are passed over.
    ///
    /// # Errors
    ///
    /// When the sink cannot list its letters.
    pub async fn redrive_all(
        &self,
        most: usize,
        note: &Note,
    ) -> Result<Vec<(LetterId, Result<Redriven, RedriveError>)>, SinkError> {
        let (mut done, mut listing) = (Vec::new(), Listing::dead(PAGE));
        loop {
            let page = self.sink.list(&listing).await?;
            for record in &page {
                if done.len() == most {
                    return Ok(done);
                }
                let id = record.letter.id;
                listing.after = Some(id);
                let redriven = self.redrive(id, note).await;
                if matches!(redriven, Err(RedriveError::Refused(_))) {
                    continue;
                }
                let is_end = matches!(redriven, Err(RedriveError::BudgetEmpty));
                done.push((id, redriven));
                if is_end {
                    return Ok(done);
                }
            }
            if page.len() < PAGE {
                return Ok(done);
            }
        }
    }

    /// Nothing was sent, so the letter is anybody's again, now or when the lease ends.
    async fn cannot_pay(&self, claimed: &Record, note: &Note) -> RedriveError {
        self.observer.observe(&DeadLetterEvent::BudgetEmpty);
        let (note, fence) = (note.clone(), claimed.fence);
        let redrive = Ended::Released { why: "the retry budget is empty".into() };
        let step = Step::Settle { note, fence, redrive };
        let _ = self.write_down(claimed.letter.id, &step).await;
        RedriveError::BudgetEmpty
    }

    /// Waits for its turn, then sends. What it withdrew is spent when the request goes out.
    async fn send(
        &self,
        letter: &Letter,
        deadline: Deadline,
        withdrawal: W::Withdrawal,
        sent: &mut Option<W::Sent>,
    ) -> Result<S::Response, BoxError> {
        let wait = self.terms.dice.roll().up_to(self.terms.spread);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let mut service = self.service.clone();
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
        let mut request: RedriveRequest = letter.request.to_request();
        request.extensions_mut().insert(OperationClass::Deferred);
        request.extensions_mut().insert(deadline);
        let sending = service.call(request);
        *sent = Some(W::sent(withdrawal));
        sending.await.map_err(Into::into)
    }

    /// What a send means for its letter.
    fn judge(
        &self,
        claimed: &Record,
        outcome: Outcome,
        result: &Result<S::Response, BoxError>,
        is_sent: bool,
    ) -> (Ended, Redriven) {
        if outcome == Outcome::Success {
            let status = result.as_ref().ok().map(Answer::status);
            return (Ended::Delivered, Redriven::Delivered { status });
        }
        let why = not_retried(result);
        let failure = LastFailure::new(outcome, seen(result).map(Answer::status));
        let failure = failure.reason(why.map(|why| why.reason));
        if !is_sent {
            let (why, wait) = (failure.to_string().into(), Duration::ZERO);
            return (Ended::Released { why }, Redriven::StoredAgain { failure, wait });
        }
        let (attempts, wait) = (judge::sends(outcome, why), self.wait(claimed.redrives, outcome));
        let ended = Ended::Failed { failure: failure.clone(), attempts, wait };
        (ended, Redriven::StoredAgain { failure, wait })
    }

    async fn settle(
        &self,
        claimed: &Record,
        note: &Note,
        redrive: Ended,
        redriven: Redriven,
    ) -> Result<Redriven, RedriveError> {
        let step = Step::Settle { note: note.clone(), fence: claimed.fence, redrive };
        match self.write_down(claimed.letter.id, &step).await {
            Ok(_) => {}
            Err(StepError::Refused(why)) => return Err(self.refuse(why.into())),
            Err(StepError::Sink(source)) => {
                return Err(RedriveError::Unwritten(Unwritten { redriven, source }));
            }
        }
        self.observer.observe(&match &redriven {
            Redriven::Delivered { .. } => DeadLetterEvent::Redelivered,
            Redriven::StoredAgain { failure, .. } => {
                DeadLetterEvent::FailedAgain { kind: failure.kind }
            }
        });
        Ok(redriven)
    }

    /// A settlement can be repeated as it was, and an outcome is worth more than one try.
    async fn write_down(&self, id: LetterId, step: &Step) -> Result<Record, StepError> {
        let mut rng = self.terms.dice.roll();
        for _ in 1..SETTLES_MAX {
            match self.sink.step(id, step).await {
                Err(StepError::Sink(_)) => {}
                settled => return settled,
            }
            tokio::time::sleep(SETTLE_PAUSE + rng.up_to(SETTLE_PAUSE)).await;
        }
        self.sink.step(id, step).await
    }

    fn wait(&self, redrives: u32, outcome: Outcome) -> Duration {
        let asked = match outcome.failure().map(|failure| failure.pushback) {
            Some(Pushback::After(asked)) => Some(asked.min(judge::ASKED_MAX)),
            _ => None,
        };
        self.terms.schedule.wait(redrives, asked, &mut self.terms.dice.roll())
    }
}

/// How many letters are looked at together.
const PAGE: usize = 64;
/// How often an outcome is tried to be written down.
const SETTLES_MAX: u32 = 3;
const SETTLE_PAUSE: Duration = Duration::from_millis(50);
