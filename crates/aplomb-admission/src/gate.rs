use std::fmt;

use aplomb_core::time::Instant;

use crate::job::Job;
use crate::limit::Limit;
use crate::line::{Line, Queued, Terms, Ticket, Verdict};
use crate::rejection::Rejection;
use crate::sync::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering};

/// A limit with a queue before it: the whole machine, which is told the time.
///
/// `T` is whatever tells a waiter what became of it. A driver, once it knows that there is time for
/// the work ([`Terms::is_hopeless`]), does three things:
///
/// 1. asks [`enter`](Self::enter), which is one atomic step while nobody waits, and if that says
///    no, [`arrive`](Self::arrive);
/// 2. says [`give_up`](Self::give_up) when a ticket's time is up;
/// 3. says [`finish`](Self::finish) when a call is over and, where that says that somebody waits,
///    asks [`next`](Self::next) until there is nobody left to tell.
///
/// ```
/// use aplomb_admission::{Arrival, Gate, Job, Limit, Terms, Ticket};
/// use aplomb_core::{OperationClass, time};
///
/// let (gate, terms, now) = (Gate::new(Limit::new(1)), Terms::DEFAULT, time::now());
/// assert!(gate.enter());
/// let job = Job::new(OperationClass::Read);
/// let Arrival::Waits { ticket, .. } = gate.arrive(job, &terms, now, "second") else { panic!() };
/// assert!(Ticket::until(&ticket) > now);
///
/// assert!(gate.finish());
/// assert_eq!(gate.next(&terms, now), Some(("second", Ok(time::Duration::ZERO))));
/// assert_eq!(gate.next(&terms, now), None);
/// ```
pub struct Gate<T> {
    room: Room,
    line: Mutex<Line<T>>,
}

/// What became of a call that arrived.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "it runs, it waits, or it does not run")]
pub enum Arrival<T> {
    /// It runs now.
    Admitted,
    /// It waits.
    Waits {
        /// Its place.
        ticket: Ticket,
        /// Who had to make way for it and is to be told.
        displaced: Option<(T, Rejection)>,
    },
    /// It does not run.
    Rejected(Rejection),
}

/// How full it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// How many calls run.
    pub running: u32,
    /// How many wait.
    pub waiting: usize,
    /// How many may run.
    pub limit: Limit,
    /// Whether the queue has stood for as long as anybody may wait: the newest go first.
    pub overloaded: bool,
}

impl<T> Gate<T> {
    /// Lets so many run at a time.
    pub fn new(limit: Limit) -> Self {
        Self { room: Room::new(limit), line: Mutex::new(Line::new()) }
    }

    /// Takes a place, if one is free and nobody waits for it.
    #[inline]
    pub fn enter(&self) -> bool {
        self.room.take()
    }

    /// A call that found no place by [`enter`](Self::enter).
    pub fn arrive(&self, job: Job, terms: &Terms, now: Instant, who: T) -> Arrival<T> {
        let mut line = self.line();
        if line.is_empty() && self.room.take_or_mark() {
            return Arrival::Admitted;
        }
        let queued = line.queue(job, terms, now, who);
        self.unmark_if_empty(&line);
        match queued {
            Queued::Waits { ticket, displaced } => Arrival::Waits { ticket, displaced },
            Queued::Rejected(rejection) => Arrival::Rejected(rejection),
        }
    }

    /// A call is over: its place is free. Says whether somebody waits for it.
    #[inline]
    #[must_use = "whoever waits is woken by `next` alone"]
    pub fn finish(&self) -> bool {
        self.room.give_back()
    }

    /// Whoever is to be told that its wait is over; with `Ok` it has been given a place.
    ///
    /// To be asked until it says `None`, after a place was given back or the limit was changed.
    pub fn next(&self, terms: &Terms, now: Instant) -> Option<Verdict<T>> {
        let mut line = self.line();
        if !self.room.is_free() {
            return None;
        }
        let (who, verdict) = line.next(terms, now)?;
        if verdict.is_ok() {
            // While somebody waits nobody takes a place without this lock.
            self.room.add();
        }
        self.unmark_if_empty(&line);
        Some((who, verdict))
    }

