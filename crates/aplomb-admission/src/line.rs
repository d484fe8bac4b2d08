//! The machine: who waits, who is next, who is sent away.
//!
//! A queue that is emptied now and then is a shock absorber: first come, first served. A queue that
//! has stood for as long as anybody may wait is not: whoever is at its front has lost most of its
//! time already, and the next one will have too. Then the newest is served first, since it has its
//! whole time before it, and the oldest, who would be late anyhow, wait to their bound and are sent
//! away. That a standing queue and not a long one is the sign of overload is the insight of
//! *Controlling Queue Delay* (Nichols and Jacobson, ACM Queue 10(5), 2012); its form for servers, with the
//! newest first, is Facebook's (Maurer, *Fail at Scale*, ACM Queue 13(8), 2015).

use std::collections::BTreeMap;
use std::time::Duration;

use aplomb_core::time::Instant;
use aplomb_core::{Deadline, OperationClass, Ratio};

use crate::allowance::Allowance;
use crate::job::{Job, Rank};
use crate::rejection::{RejectReason, Rejection};

/// The bounds of the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terms {
    /// Nobody waits longer; a queue that stands as long is an overload.
    pub longest_wait: Duration,
    /// No more than so many wait.
    pub waiters_max: usize,
    /// A call whose deadline leaves less time than this is not begun.
    pub least_useful: Duration,
    /// The share of calls that may be sent again after a rejection.
    pub retries: Ratio,
}

impl Terms {
    /// The defaults that the crate's documentation lists.
    pub const DEFAULT: Self = Self {
        // "Last 100 ms" is the interval of *Fail at Scale*; a tenth to a fifth of a usual timeout.
        longest_wait: Duration::from_millis(100),
        waiters_max: 1_024,
        least_useful: Duration::from_millis(1),
        retries: Ratio::percent(3),
    };

    /// Whether a deadline leaves no time for the work: to be asked before a place is taken.
    pub fn is_hopeless(&self, deadline: Deadline, now: Instant) -> bool {
        deadline.is_over(now) || deadline.remaining(now) < self.least_useful
    }

    /// Until when a job may wait, and why it ends then.
    fn patience(&self, job: &Job, now: Instant) -> (Instant, RejectReason) {
        let bound = Deadline::after(now, self.longest_wait).instant();
        let last = job.deadline.map(|deadline| now + self.spare(deadline, now));
        match last {
            Some(last) if last < bound => (last, RejectReason::Expired),
            _ => (bound, RejectReason::WaitedTooLong),
        }
    }

    /// What a deadline leaves beyond the least useful time; a century at most, for the clock's sake.
    fn spare(&self, deadline: Deadline, now: Instant) -> Duration {
        let left = deadline.remaining(now).min(Duration::from_secs(100 * 365 * 24 * 3600));
        left.saturating_sub(self.least_useful)
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    place: Place,
    until: Instant,
}

impl Ticket {
    /// When the wait ends, if nothing ends it before: then comes
    /// [`give_up`](crate::Gate::give_up).
    pub const fn until(&self) -> Instant {
        self.until
    }
}

/// By rank, then in the order of arrival.
type Place = (Rank, u64);

/// Those who wait.
#[derive(Debug)]
pub(crate) struct Line<T> {
    waiting: BTreeMap<Place, Waiter<T>>,
    arrivals: u64,
    stood_since: Option<Instant>,
    allowance: Allowance,
}

#[derive(Debug)]
struct Waiter<T> {
    who: T,
    class: OperationClass,
    arrived: Instant,
    until: Instant,
    ends_as: RejectReason,
}

/// Somebody's wait is over: after how long its call runs, or why it does not.
pub type Verdict<T> = (T, Result<Duration, Rejection>);

/// What became of a job that found no place.
#[derive(Debug)]
pub(crate) enum Queued<T> {
    Waits { ticket: Ticket, displaced: Option<(T, Rejection)> },
    Rejected(Rejection),
}

impl<T> Line<T> {
    pub(crate) const fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            arrivals: 0,
            stood_since: None,
            allowance: Allowance::full(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the queue has stood for as long as anybody may wait.
    pub(crate) fn is_overloaded(&self, terms: &Terms, now: Instant) -> bool {
        let stood = |since| now.saturating_duration_since(since) >= terms.longest_wait;
        self.stood_since.is_some_and(stood)
    }

    /// A job that found no free place.
    pub(crate) fn queue(&mut self, job: Job, terms: &Terms, now: Instant, who: T) -> Queued<T> {
        if !job.is_reattempt {
            self.allowance.earn(terms.retries);
        }
        let rank = job.rank();
        let overloaded = self.is_overloaded(terms, now);
        let best = self.waiting.first_key_value().map(|(&(rank, _), _)| rank);
        // Under overload, whoever would stand behind somebody more important does not wait at all.
        if let Some(best) = best.filter(|&best| overloaded && best < rank) {
            return Queued::Rejected(self.at_the_door(job, sheds(rank, best), terms));
        }
        let (until, ends_as) = terms.patience(&job, now);
        if until <= now {
            // Where nobody may wait, the queue is full from the start.
            let is_late = ends_as == RejectReason::Expired;
            let reason = if is_late { ends_as } else { RejectReason::QueueFull };
            return Queued::Rejected(self.at_the_door(job, reason, terms));
        }
        // A full queue whose places only change hands stands all the same.
        let stood_since = self.stood_since.unwrap_or(now);
        let mut displaced = None;
        if self.waiting.len() >= terms.waiters_max {
            displaced = self.displace(rank, overloaded, terms, now);
            if displaced.is_none() {
                return Queued::Rejected(self.at_the_door(job, RejectReason::QueueFull, terms));
            }
        }
        self.arrivals += 1;
        let place = (rank, self.arrivals);
        self.waiting.insert(place, Waiter { who, class: job.class, arrived: now, until, ends_as });
        self.stood_since = Some(stood_since);
        Queued::Waits { ticket: Ticket { place, until }, displaced }
    }

    /// A place is free: whose turn it is, or who would have had it and is late.
    pub(crate) fn next(&mut self, terms: &Terms, now: Instant) -> Option<Verdict<T>> {
        let overloaded = self.is_overloaded(terms, now);
        let place = if overloaded { self.newest_of_the_best() } else { self.oldest() }?;
        let waiter = self.remove(place)?;
        if waiter.until <= now {
            let reason = waiter.ends_as;
            let (who, rejection) = self.send_away(place, waiter, reason, terms, now);
            return Some((who, Err(rejection)));
        }
        Some((waiter.who, Ok(now.saturating_duration_since(waiter.arrived))))
    }

    /// A waiter's time is up.
    pub(crate) fn give_up(
        &mut self,
        ticket: Ticket,
        terms: &Terms,
        now: Instant,
    ) -> Option<(T, Rejection)> {
        let waiter = self.remove(ticket.place)?;
        let reason = waiter.ends_as;
        Some(self.send_away(ticket.place, waiter, reason, terms, now))
    }

    /// A waiter has gone by itself.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Option<T> {
        Some(self.remove(ticket.place)?.who)
    }

