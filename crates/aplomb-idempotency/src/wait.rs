//! A duplicate that waits for the outcome of the first.
//!
//! It only reads. It claims nothing, runs nothing and holds nothing but its caller: when the key
//! comes free without an outcome, its caller is asked to come back, past the limits that stand
//! outside this layer.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aplomb_core::time::{self, Instant};
use aplomb_core::{Deadline, Observe, Rng};
use bytes::Bytes;
use dashmap::DashMap;
use http::Response;
use http::request::Parts;
use tokio::sync::Notify;

use crate::record::{Record, State};
use crate::run::Run;
use crate::store::Store;
use crate::{IdempotencyEvent, RecordId};

/// How long, and how many, duplicates wait.
///
/// ```
/// use std::time::Duration;
/// use aplomb_idempotency::{IdempotencyLayer, MemoryStore, Waiting};
///
/// let waiting = Waiting::default().limit(Duration::from_secs(2)).waiters_max(64);
/// let layer = IdempotencyLayer::new(MemoryStore::new()).wait(waiting);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    limit: Duration,
    waiters_max: usize,
}

impl Waiting {
    /// How long one waits before it gets its 409; a deadline in force shortens it.
    #[must_use]
    pub const fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// How many wait at once, over all keys of the layer. One more gets its 409 at once.
    #[must_use]
    pub const fn waiters_max(mut self, waiters: usize) -> Self {
        self.waiters_max = waiters;
        self
    }
}

impl Default for Waiting {
    /// [`WAIT_LIMIT`] for [`WAITERS_MAX`].
    fn default() -> Self {
        Self { limit: WAIT_LIMIT, waiters_max: WAITERS_MAX }
    }
}

/// For how long a request would wait, as it came in.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    waiting: Option<Waiting>,
    deadline: Option<Deadline>,
}

impl Patience {
    pub(crate) fn of(waiting: Option<Waiting>, parts: &Parts) -> Self {
        let carried = || parts.extensions.get::<Deadline>().copied();
        let deadline = waiting.and_then(|_| Deadline::current().into_iter().chain(carried()).min());
        Self { waiting, deadline }
    }
}

impl<St, O> Run<St, O>
where
    St: Store,
    O: Observe<IdempotencyEvent> + Send + Sync + 'static,
{
    /// Waits for the outcome of the run that has the key. Dropping the future ends the waiting.
    pub(crate) async fn wait<RB: From<Bytes>>(self, patience: Patience) -> Response<RB> {
        let id = self.begin.identity.id();
        let Some(waiting) = patience.waiting else { return self.in_flight() };
        let Some(seat) = self.shared.waiters.enter(id, waiting.waiters_max) else {
            return self.in_flight();
        };
        self.observe(IdempotencyEvent::Waiting);
        let limit = time::now() + waiting.limit.min(LONGEST);
        let end = patience.deadline.map_or(limit, |deadline| limit.min(deadline.instant()));
        match self.outcome(&seat, end).await {
            Some(record) if !record.fingerprint.matches(&self.begin.fingerprint) => self.mismatch(),
            Some(record) => self.standing(Some(record.state)),
            None => self.in_flight(),
        }
    }

    /// The record, once nothing runs under it; none when there is none or the time is up.
    async fn outcome(&self, seat: &Seat, end: Instant) -> Option<Record> {
        let mut pauses = Pauses::new(self.shared.settings.dice.roll());
        loop {
            // Listens before it looks, so that no end between the two is missed.
            let mut woken = pin!(seat.bell.notified());
            woken.as_mut().enable();
            let found = self.shared.store.get(self.begin.identity.id());
            match tokio::time::timeout_at(end, found).await.ok()? {
                Ok(record) if !is_running(record.as_ref()) => return record,
                Ok(_) => {}
                Err(error) => self.report(&error),
            }
            let pause = time::now() + pauses.next();
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep_until(pause.min(end)) => {}
            }
            if time::now() >= end {
                return None;
            }
        }
    }
}

