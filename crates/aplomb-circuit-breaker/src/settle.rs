//! The machine's other half: what a call that ended changes.

use aplomb_core::time::Instant;
use aplomb_core::{Dice, Failure, FailureKind, Outcome, Pushback};

use crate::breaker::{Breaker, Permit, whole_millis};
use crate::change::Change;
use crate::settings::Settings;
use crate::state::{Phase, State, Word};
use crate::trip::Because;
use crate::vote::{Ended, Vote};

impl Breaker {
    /// Is told how a call ended. What belongs to an earlier generation changes nothing.
    #[inline]
    #[expect(clippy::needless_pass_by_value, reason = "a permit is settled once")]
    pub fn settle(
        &self,
        settings: &Settings,
        permit: Permit,
        now: Instant,
        ended: Ended,
        dice: &Dice,
    ) -> Option<Change> {
        if ended == Ended::With(Outcome::Success)
            && self.count_success(settings, permit.generation, || now)
        {
            return None;
        }
        let vote = Vote::of(ended, &settings.trip, || permit.took(now));
        self.take(settings, &permit, now, vote, dice)
    }

    /// Counts a success where that is all there is to do: closed, without a rule about slow calls.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "most of its cost would be the call")]
    pub(crate) fn count_success(
        &self,
        settings: &Settings,
        generation: u16,
        clock: impl FnOnce() -> Instant,
    ) -> bool {
        let word = self.word();
        let is_plain = word.lets_all_through() && !settings.trip.counts_slow();
        if !is_plain || word.generation() != generation {
            return false;
        }
        self.runs.succeeded(generation);
        self.window.passed(self.place(settings, clock()), generation);
        true
    }

    /// Takes a call's vote.
    #[cold]
    pub(crate) fn take(
        &self,
        settings: &Settings,
        permit: &Permit,
        now: Instant,
        vote: Vote,
        dice: &Dice,
    ) -> Option<Change> {
        let word = self.word();
        if word.generation() != permit.generation {
            return None;
        }
        match word.phase() {
            Phase::Closed { .. } | Phase::HeldClosed => self.count(settings, word, now, vote, dice),
            Phase::HalfOpen(_) => self.judge(settings, word, now, vote, dice),
            Phase::Open { .. } | Phase::HeldOpen => None,
        }
    }

    /// Closed, or held so: counts, and opens when a rule is met.
    fn count(
        &self,
        settings: &Settings,
        word: Word,
        now: Instant,
        vote: Vote,
        dice: &Dice,
    ) -> Option<Change> {
        match vote {
            Vote::None => None,
            Vote::Passed { slow } => {
                self.runs.succeeded(word.generation());
                self.window.passed(self.place(settings, now), word.generation());
                if !slow {
                    return None;
                }
                let tag = self.tag(settings, word, now);
                self.window.slow(tag);
                let because = settings.trip.by_tally(self.window.tally(tag))?;
                self.open(settings, word, now, because, Pushback::None, dice)
            }
            Vote::Failed { failure, slow } => {
                self.count_failure(settings, word, now, failure, slow, dice)
            }
        }
    }

    #[cold]
    fn count_failure(
        &self,
        settings: &Settings,
        word: Word,
        now: Instant,
        failure: Failure,
        slow: bool,
        dice: &Dice,
    ) -> Option<Change> {
        let run = self.runs.failed(word.generation(), failure.kind == FailureKind::Unsent);
        let tag = self.tag(settings, word, now);
        self.window.failed(tag);
        if slow {
            self.window.slow(tag);
        }
        let trip = &settings.trip;
        let because = trip.by_run(run).or_else(|| trip.by_tally(self.window.tally(tag)))?;
        self.open(settings, word, now, because, failure.pushback, dice)
    }

    /// Closed no more, unless somebody else was first or an operator holds it closed.
    #[cold]
    fn open(
        &self,
        settings: &Settings,
        mut word: Word,
        now: Instant,
        because: Because,
        pushback: Pushback,
        dice: &Dice,
    ) -> Option<Change> {
        let generation = word.generation();
        loop {
            let Phase::Closed { since } = word.phase() else { return None };
            if word.generation() != generation {
                return None;
            }
            // What it learnt in the last outage is forgotten a step for every window without one.
            let calm = self.passed_millis(now).saturating_sub(since);
            let steps = calm / whole_millis(settings.trip.window()).max(1);
            let level = word.level().saturating_sub(u32::try_from(steps).unwrap_or(u32::MAX));
            let open_for = settings.open_time(level, pushback, dice);
            let next = word.next(Phase::Open { until: self.millis_after(now, open_for) }, level);
            match self.replace(word, next) {
                Ok(()) => return Some(Change::opened(State::Closed, because, open_for)),
                Err(seen) => word = seen,
            }
        }
    }

    /// Half-open: the vote of a probe, or of one of the calls after it.
    fn judge(
        &self,
        settings: &Settings,
        mut word: Word,
        now: Instant,
        vote: Vote,
        dice: &Dice,
    ) -> Option<Change> {
        let generation = word.generation();
        let by_run = self.run(settings, generation, vote);
        loop {
            let Phase::HalfOpen(ramp) = word.phase() else { return None };
            if word.generation() != generation {
                return None;
            }
            let (next, change) = match vote {
                Vote::None => (word.with(ramp.gave_back()), None),
                Vote::Passed { slow: false } if ramp.passed().is_climbed() => {
                    let closed = Phase::Closed { since: self.passed_millis(now) };
                    let change = Change::to(State::HalfOpen, State::Closed, Because::Recovered);
                    (word.next(closed, word.level()), Some(change))
                }
                Vote::Passed { slow: false } => (word.with(ramp.passed()), None),
                Vote::Passed { slow: true } | Vote::Failed { .. } => {
                    let ramp = ramp.lost();
                    if by_run || settings.trip.ends_ramp(ramp.failed, ramp.succeeded) {
                        let level = settings.raised(word.level());
                        let open_for = settings.open_time(level, vote.pushback(), dice);
                        let until = self.millis_after(now, open_for);
                        let change =
                            Change::opened(State::HalfOpen, Because::ProbeFailed, open_for);
                        (word.next(Phase::Open { until }, level), Some(change))
                    } else {
                        (word.with(ramp), None)
                    }
                }
            };
            match self.replace(word, next) {
                Ok(()) => return change,
                Err(seen) => word = seen,
            }
        }
    }

    /// Whether so many failed in a row that it matters not how many succeeded before.
    fn run(&self, settings: &Settings, generation: u16, vote: Vote) -> bool {
        match vote {
            Vote::None => false,
            Vote::Passed { .. } => {
                self.runs.succeeded(generation);
                false
            }
            Vote::Failed { failure, .. } => {
                let run = self.runs.failed(generation, failure.kind == FailureKind::Unsent);
                settings.trip.by_run(run).is_some()
            }
        }
    }
}