    fn oldest(&self) -> Option<Place> {
        let mut oldest: Option<Place> = None;
        let mut from = Some(Rank::FIRST);
        // One look for each rank that somebody waits in.
        while let Some((&place, _)) = from.and_then(|rank| self.waiting.range((rank, 0)..).next()) {
            oldest = oldest.filter(|oldest| oldest.1 < place.1).or(Some(place));
            from = place.0.next();
        }
        oldest
    }

    fn newest_of_the_best(&self) -> Option<Place> {
        let (&(best, _), _) = self.waiting.first_key_value()?;
        self.waiting.range((best, 0)..=(best, u64::MAX)).next_back().map(|(&place, _)| place)
    }

    /// Makes room in a full queue, if somebody in it is to make way for this rank.
    fn displace(
        &mut self,
        rank: Rank,
        overloaded: bool,
        terms: &Terms,
        now: Instant,
    ) -> Option<(T, Rejection)> {
        let (&(worst, _), _) = self.waiting.last_key_value()?;
        // Among equals the newest goes first under overload, and else the oldest.
        if worst < rank || worst == rank && !overloaded {
            return None;
        }
        let (&place, _) = self.waiting.range((worst, 0)..).next()?;
        let waiter = self.remove(place)?;
        let reason = if worst == rank { RejectReason::QueueFull } else { sheds(worst, rank) };
        Some(self.send_away(place, waiter, reason, terms, now))
    }

    fn remove(&mut self, place: Place) -> Option<Waiter<T>> {
        let waiter = self.waiting.remove(&place);
        if self.waiting.is_empty() {
            self.stood_since = None;
        }
        waiter
    }

    fn at_the_door(&mut self, job: Job, reason: RejectReason, terms: &Terms) -> Rejection {
        let may_retry = self.allows(job.is_reattempt, terms);
        Rejection { reason, class: job.class, wait: Duration::ZERO, may_retry }
    }

    fn send_away(
        &mut self,
        (rank, _): Place,
        waiter: Waiter<T>,
        reason: RejectReason,
        terms: &Terms,
        now: Instant,
    ) -> (T, Rejection) {
        let Waiter { who, class, arrived, .. } = waiter;
        let wait = now.saturating_duration_since(arrived);
        let may_retry = self.allows(rank.is_reattempt, terms);
        (who, Rejection { reason, class, wait, may_retry })
    }

    /// Whether the caller of a rejected call has leave to come again: never for a third time.
    fn allows(&mut self, is_reattempt: bool, terms: &Terms) -> bool {
        !is_reattempt && self.allowance.spend(terms.retries)
    }
}

/// Why one rank makes way for a better one.
fn sheds(rank: Rank, better: Rank) -> RejectReason {
    if rank.class == better.class { RejectReason::Reattempt } else { RejectReason::Class }
}
