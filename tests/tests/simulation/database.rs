use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aplomb_idempotency::machine::{self, Expiry, Step, Verdict};
use aplomb_idempotency::operator::{AuditEntry, Listing, Note, Purge, Resolution};
use aplomb_idempotency::store::{Commit, recorded};
use aplomb_idempotency::{
    Begin, Begun, Claim, CompleteError, Fence, Held, Keep, Record, RecordId, Recorded, Settled,
    State, Store, StoreError, StoredAnswer, Timestamp,
};
use bytes::Bytes;
use http::Response;

use crate::world::{World, held};

/// A database that survives its hosts: rows, with the records of keys beside them.
///
/// What it does it does at once and for good. A host that dies has either committed or not.
pub(crate) struct Database<R> {
    tables: Arc<Mutex<Tables<R>>>,
}

struct Tables<R> {
    rows: R,
    records: BTreeMap<RecordId, Record>,
    audit: Vec<AuditEntry>,
    fences: u64,
}

impl<R: Clone> Database<R> {
    pub(crate) fn new(rows: R) -> Self {
        let tables = Tables { rows, records: BTreeMap::new(), audit: Vec::new(), fences: 0 };
        Self { tables: Arc::new(Mutex::new(tables)) }
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&R) -> T) -> T {
        read(&held(&self.tables).rows)
    }

    /// A transaction of its own.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut R) -> T) -> T {
        write(&mut held(&self.tables).rows)
    }

    /// The effect with its record, as a service does it: there is time to die before the commit,
    /// and between the commit and the answer; and the commit's own answer may be lost.
    pub(crate) async fn transact(
        &self,
        world: &World,
        claim: &Claim,
        effect: impl FnOnce(&mut R) -> Response<Bytes>,
    ) -> Result<Recorded, CompleteError> {
        let dies_before = Crossing::of(world, "died before the commit");
        world.may_die();
        world.pause(40).await;
        dies_before.passed();
        let committed = self.commit(claim, effect);
        if matches!(committed, Err(CompleteError::Lost)) {
            world.saw("a zombie was fenced out");
        }
        let recorded = committed?;
        if world.chance(4) {
            world.saw("a commit was not heard");
            return Err(CompleteError::Store(StoreError::uncertain("the connection was cut")));
        }
        let dies_after = Crossing::of(world, "died after the commit");
        world.may_die();
        world.pause(40).await;
        dies_after.passed();
        Ok(recorded)
    }

    fn commit(
        &self,
        claim: &Claim,
        effect: impl FnOnce(&mut R) -> Response<Bytes>,
    ) -> Result<Recorded, CompleteError> {
        let mut tables = held(&self.tables);
        let mut rows = tables.rows.clone();
        let response = effect(&mut rows);
        let (answer, keep) = (claim.stored(&response), claim.terms().keep);
        let complete =
            |state: Option<&State>| machine::complete(state, claim.fence(), answer, keep, now());
        match tables.change(claim.id(), complete) {
            // What was done already was done by this claim's first commit, not by this one.
            Changed::Written => tables.rows = rows,
            Changed::Stayed(_) => return Err(CompleteError::Lost),
        }
        Ok(recorded(claim, response, Commit::Done))
    }
}

impl<R> Clone for Database<R> {
    fn clone(&self) -> Self {
        Self { tables: Arc::clone(&self.tables) }
    }
}

enum Changed {
    Written,
    Stayed(Settled),
}

impl<R> Tables<R> {
    fn change(&mut self, id: RecordId, step: impl FnOnce(Option<&State>) -> Step) -> Changed {
        let record = self.records.get_mut(&id);
        match step(record.as_ref().map(|record| &record.state)) {
            Step::Stay(settled) => Changed::Stayed(settled),
            Step::To(state) => {
                record.expect("only a record has a next state").state = state;
                Changed::Written
            }
        }
    }

    fn begin(&mut self, begin: &Begin) -> Begun {
        let id = begin.identity.id();
        match machine::judge(self.records.get(&id), begin, now()) {
            Verdict::Answer(begun) => begun,
            Verdict::Doubt(state) => {
                self.change(id, |_| Step::To(state));
                Begun::Unknown
            }
            Verdict::Claim(turn) => {
                self.fences += 1;
                let fence = Fence::new(self.fences).expect("fences are drawn from 1");
                let started = machine::started(begin, fence, turn, now());
                let record = machine::record(self.records.get(&id), begin, started, now());
                self.records.insert(id, record);
                Begun::Claimed(started)
            }
        }
    }
}

/// The records, as the layer reaches them: over a connection that fails now and then.
pub(crate) struct Records<R> {
    pub(crate) database: Database<R>,
    pub(crate) world: World,
}

