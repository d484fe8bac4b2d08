//! A store that fails when told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aplomb_core::Principal;
use aplomb_idempotency::operator::{AuditEntry, Listing, Note, Purge, Resolution};
use aplomb_idempotency::{
    Begin, Begun, Fingerprint, Held, Identity, Keep, Key, Lapsed, MemoryStore, Record, RecordId,
    Scope, Settled, Store, StoreError, StoredAnswer, Ticket,
};

use super::post;

/// A memory store, with faults in front of it.
#[derive(Clone, Default)]
pub(crate) struct Faulty {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) faults: Arc<Mutex<Faults>>,
}

#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) renewals_broken: bool,
    pub(crate) failing_begins: usize,
    pub(crate) failing_completions: usize,
    pub(crate) failing_reads: usize,
    pub(crate) failing_sweeps: usize,
    pub(crate) claim_lost: bool,
    pub(crate) failing_begins_after_loss: usize,
    pub(crate) corrupt: bool,
    pub(crate) reads: usize,
}

impl Faulty {
    pub(crate) fn break_renewals(&self, broken: bool) {
        self.faults.lock().unwrap().renewals_broken = broken;
    }

    pub(crate) fn fail_completions(&self, times: usize) {
        self.faults.lock().unwrap().failing_completions = times;
    }

    pub(crate) fn lose_next_claim(&self) {
        self.faults.lock().unwrap().claim_lost = true;
    }

    /// What a process leaves that is killed while its handler runs.
    pub(crate) async fn die_after_claiming(&self, key: &str) -> Begin {
        self.die_after_claiming_on(Lapsed::Unknown, key).await
    }

    /// The same on a route that declares this.
    pub(crate) async fn die_after_claiming_on(&self, lapsed: Lapsed, key: &str) -> Begin {
        let request = post(key, "mug");
        let scope = Scope::Principal(Principal::new("shop"));
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let begin = Begin {
            identity: Identity::new(scope, method.clone(), "/orders", Key::try_from(key).unwrap()),
            fingerprint: Fingerprint::of(method, uri, headers, &[], b"mug"),
            lease: Duration::from_secs(10),
            lapsed,
            ticket: Ticket::unique(),
        };
        assert!(matches!(self.store.begin(&begin).await, Ok(Begun::Claimed(_))));
        begin
    }
}

impl Store for Faulty {
    async fn begin(&self, begin: &Begin) -> Result<Begun, StoreError> {
        {
            let mut faults = self.faults.lock().unwrap();
            if faults.corrupt {
                return Err(StoreError::corrupt("a column of another age"));
            }
            fail(&mut faults.failing_begins)?;
        }
        let begun = self.store.begin(begin).await;
        let mut faults = self.faults.lock().unwrap();
        if std::mem::take(&mut faults.claim_lost) {
            faults.failing_begins = faults.failing_begins_after_loss;
            return Err(StoreError::uncertain("the connection was cut"));
        }
        begun
    }

    async fn renew(&self, held: Held, lease: Duration) -> Result<Settled, StoreError> {
        if self.faults.lock().unwrap().renewals_broken {
            return Err(StoreError::unavailable("no route to host"));
        }
        self.store.renew(held, lease).await
    }

    async fn complete(
        &self,
        held: Held,
        answer: &StoredAnswer,
        keep: Keep,
    ) -> Result<Settled, StoreError> {
        fail(&mut self.faults.lock().unwrap().failing_completions)?;
        self.store.complete(held, answer, keep).await
    }

    async fn abandon(&self, held: Held, keep: Duration) -> Result<Settled, StoreError> {
        self.store.abandon(held, keep).await
    }

    async fn mark_unknown(&self, held: Held) -> Result<Settled, StoreError> {
        self.store.mark_unknown(held).await
    }

    async fn get(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        {
            let mut faults = self.faults.lock().unwrap();
            faults.reads += 1;
            fail(&mut faults.failing_reads)?;
        }
        self.store.get(id).await
    }

    async fn sweep(&self, most: usize) -> Result<usize, StoreError> {
        fail(&mut self.faults.lock().unwrap().failing_sweeps)?;
        self.store.sweep(most).await
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>, StoreError> {
        self.store.list(listing).await
    }

    async fn resolve(
        &self,
        held: Held,
        resolution: &Resolution,
        note: &Note,
    ) -> Result<Settled, StoreError> {
        self.store.resolve(held, resolution, note).await
    }

    async fn purge(&self, purge: &Purge, note: &Note, most: usize) -> Result<usize, StoreError> {
        self.store.purge(purge, note, most).await
    }

    async fn audit(
        &self,
        of: Option<RecordId>,
        most: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.store.audit(of, most).await
    }
}

/// One failure fewer to come.
fn fail(failing: &mut usize) -> Result<(), StoreError> {
    let Some(left) = failing.checked_sub(1) else { return Ok(()) };
    *failing = left;
    Err(StoreError::unavailable("no route to host"))
}