    /// A waiter's time is up. `None` when it was told something else already.
    pub fn give_up(&self, ticket: Ticket, terms: &Terms, now: Instant) -> Option<(T, Rejection)> {
        let mut line = self.line();
        let gone = line.give_up(ticket, terms, now);
        self.unmark_if_empty(&line);
        gone
    }

    /// A waiter has gone by itself. Says whether it still waited.
    pub fn leave(&self, ticket: Ticket) -> bool {
        let mut line = self.line();
        let gone = line.leave(ticket);
        self.unmark_if_empty(&line);
        // Whatever told it is dropped outside of the lock: that may run code of others.
        drop(line);
        gone.is_some()
    }

    /// Lets so many run from now on: ask [`next`](Self::next) afterwards. What runs over a lower
    /// limit runs to its end.
    pub fn set_limit(&self, limit: Limit) {
        let _line = self.line();
        self.room.limit.store(limit.get(), Ordering::Release);
    }

    /// How full it is now.
    pub fn snapshot(&self, terms: &Terms, now: Instant) -> Snapshot {
        let line = self.line();
        Snapshot {
            running: self.room.running(),
            waiting: line.len(),
            limit: Limit::new(self.room.limit()),
            overloaded: line.is_overloaded(terms, now),
        }
    }

    fn unmark_if_empty(&self, line: &Line<T>) {
        if line.is_empty() {
            self.room.unmark();
        }
    }

    fn line(&self) -> MutexGuard<'_, Line<T>> {
        self.line.lock().expect("no panic happens under this lock")
    }
}

impl<T> fmt::Debug for Gate<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("room", &self.room).finish_non_exhaustive()
    }
}

/// Places, and whether somebody waits for one, in one word: so that whoever gives a place back sees
/// a waiter, or else the waiter sees the place.
#[derive(Debug)]
struct Room {
    word: AtomicU64,
    limit: AtomicU32,
}

impl Room {
    fn new(limit: Limit) -> Self {
        Self { word: AtomicU64::new(0), limit: AtomicU32::new(limit.get()) }
    }

    fn take(&self) -> bool {
        let limit = self.limit();
        let taken = |word| (!is_marked(word) && running(word) < limit).then_some(word + PLACE);
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, taken).is_ok()
    }

    /// Takes a place, or else says that somebody waits for one. Under the lock, while nobody does.
    fn take_or_mark(&self) -> bool {
        let limit = self.limit();
        let change =
            |word| Some(if running(word) < limit { word + PLACE } else { word | SOMEBODY_WAITS });
        let before = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
        running(before.unwrap_or_else(|word| word)) < limit
    }

    fn give_back(&self) -> bool {
        let before = self.word.fetch_sub(PLACE, Ordering::AcqRel);
        debug_assert!(running(before) > 0, "a place is given back once");
        is_marked(before)
    }

    fn is_free(&self) -> bool {
        running(self.word.load(Ordering::Acquire)) < self.limit()
    }

    fn add(&self) {
        self.word.fetch_add(PLACE, Ordering::AcqRel);
    }

    fn unmark(&self) {
        self.word.fetch_and(!SOMEBODY_WAITS, Ordering::AcqRel);
    }

    fn running(&self) -> u32 {
        running(self.word.load(Ordering::Acquire))
    }

    fn limit(&self) -> u32 {
        self.limit.load(Ordering::Acquire)
    }
}

fn running(word: u64) -> u32 {
    u32::try_from(word / PLACE).unwrap_or(u32::MAX)
}

const fn is_marked(word: u64) -> bool {
    word & SOMEBODY_WAITS != 0
}

const SOMEBODY_WAITS: u64 = 1;
const PLACE: u64 = 2;

#[cfg(all(test, aplomb_loom))]
mod loom_tests {
    use std::time::Duration;

    use aplomb_core::OperationClass;
    use aplomb_core::time::{self, Instant};
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    const TERMS: Terms = Terms::DEFAULT;

    /// Waits or runs, as a shell does; says its ticket if it waits.
    fn enter(gate: &Gate<u8>, now: Instant, who: u8) -> Option<Ticket> {
        if gate.enter() {
            return None;
        }
        match gate.arrive(Job::new(OperationClass::Read), &TERMS, now, who) {
            Arrival::Admitted => None,
            Arrival::Waits { ticket, .. } => Some(ticket),
            Arrival::Rejected(_) => panic!("there is room to wait"),
        }
    }