impl<R> Records<R> {
    /// A step that is carried out, and whose answer may be lost; or one that never gets there.
    async fn step<T>(&self, step: impl FnOnce(&mut Tables<R>) -> T) -> Result<T, StoreError> {
        self.world.pause(10).await;
        if self.world.is_cut_off() || self.world.chance(2) {
            self.world.saw("the store was out of reach");
            return Err(StoreError::unavailable("no connection"));
        }
        let done = step(&mut held(&self.database.tables));
        if self.world.chance(2) {
            self.world.saw("the store's answer was lost");
            return Err(StoreError::uncertain("the connection was cut"));
        }
        Ok(done)
    }

    async fn change(
        &self,
        held: Held,
        step: impl FnOnce(Option<&State>) -> Step,
    ) -> Result<Settled, StoreError> {
        let changed = self.step(|tables| tables.change(held.id, step)).await?;
        Ok(match changed {
            Changed::Written => Settled::Done,
            Changed::Stayed(settled) => settled,
        })
    }
}

impl<R: Send + 'static> Store for Records<R> {
    async fn begin(&self, begin: &Begin) -> Result<Begun, StoreError> {
        let begun = self.step(|tables| tables.begin(begin)).await?;
        if matches!(&begun, Begun::Claimed(started) if started.after_lapse) {
            self.world.saw("a lease ended");
        }
        Ok(begun)
    }

    async fn renew(&self, held: Held, lease: Duration) -> Result<Settled, StoreError> {
        self.change(held, |state| machine::renew(state, held.fence, lease, now())).await
    }

    async fn complete(
        &self,
        held: Held,
        answer: &StoredAnswer,
        keep: Keep,
    ) -> Result<Settled, StoreError> {
        let answer = answer.clone();
        self.change(held, |state| machine::complete(state, held.fence, answer, keep, now())).await
    }

    async fn abandon(&self, held: Held, keep: Duration) -> Result<Settled, StoreError> {
        self.change(held, |state| machine::abandon(state, held.fence, keep, now())).await
    }

    async fn mark_unknown(&self, held: Held) -> Result<Settled, StoreError> {
        self.change(held, |state| machine::mark_unknown(state, held.fence, now())).await
    }

    async fn get(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        self.step(|tables| tables.records.get(&id).cloned()).await
    }

    async fn sweep(&self, most: usize) -> Result<usize, StoreError> {
        self.step(|tables| {
            let due = |record: &Record| record.state.due().is_some_and(|due| due <= now());
            let due = tables.records.iter().filter(|(_, record)| due(record));
            let ids: Vec<RecordId> = due.map(|(id, _)| *id).take(most).collect();
            for id in &ids {
                match machine::expire(&tables.records[id].state, now()) {
                    Expiry::Keep => {}
                    Expiry::To(state) => _ = tables.change(*id, |_| Step::To(state)),
                    Expiry::Forget => _ = tables.records.remove(id),
                }
            }
            ids.len()
        })
        .await
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>, StoreError> {
        self.step(|tables| {
            let after = |id: &RecordId| listing.after.is_none_or(|after| *id > after);
            let records = tables.records.iter().filter(|(id, _)| after(id));
            let meant = records.filter(|(_, record)| listing.which.holds(record, now()));
            meant.map(|(_, record)| record.clone()).take(listing.most).collect()
        })
        .await
    }

    async fn resolve(
        &self,
        held: Held,
        resolution: &Resolution,
        note: &Note,
    ) -> Result<Settled, StoreError> {
        self.step(|tables| {
            let resolve =
                |state: Option<&State>| machine::resolve(state, held.fence, resolution, now());
            match tables.change(held.id, resolve) {
                Changed::Stayed(settled) => settled,
                Changed::Written => {
                    tables.audit.insert(
                        0,
                        AuditEntry {
                            at: now(),
                            note: note.clone(),
                            action: resolution.action(),
                            id: held.id,
                            fence: held.fence,
                        },
                    );
                    Settled::Done
                }
            }
        })
        .await
    }

    async fn purge(&self, _: &Purge, _: &Note, _: usize) -> Result<usize, StoreError> {
        Err(StoreError::unavailable("nobody erases answers in the simulation"))
    }

    async fn audit(
        &self,
        of: Option<RecordId>,
        most: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.step(|tables| {
            let meant = tables.audit.iter().filter(|entry| of.is_none_or(|id| entry.id == id));
            meant.take(most).cloned().collect()
        })
        .await
    }
}

/// A stretch of work that is noticed when it is cut short: only a host's death drops it.
struct Crossing<'a> {
    world: &'a World,
    what: &'static str,
    is_passed: bool,
}

impl<'a> Crossing<'a> {
    fn of(world: &'a World, what: &'static str) -> Self {
        Self { world, what, is_passed: false }
    }

    fn passed(mut self) {
        self.is_passed = true;
    }
}

impl Drop for Crossing<'_> {
    fn drop(&mut self) {
        if !self.is_passed {
            self.world.saw(self.what);
        }
    }
}

/// The database's own clock, which no host's death sets back.
fn now() -> Timestamp {
    Timestamp::from_millis(0).plus(turmoil::sim_elapsed().unwrap_or_default())
}
