use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use aplomb_core::time::{self, Instant};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::machine::{self, Step, Verdict};
use crate::record::{Begin, Begun, Fence, Held, Record, State, Timestamp, millis};
use crate::room::Room;
use crate::store::{Store, StoreError};
use crate::{RecordId, Settled, StoredAnswer};

/// Records in this process's memory.
///
/// For one process, and for outcomes that may be forgotten when it ends: after a restart a key
/// runs again. It is bounded in records and in bytes. At a bound it forgets what has expired,
/// nothing else; new keys are refused with 503 until something has, and an answer whose body does
/// not fit is kept without it.
pub struct MemoryStore {
    records: DashMap<RecordId, Slot>,
    /// When records expire, soonest first; one entry a record at most.
    expiries: Mutex<BinaryHeap<Reverse<(Timestamp, RecordId)>>>,
    fences: AtomicU64,
    room: Room,
    clock: Clock,
}

struct Slot {
    record: Record,
    bytes: usize,
    /// Whether `expiries` holds an entry for it.
    awaited: bool,
}

impl MemoryStore {
    /// Up to [`RECORDS_MAX`] records and [`BYTES_MAX`] bytes.
    pub fn new() -> Self {
        Self::bounded(RECORDS_MAX, BYTES_MAX)
    }

    /// Up to so many records, which take up to about so many bytes.
    pub fn bounded(records_max: usize, bytes_max: usize) -> Self {
        Self {
            records: DashMap::new(),
            expiries: Mutex::new(BinaryHeap::new()),
            fences: AtomicU64::new(1),
            room: Room::new(records_max, bytes_max),
            clock: Clock::start(),
        }
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.room.records()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn judge(&self, begin: &Begin) -> Result<Begun, StoreError> {
        let entry = self.records.entry(begin.identity.id());
        // The clock is read under the record's lock, so that a record's times never run backwards.
        let now = self.clock.now();
        let existing = match &entry {
            Entry::Occupied(slot) => Some(&slot.get().record),
            Entry::Vacant(_) => None,
        };
        match machine::judge(existing, begin, now) {
            Verdict::Answer(answer) => Ok(answer),
            Verdict::Doubt(state) => {
                entry.and_modify(|slot| slot.record.state = state);
                Ok(Begun::Unknown)
            }
            Verdict::Claim { attempt } => {
                let started = machine::started(begin, self.next_fence()?, attempt, now);
                let record = machine::record(existing, begin, started, now);
                self.put(entry, record)?;
                Ok(Begun::Claimed(started))
            }
        }
    }

    fn put(&self, entry: Entry<'_, RecordId, Slot>, record: Record) -> Result<(), StoreError> {
        let bytes = weight(&record);
        match entry {
            Entry::Occupied(mut slot) => {
                let slot = slot.get_mut();
                self.room.resize(slot.bytes, bytes);
                slot.bytes = bytes;
                slot.record = record;
            }
            Entry::Vacant(vacant) => {
                self.room.take(bytes).ok_or(StoreError::full())?;
                vacant.insert(Slot { record, bytes, awaited: false });
            }
        }
        Ok(())
    }

    fn change(&self, held: Held, step: impl FnOnce(Option<&State>, Timestamp) -> Step) -> Settled {
        let Some(mut slot) = self.records.get_mut(&held.id) else {
            return Settled::Lost;
        };
        let state = match step(Some(&slot.record.state), self.clock.now()) {
            Step::Stay(settled) => return settled,
            Step::To(state) => state,
        };
        slot.record.state = state;
        self.fit(&mut slot);
        let bytes = weight(&slot.record);
        self.room.resize(slot.bytes, bytes);
        slot.bytes = bytes;
        let expires = slot.record.state.expires();
        if let Some(expires) = expires.filter(|_| !slot.awaited) {
            slot.awaited = true;
            self.await_expiry(expires, held.id);
        }
        Settled::Done
    }

    /// Drops an answer's body if there is no room for it.
    fn fit(&self, slot: &mut Slot) {
        if self.room.fits(slot.bytes, weight(&slot.record)) {
            return;
        }
        if let State::Completed { answer, .. } = &mut slot.record.state {
            answer.drop_body();
        }
    }

    fn await_expiry(&self, expires: Timestamp, id: RecordId) {
        self.expiries.lock().unwrap_or_else(PoisonError::into_inner).push(Reverse((expires, id)));
    }

    /// Forgets up to `most` records that have expired.
    fn forget(&self, most: usize) -> usize {
        let now = self.clock.now();
        let due = std::iter::from_fn(|| self.due(now)).take(most);
        due.filter(|&id| self.forget_one(id, now)).count()
    }

    fn due(&self, now: Timestamp) -> Option<RecordId> {
        let mut expiries = self.expiries.lock().unwrap_or_else(PoisonError::into_inner);
        match expiries.peek() {
            Some(&Reverse((expires, id))) if expires <= now => {
                expiries.pop();
                Some(id)
            }
            _ => None,
        }
    }

    /// Removes a record if it has expired; one that lives on is awaited again.
    fn forget_one(&self, id: RecordId, now: Timestamp) -> bool {
        let Entry::Occupied(mut slot) = self.records.entry(id) else {
            return false;
        };
        match slot.get().record.state.expires() {
            Some(expires) if expires <= now => {
                let slot = slot.remove();
                self.room.give(slot.bytes);
                true
            }
            Some(expires) => {
                self.await_expiry(expires, id);
                false
            }
            None => {
                slot.get_mut().awaited = false;
                false
            }
        }
    }

    fn next_fence(&self) -> Result<Fence, StoreError> {
        let number = self.fences.fetch_add(1, Ordering::Relaxed);
        Fence::new(number).ok_or_else(|| StoreError::corrupt("the fences are used up"))
    }
}

impl Store for MemoryStore {
    async fn begin(&self, begin: &Begin) -> Result<Begun, StoreError> {
        // Two for one: what has expired goes faster than new keys come.
        self.forget(2);
        self.judge(begin)
    }