fn is_running(record: Option<&Record>) -> bool {
    matches!(record, Some(Record { state: State::Started(_), .. }))
}

/// Those who wait, by the key they wait for.
#[derive(Default)]
pub(crate) struct Waiters {
    count: AtomicUsize,
    bells: DashMap<RecordId, Arc<Notify>>,
}

impl Waiters {
    /// A place among `most`, or none.
    fn enter(self: &Arc<Self>, id: RecordId, most: usize) -> Option<Seat> {
        let one_more = |count: usize| (count < most).then_some(count + 1);
        self.count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        let bell = Arc::clone(&self.bells.entry(id).or_default());
        Some(Seat { bell, _place: Place { waiters: Arc::clone(self), id } })
    }

    /// Wakes those who wait for this key when it is dropped.
    pub(crate) fn waking(&self, id: RecordId) -> Waking<'_> {
        Waking { waiters: self, id }
    }
}

/// A place among those who wait, given up by dropping it.
struct Seat {
    // Dropped before the place, which looks whether anybody else still has it.
    bell: Arc<Notify>,
    _place: Place,
}

struct Place {
    waiters: Arc<Waiters>,
    id: RecordId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiters.count.fetch_sub(1, Ordering::SeqCst);
        // The map's own alone: nobody else waits for the key.
        self.waiters.bells.remove_if(&self.id, |_, bell| Arc::strong_count(bell) <= 1);
    }
}

pub(crate) struct Waking<'a> {
    waiters: &'a Waiters,
    id: RecordId,
}

impl Drop for Waking<'_> {
    fn drop(&mut self) {
        if self.waiters.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        if let Some(bell) = self.waiters.bells.get(&self.id) {
            bell.notify_waiters();
        }
    }
}

/// How long to leave the store alone between two looks: each time for twice as long, less up to a
/// half, so that those who came together do not look together.
struct Pauses {
    pause: Duration,
    rng: Rng,
}

impl Pauses {
    fn new(rng: Rng) -> Self {
        Self { pause: PAUSE_MIN, rng }
    }

    fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        pause.saturating_sub(self.rng.up_to(pause / 2))
    }
}

/// How long a duplicate waits unless told otherwise: most handlers are done by then, and most
/// clients have not given up.
pub const WAIT_LIMIT: Duration = Duration::from_secs(5);
/// How many duplicates wait at once unless told otherwise: each costs a connection and a few
/// hundred bytes, and looks at the store about once a second.
pub const WAITERS_MAX: usize = 256;
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Nobody waits longer, whatever was asked for.
const LONGEST: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_within_their_bounds() {
        let mut pauses = Pauses::new(Rng::seeded(1));
        let first: Vec<_> = (0..10).map(|_| pauses.next()).collect();
        assert!(first[0] >= PAUSE_MIN / 2 && first[0] <= PAUSE_MIN);
        assert!(first[9] >= PAUSE_MAX / 2 && first[9] <= PAUSE_MAX);
    }

    #[test]
    fn a_seat_that_is_given_up_leaves_nothing() {
        let (waiters, id) = (Arc::new(Waiters::default()), RecordId::from_bytes([1; 32]));
        let (first, second) = (waiters.enter(id, 2), waiters.enter(id, 2));
        assert!(waiters.enter(id, 2).is_none());
        drop(first);
        assert_eq!(waiters.bells.len(), 1);
        drop(second);
        assert_eq!((waiters.bells.len(), waiters.count.load(Ordering::SeqCst)), (0, 0));
    }

    #[test]
    fn seats_that_are_given_up_at_once_leave_nothing() {
        let (waiters, id) = (Arc::new(Waiters::default()), RecordId::from_bytes([1; 32]));
        for _ in 0..5_000 {
            let together = std::sync::Barrier::new(2);
            std::thread::scope(|threads| {
                for seat in [waiters.enter(id, 2), waiters.enter(id, 2)] {
                    let together = &together;
                    threads.spawn(move || {
                        together.wait();
                        drop(seat);
                    });
                }
            });
            assert_eq!(waiters.bells.len(), 0);
        }
    }
}
