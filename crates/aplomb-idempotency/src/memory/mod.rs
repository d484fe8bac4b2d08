mod hints;
mod queue;
mod room;
mod store;

use std::collections::VecDeque;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use aplomb_core::time::{self, Instant};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::machine::{self, Expiry, Step, Verdict};
use crate::operator::{Action, AuditEntry, Note};
use crate::record::{Begin, Begun, Fence, Held, Record, State, Timestamp, millis};
use crate::store::StoreError;
use crate::{Identity, RecordId, Settled};
use hints::Hints;
use queue::Queue;
use room::Room;

/// Records in this process's memory.
///
/// For one process, and for outcomes that may be forgotten when it ends: after a restart a key
/// runs again. It is bounded in records and in bytes. At a bound it forgets what has expired, then
/// the tombstones that expire soonest, nothing else; new keys are refused with 503 until there is
/// room, and an answer whose body does not fit is kept without it. Of the audit it keeps the last
/// [`AUDIT_MAX`] lines.
pub struct MemoryStore {
    records: DashMap<RecordId, Slot>,
    hints: Hints,
    queue: Queue,
    audit: Mutex<VecDeque<AuditEntry>>,
    fences: AtomicU64,
    room: Room,
    clock: Clock,
}

struct Slot {
    record: Record,
    bytes: usize,
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
            hints: Hints::default(),
            queue: Queue::default(),
            audit: Mutex::new(VecDeque::new()),
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

    fn claim(&self, begin: &Begin) -> Result<Begun, StoreError> {
        loop {
            match self.judge(begin) {
                Err(error) if error.is_full() && (self.expire(2) > 0 || self.evict()) => {}
                judged => return judged,
            }
        }
    }

    fn judge(&self, begin: &Begin) -> Result<Begun, StoreError> {
        let entry = self.entry(&begin.identity);
        // The clock is read under the record's lock, so that a record's times never run backwards.
        let now = self.clock.now();
        let judged = self.judge_entry(entry, begin, now);
        if judged.is_ok() {
            // Two for one: what has expired goes faster than new keys come.
            self.expire_at(now, 2);
        }
        judged
    }

    fn judge_entry(
        &self,
        entry: Entry<'_, RecordId, Slot>,
        begin: &Begin,
        now: Timestamp,
    ) -> Result<Begun, StoreError> {
        let existing = match &entry {
            Entry::Occupied(slot) => Some(&slot.get().record),
            Entry::Vacant(_) => None,
        };
        match machine::judge(existing, begin, now) {
            Verdict::Answer(answer) => Ok(answer),
            Verdict::Doubt(state) => {
                if let Entry::Occupied(mut slot) = entry {
                    self.write(slot.get_mut(), state);
                }
                Ok(Begun::Unknown)
            }
            Verdict::Claim(turn) => {
                let started = machine::started(begin, self.next_fence()?, turn, now);
                let record = machine::record(existing, begin, started, now);
                self.put(entry, record)?;
                Ok(Begun::Claimed(started))
            }
        }
    }