    async fn renew(&self, held: Held, lease: Duration) -> Result<Settled, StoreError> {
        Ok(self.change(held, |state, now| machine::renew(state, held.fence, lease, now)))
    }

    async fn complete(
        &self,
        held: Held,
        answer: &StoredAnswer,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        let answer = answer.clone();
        Ok(self.change(held, |state, now| machine::complete(state, held.fence, answer, keep, now)))
    }

    async fn abandon(&self, held: Held, keep: Duration) -> Result<Settled, StoreError> {
        Ok(self.change(held, |state, now| machine::abandon(state, held.fence, keep, now)))
    }

    async fn mark_unknown(&self, held: Held) -> Result<Settled, StoreError> {
        Ok(self.change(held, |state, now| machine::mark_unknown(state, held.fence, now)))
    }

    async fn get(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        Ok(self.records.get(&id).map(|slot| slot.record.clone()))
    }

    async fn sweep(&self, most: usize) -> Result<usize, StoreError> {
        Ok(self.forget(most))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("records", &self.len())
            .field("bytes", &self.room.bytes())
            .finish_non_exhaustive()
    }
}

/// The calendar time when the store was made, moved by the one clock: pausing the runtime pauses
/// it, and setting the machine's clock does not move a lease.
struct Clock {
    start: Instant,
    start_millis: i64,
}

impl Clock {
    fn start() -> Self {
        let since = time::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: time::now(), start_millis: millis(since) }
    }

    fn now(&self) -> Timestamp {
        let elapsed = time::now().saturating_duration_since(self.start);
        Timestamp::from_millis(self.start_millis).plus(elapsed)
    }
}

/// About how many bytes a record takes.
fn weight(record: &Record) -> usize {
    let identity = &record.identity;
    let parts = identity.scope.name().len() + identity.route.len() + identity.key.as_str().len();
    let answer = match &record.state {
        State::Completed { answer, .. } => answer.size(),
        _ => 0,
    };
    RECORD_BYTES + parts + answer
}

/// What a record takes besides its strings and its answer: measured as the size of a slot, of its
/// place in the map and of its entry among the expiries, rounded up.
const RECORD_BYTES: usize = 512;
/// How many records a store holds unless told otherwise.
pub const RECORDS_MAX: usize = 100_000;
/// How many bytes a store holds unless told otherwise.
pub const BYTES_MAX: usize = 256 * 1024 * 1024;
