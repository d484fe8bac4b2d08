//! The machine: decides after each failure whether the call is sent again.

use std::time::Duration;

use aplomb_backoff::{Backoff, Delays};
use aplomb_core::time::Instant;
use aplomb_core::{
    Attempt, Attempts, Call, Deadline, Failure, FailureKind, Pushback, Reason, Rng, Safety,
};

use crate::budget::{Budget, Cost, Withdrawal};

/// The limits of a call's retries.
///
/// ```
/// use aplomb_core::{Call, Dice, Failure, FailureKind, Reason};
/// use aplomb_retry::{Again, BodyIs, Budget, Progress, Rules};
///
/// let (rules, budget, now) = (Rules::default(), Budget::percent(20), aplomb_core::time::now());
/// let mut rng = Dice::seeded(7).roll();
/// let look = Call::of(&http::Method::GET, &http::HeaderMap::new());
/// let mut progress: Progress = rules.begin(look, None, now);
///
/// let failure = Failure::new(FailureKind::Transient);
/// let again = rules.judge(&mut progress, failure, BodyIs::Kept, now, &mut rng, &budget);
/// let Again { wait, withdrawal, .. } = again.expect("a read may be repeated");
/// assert!(wait <= rules.backoff.ceiling(1));
/// withdrawal.sent().failed();
/// progress.resent();
/// // Without its bytes nothing can be sent again.
/// let again = rules.judge(&mut progress, failure, BodyIs::Gone, now, &mut rng, &budget);
/// assert_eq!(again.unwrap_err(), Reason::Body);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rules {
    /// How many sends in all.
    pub attempts: Attempts,
    /// How long the call may take in all, looked at when an attempt fails.
    pub total: Option<Duration>,
    /// Less time than this is of no use to an attempt.
    pub least_useful: Duration,
    /// The delays between attempts.
    pub backoff: Backoff,
    /// A server that asks for a longer wait than this is not waited for.
    pub longest_pushback: Duration,
    /// A pause of our own making, such as an open circuit's, is waited for up to this long.
    pub longest_pause: Duration,
    /// Whether the operation is declared to honour idempotency keys.
    pub honours_keys: bool,
    /// Whether the operation is declared to read only, whatever its method.
    pub only_reads: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            attempts: Attempts::new(3),
            total: Some(Duration::from_secs(3)),
            least_useful: Duration::from_millis(1),
            backoff: Backoff::interactive(),
            longest_pushback: Duration::from_secs(60),
            longest_pause: Duration::from_secs(60),
            honours_keys: false,
            only_reads: false,
        }
    }
}

impl Rules {
    /// Begins a call at `now`, under its own total time and the deadline it inherited.
    pub fn begin(&self, call: Call, inherited: Option<Deadline>, now: Instant) -> Progress {
        Progress::new(call, self.deadline(inherited, now))
    }

    /// The deadline of a call that begins at `now`: its own total time or what it inherited,
    /// whichever ends first.
    #[inline]
    pub fn deadline(&self, inherited: Option<Deadline>, now: Instant) -> Option<Deadline> {
        let own = self.total.map(|total| Deadline::after(now, total));
        match (own, inherited) {
            (Some(own), Some(inherited)) => Some(own.min(inherited)),
            (own, inherited) => own.or(inherited),
        }
    }

    /// Decides about a failure, in this order: will it pass, can the body be sent again, is that
    /// safe, who owns the retries, are attempts left, is there time, is it paid for.
    ///
    /// # Errors
    ///
    /// The reason why the call is not sent again.
    pub fn judge(
        &self,
        progress: &mut Progress,
        failure: Failure,
        body: BodyIs,
        now: Instant,
        rng: &mut Rng,
        budget: &Budget,
    ) -> Result<Again, Reason> {
        let wait = self.allow(progress, failure, body, now, rng)?;
        let cost = progress.cost(&failure);
        let withdrawal = budget.withdraw(cost).ok_or(Reason::Budget)?;
        progress.free_spent |= failure.stale_connection;
        Ok(Again { wait, withdrawal })
    }