    /// Gives a place back, as a shell does; says who has it now.
    fn finish(gate: &Gate<u8>, now: Instant) -> Option<u8> {
        if !gate.finish() {
            return None;
        }
        let next = gate.next(&TERMS, now).map(|(who, _)| who);
        assert!(next.is_none() || gate.next(&TERMS, now).is_none(), "one place, two have it");
        next
    }

    fn state(gate: &Gate<u8>, now: Instant) -> (u32, usize) {
        let Snapshot { running, waiting, .. } = gate.snapshot(&TERMS, now);
        (running, waiting)
    }

    #[test]
    fn an_arrival_that_races_the_end_of_a_call_never_waits_for_nothing() {
        let now = time::now();
        loom::model(move || {
            let gate = Arc::new(Gate::new(Limit::new(1)));
            assert!(gate.enter());
            let other = Arc::clone(&gate);
            let arriving = thread::spawn(move || enter(&other, now, 2));
            let told = finish(&gate, now);
            let waited = arriving.join().unwrap();
            assert_eq!(told.is_some(), waited.is_some());
            assert_eq!(state(&gate, now), (1, 0));
        });
    }

    #[test]
    fn two_arrivals_and_one_place() {
        let now = time::now();
        loom::model(move || {
            let gate = Arc::new(Gate::new(Limit::new(1)));
            let other = Arc::clone(&gate);
            let arriving = thread::spawn(move || enter(&other, now, 2));
            let mine = enter(&gate, now, 1);
            let theirs = arriving.join().unwrap();
            assert_ne!(mine.is_some(), theirs.is_some(), "one runs, one waits");
            assert!(finish(&gate, now).is_some());
            assert_eq!(finish(&gate, now), None);
            assert_eq!(state(&gate, now), (0, 0));
            assert!(gate.enter(), "the way is clear again");
        });
    }

    #[test]
    fn a_place_for_one_who_leaves_at_the_same_moment_goes_to_the_next() {
        let now = time::now();
        loom::model(move || {
            let gate = Arc::new(Gate::new(Limit::new(1)));
            assert!(gate.enter());
            let first = enter(&gate, now, 2).expect("it waits");
            let second = enter(&gate, now, 3);
            assert!(second.is_some());
            let other = Arc::clone(&gate);
            let leaving = thread::spawn(move || other.leave(first));
            let mut told = finish(&gate, now);
            if !leaving.join().unwrap() {
                // It had been granted the place: dropping the permit passes it on.
                assert_eq!(told, Some(2));
                told = finish(&gate, now);
            }
            assert_eq!(told, Some(3));
            assert_eq!(state(&gate, now), (1, 0));
        });
    }

    #[test]
    fn the_last_waiter_that_gives_up_leaves_the_place_free() {
        let (start, late) = (time::now(), time::now() + Duration::from_secs(1));
        loom::model(move || {
            let gate = Arc::new(Gate::new(Limit::new(1)));
            assert!(gate.enter());
            let ticket = enter(&gate, start, 2).expect("it waits");
            let other = Arc::clone(&gate);
            let waiting = thread::spawn(move || other.give_up(ticket, &TERMS, late).is_some());
            let told = finish(&gate, start);
            let gave_up = waiting.join().unwrap();
            assert_ne!(gave_up, told.is_some(), "it is told one thing, and once");
            assert_eq!(state(&gate, start), (u32::from(told.is_some()), 0));
            assert_eq!(gate.enter(), gave_up);
        });
    }

    #[test]
    fn a_limit_that_is_raised_while_somebody_arrives_wakes_it() {
        let now = time::now();
        loom::model(move || {
            let gate = Arc::new(Gate::new(Limit::new(1)));
            assert!(gate.enter());
            let other = Arc::clone(&gate);
            let arriving = thread::spawn(move || enter(&other, now, 2));
            gate.set_limit(Limit::new(2));
            let told = gate.next(&TERMS, now);
            let waited = arriving.join().unwrap();
            assert_eq!(told.is_some(), waited.is_some());
            assert_eq!(state(&gate, now), (2, 0));
        });
    }
}