    /// The place of an identity's record, locked.
    fn entry(&self, identity: &Identity) -> Entry<'_, RecordId, Slot> {
        if let Some(id) = self.hints.of(self.short(identity)) {
            match self.records.entry(id) {
                Entry::Occupied(slot) if slot.get().record.identity == *identity => {
                    return Entry::Occupied(slot);
                }
                // Let go before another one is asked for: both may lie under one lock.
                other => drop(other),
            }
        }
        self.records.entry(identity.id())
    }

    /// A hash that nobody outside can foretell.
    fn short(&self, identity: &Identity) -> u64 {
        self.records.hasher().hash_one(identity)
    }

    fn put(&self, entry: Entry<'_, RecordId, Slot>, record: Record) -> Result<(), StoreError> {
        match entry {
            Entry::Occupied(mut slot) => {
                let slot = slot.get_mut();
                let state = record.state.clone();
                let old = std::mem::replace(&mut slot.record, record);
                slot.record.state = old.state;
                self.write(slot, state);
            }
            Entry::Vacant(vacant) => {
                let bytes = weight(&record);
                self.room.take(bytes).ok_or(StoreError::full())?;
                self.queue.moved(*vacant.key(), None, Some(&record.state));
                self.hints.put(self.short(&record.identity), *vacant.key());
                vacant.insert(Slot { record, bytes });
            }
        }
        Ok(())
    }

    /// Gives a record a new state, and keeps count.
    fn write(&self, slot: &mut Slot, state: State) {
        let id = slot.record.identity.id();
        let old = std::mem::replace(&mut slot.record.state, state);
        self.fit(slot);
        self.queue.moved(id, Some(&old), Some(&slot.record.state));
        let bytes = weight(&slot.record);
        self.room.resize(slot.bytes, bytes);
        slot.bytes = bytes;
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

    fn change(&self, held: Held, step: impl FnOnce(Option<&State>, Timestamp) -> Step) -> Settled {
        let Some(mut slot) = self.records.get_mut(&held.id) else {
            return Settled::Lost;
        };
        match step(Some(&slot.record.state), self.clock.now()) {
            Step::Stay(settled) => settled,
            Step::To(state) => {
                self.write(&mut slot, state);
                Settled::Done
            }
        }
    }

    /// Does what is due to up to `most` records.
    fn expire(&self, most: usize) -> usize {
        self.expire_at(self.clock.now(), most)
    }

    fn expire_at(&self, now: Timestamp, most: usize) -> usize {
        let due = std::iter::from_fn(|| self.queue.due(now)).take(most);
        due.filter(|&id| self.expire_one(id, now)).count()
    }

    fn expire_one(&self, id: RecordId, now: Timestamp) -> bool {
        let Entry::Occupied(mut slot) = self.records.entry(id) else {
            return false;
        };
        match machine::expire(&slot.get().record.state, now) {
            Expiry::Keep => return false,
            Expiry::To(state) => self.write(slot.get_mut(), state),
            Expiry::Forget => self.forget(slot),
        }
        true
    }

    fn forget(&self, slot: dashmap::mapref::entry::OccupiedEntry<'_, RecordId, Slot>) {
        self.hints.forget(self.short(&slot.get().record.identity), *slot.key());
        let (id, slot) = slot.remove_entry();
        self.queue.moved(id, Some(&slot.record.state), None);
        self.room.give(slot.bytes);
    }

    /// Makes room for a new key by the tombstone that would have gone first.
    fn evict(&self) -> bool {
        let Some(id) = self.queue.tombstone() else {
            return false;
        };
        if let Entry::Occupied(slot) = self.records.entry(id) {
            if matches!(slot.get().record.state, State::Tombstone { .. }) {
                self.forget(slot);
            }
        }
        true
    }

    fn purge_one(&self, id: RecordId, note: &Note) -> bool {
        let Some(mut slot) = self.records.get_mut(&id) else {
            return false;
        };
        let Some(state) = machine::purge(&slot.record.state) else {
            return false;
        };
        let fence = state.fence();
        self.write(&mut slot, state);
        self.note(note, Action::Purged, Held { id, fence });
        true
    }

    fn note(&self, note: &Note, action: Action, held: Held) {
        let at = self.clock.now();
        let entry = AuditEntry { at, note: note.clone(), action, id: held.id, fence: held.fence };
        let mut audit = self.audit.lock().unwrap_or_else(PoisonError::into_inner);
        audit.push_front(entry);
        audit.truncate(AUDIT_MAX);
    }

    fn next_fence(&self) -> Result<Fence, StoreError> {
        let number = self.fences.fetch_add(1, Ordering::Relaxed);
        Fence::new(number).ok_or_else(|| StoreError::corrupt("the fences are used up"))
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
/// place in the map, of its hint and of its entry among the expiries, rounded up.
const RECORD_BYTES: usize = 512;
/// How many records a store holds unless told otherwise.
pub const RECORDS_MAX: usize = 100_000;
/// How many bytes a store holds unless told otherwise.
pub const BYTES_MAX: usize = 256 * 1024 * 1024;
/// How many lines of the audit it keeps.
pub const AUDIT_MAX: usize = 1_000;

#[cfg(all(test, not(aplomb_loom)))]
mod tests {
    use super::*;
    use crate::record::Ticket;
    use crate::{Fingerprint, Key, Lapsed, Scope};
    use http::{HeaderMap, Method, Uri};
    use std::time::Duration;

    #[test]
    fn a_hint_that_leads_astray_changes_nothing() {
        let store = MemoryStore::new();
        let (one, other) = (begin("one"), begin("other"));
        assert!(matches!(store.claim(&one), Ok(Begun::Claimed(_))));
        // As if both had one short hash.
        store.hints.put(store.short(&other.identity), one.identity.id());
        assert!(matches!(store.claim(&other), Ok(Begun::Claimed(_))));
        assert_eq!(store.claim(&begin("other")).ok(), Some(Begun::InFlight));
        assert_eq!(store.claim(&begin("one")).ok(), Some(Begun::InFlight));
    }

    #[test]
    fn a_record_that_is_forgotten_takes_its_hint_with_it() {
        let store = MemoryStore::new();
        for number in 0..10 {
            assert!(store.claim(&begin(&format!("{number}"))).is_ok());
        }
        assert_eq!(store.hints.len(), 10);
        for number in 0..10 {
            if let Entry::Occupied(slot) = store.entry(&begin(&format!("{number}")).identity) {
                store.forget(slot);
            }
        }
        assert_eq!((store.hints.len(), store.len()), (0, 0));
    }

    fn begin(key: &str) -> Begin {
        let (uri, headers) = (Uri::from_static("/x"), HeaderMap::new());
        let scope = Scope::Global("test".into());
        Begin {
            identity: Identity::new(
                scope,
                Method::POST,
                "/x",
                Key::try_from(key).expect("it is one"),
            ),
            fingerprint: Fingerprint::of(&Method::POST, &uri, &headers, &[], b""),
            lease: Duration::from_secs(10),
            lapsed: Lapsed::Unknown,
            ticket: Ticket::unique(),
        }
    }
}
