//! What happened to one call so far: collected while its future is polled, told when it ends.
//!
//! Layers tell an observer what they do, and an observer is shared by all calls. What belongs to one
//! call is found here, by the thread that polls it, whatever the type of its request.

use std::cell::RefCell;
use std::time::Duration;

use aplomb_circuit_breaker::State;
use aplomb_core::{Attempt, CallRecord, Condition, Decision, Failure, Reason};

use crate::report::CallOutcome;

/// One call, as its observers heard it.
#[derive(Debug)]
pub(crate) struct Story {
    /// Whose call it is: nobody else's events belong to it.
    of: usize,
    pub(crate) attempt: Attempt,
    is_under_way: bool,
    pub(crate) outcome: Option<CallOutcome>,
    pub(crate) reason: Option<Reason>,
    pub(crate) record: CallRecord,
    pub(crate) paced: Duration,
    pub(crate) queued: Duration,
    pub(crate) circuit: Option<State>,
    pub(crate) fallback: Option<Condition>,
    pub(crate) only_observed: bool,
}

impl Story {
    pub(crate) fn new(of: usize) -> Self {
        Self {
            of,
            attempt: Attempt::FIRST,
            is_under_way: true,
            outcome: None,
            reason: None,
            record: CallRecord::default(),
            paced: Duration::ZERO,
            queued: Duration::ZERO,
            circuit: None,
            fallback: None,
            only_observed: false,
        }
    }

    pub(crate) fn failed(
        &mut self,
        attempt: Attempt,
        failure: Failure,
        then: Result<Duration, Reason>,
    ) {
        self.is_under_way = false;
        // More decisions than anybody reads are not kept: a call may have unlimited attempts.
        if self.record.decisions.len() < DECISIONS_MAX {
            self.record.decisions.push(Decision::new(attempt, failure, then));
        }
    }

    pub(crate) fn would_retry(&mut self, attempt: Attempt, failure: Failure, wait: Duration) {
        self.failed(attempt, failure, Ok(wait));
        self.only_observed = true;
    }

    pub(crate) fn resent(&mut self, attempt: Attempt) {
        (self.attempt, self.is_under_way) = (attempt, true);
    }

    pub(crate) fn ended(&mut self, outcome: CallOutcome) {
        self.outcome = Some(outcome);
    }

    /// Time was up: answers whether that ended an attempt that no other deadline had ended. A total
    /// deadline that ends a wait between attempts ends none.
    pub(crate) fn timed_out(&mut self) -> bool {
        std::mem::replace(&mut self.is_under_way, false)
    }
}

/// Makes `story` the one of whatever is polled until the scope is dropped.
#[must_use]
pub(crate) struct Scope<'a> {
    story: &'a mut Option<Box<Story>>,
    outer: Option<Box<Story>>,
}

impl<'a> Scope<'a> {
    pub(crate) fn enter(story: &'a mut Option<Box<Story>>) -> Self {
        let outer = swap(story.take());
        Self { story, outer }
    }
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        *self.story = swap(self.outer.take());
    }
}

fn swap(story: Option<Box<Story>>) -> Option<Box<Story>> {
    // A thread that ends has no story any more; what is dropped there is not told.
    CURRENT.try_with(|current| current.replace(story)).ok().flatten()
}

/// Tells the story that is under way here, if it is one of `of`.
#[inline]
pub(crate) fn tell<T>(of: usize, tell: impl FnOnce(&mut Story) -> T) -> Option<T> {
    let told = CURRENT.try_with(|current| {
        let mut current = current.borrow_mut();
        current.as_mut().filter(|story| story.of == of).map(|story| tell(story))
    });
    told.ok().flatten()
}

/// The attempt that is under way here, whosever it is.
pub(crate) fn attempt() -> Option<Attempt> {
    let attempt = |current: &RefCell<Option<Box<Story>>>| Some(current.borrow().as_ref()?.attempt);
    CURRENT.try_with(attempt).ok().flatten()
}

thread_local! {
    static CURRENT: RefCell<Option<Box<Story>>> = const { RefCell::new(None) };
}

/// A record of one call tells so many decisions.
const DECISIONS_MAX: usize = 64;