    /// Everything but the money: the wait before the next attempt, if there may be one.
    ///
    /// # Errors
    ///
    /// The reason why the call is not sent again.
    pub fn allow(
        &self,
        progress: &mut Progress,
        failure: Failure,
        body: BodyIs,
        now: Instant,
        rng: &mut Rng,
    ) -> Result<Duration, Reason> {
        progress.held_back = failure.held_back;
        if failure.kind == FailureKind::Permanent {
            return Err(Reason::Permanent);
        }
        if failure.pushback == Pushback::Stop {
            return Err(Reason::Told);
        }
        if body == BodyIs::Gone {
            return Err(Reason::Body);
        }
        if !self.is_safe(progress.call, failure.kind) {
            return Err(Reason::Unsafe);
        }
        if progress.owned_elsewhere {
            return Err(Reason::OwnedElsewhere);
        }
        if self.attempts.end_at(progress.tried) {
            return Err(Reason::Attempts);
        }
        let wait = self.wait(progress, failure, rng)?;
        let left = progress.deadline.map_or(Duration::MAX, |deadline| deadline.remaining(now));
        if left < wait.saturating_add(self.least_useful) {
            return Err(Reason::Time);
        }
        Ok(wait)
    }

    /// Twice must have the effect of once, or the first must provably not have happened.
    fn is_safe(&self, call: Call, failure: FailureKind) -> bool {
        let declared = match call.safety {
            Safety::Idempotent => true,
            Safety::Unsafe => self.only_reads || call.keyed && self.honours_keys,
        };
        declared && !call.once || failure == FailureKind::Unsent
    }

    fn wait(
        &self,
        progress: &mut Progress,
        failure: Failure,
        rng: &mut Rng,
    ) -> Result<Duration, Reason> {
        let delays = progress.delays.get_or_insert_with(|| self.backoff.delays());
        let longest = if failure.held_back { self.longest_pause } else { self.longest_pushback };
        match failure.pushback {
            Pushback::After(floor) if floor > longest => Err(Reason::Time),
            Pushback::After(floor) => Ok(delays.next_after(floor, rng)),
            _ if failure.stale_connection && !progress.free_spent => Ok(Duration::ZERO),
            _ => Ok(delays.next(rng)),
        }
    }
}

/// Whether the next attempt could carry the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the bytes are there or they are not")]
pub enum BodyIs {
    /// They were kept.
    Kept,
    /// They were not, or no longer.
    Gone,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    call: Call,
    deadline: Option<Deadline>,
    // Decorrelated jitter remembers; drawn up at the first failure.
    delays: Option<Delays>,
    // What a layer inside held back counts as tried, so that trying has an end, and is not counted
    // among the sends.
    tried: Attempt,
    attempt: Attempt,
    held_back: bool,
    free_spent: bool,
    owned_elsewhere: bool,
}

impl Progress {
    /// A call whose first attempt was sent.
    pub const fn new(call: Call, deadline: Option<Deadline>) -> Self {
        Self {
            call,
            deadline,
            delays: None,
            tried: Attempt::FIRST,
            attempt: Attempt::FIRST,
            held_back: false,
            free_spent: false,
            owned_elsewhere: false,
        }
    }

    /// The attempt that was made last. One that a layer inside held back was not sent: the next has
    /// the same number.
    #[inline]
    pub const fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// What is known of the request.
    #[inline]
    pub const fn call(&self) -> Call {
        self.call
    }

    /// Somebody else owns the retries of this call.
    pub const fn stand_down(&mut self) {
        self.owned_elsewhere = true;
    }

    /// When its time is up.
    pub const fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    /// The next attempt goes out.
    pub const fn resent(&mut self) {
        self.tried = self.tried.next();
        if !self.held_back {
            self.attempt = self.attempt.next();
        }
    }

    /// What a retry after this failure costs: the first stale connection of a call is free, and so
    /// is what a layer inside held back, since nobody has been asked anything yet.
    pub const fn cost(&self, failure: &Failure) -> Cost {
        let is_free = failure.held_back || failure.stale_connection && !self.free_spent;
        if is_free { Cost::FREE } else { Cost::of(failure) }
    }
}

/// The call is sent again.
#[derive(Debug)]
pub struct Again {
    /// After this long.
    pub wait: Duration,
    /// For this.
    pub withdrawal: Withdrawal,
}
