use std::sync::PoisonError;
use std::time::Duration;

use super::MemoryStore;
use crate::machine::{self, Step};
use crate::operator::{AuditEntry, Listing, Note, Purge, Resolution};
use crate::record::{Begin, Begun, Held, Keep, Record};
use crate::store::{Store, StoreError};
use crate::{RecordId, Settled, StoredAnswer};

impl Store for MemoryStore {
    async fn begin(&self, begin: &Begin) -> Result<Begun, StoreError> {
        self.claim(begin)
    }

    fn begin_now(&self, begin: &Begin) -> Option<Result<Begun, StoreError>> {
        Some(self.claim(begin))
    }

    async fn renew(&self, held: Held, lease: Duration) -> Result<Settled, StoreError> {
        Ok(self.change(held, |state, now| machine::renew(state, held.fence, lease, now)))
    }

    async fn complete(
        &self,
        held: Held,
        answer: &StoredAnswer,
        keep: Keep,
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
        Ok(self.expire(most))
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>, StoreError> {
        let now = self.clock.now();
        let slots = self.records.iter();
        let mut found: Vec<_> = slots
            .filter(|slot| listing.after.is_none_or(|after| *slot.key() > after))
            .filter(|slot| listing.which.holds(&slot.record, now))
            .map(|slot| slot.record.clone())
            .collect();
        found.sort_unstable_by_key(|record| record.identity.id());
        found.truncate(listing.most);
        Ok(found)
    }

    async fn resolve(
        &self,
        held: Held,
        resolution: &Resolution,
        note: &Note,
    ) -> Result<Settled, StoreError> {
        let Some(mut slot) = self.records.get_mut(&held.id) else {
            return Ok(Settled::Lost);
        };
        let now = self.clock.now();
        match machine::resolve(Some(&slot.record.state), held.fence, resolution, now) {
            Step::Stay(settled) => Ok(settled),
            Step::To(state) => {
                self.write(&mut slot, state);
                self.note(note, resolution.action(), held);
                Ok(Settled::Done)
            }
        }
    }

    async fn purge(&self, purge: &Purge, note: &Note, most: usize) -> Result<usize, StoreError> {
        let ids: Vec<_> = match purge {
            Purge::Key(id) => vec![*id],
            Purge::Of(scope) => {
                let slots = self.records.iter();
                slots
                    .filter(|slot| slot.record.identity.scope == *scope)
                    .map(|slot| *slot.key())
                    .collect()
            }
        };
        Ok(ids.into_iter().filter(|&id| self.purge_one(id, note)).take(most).count())
    }

    async fn audit(
        &self,
        of: Option<RecordId>,
        most: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let audit = self.audit.lock().unwrap_or_else(PoisonError::into_inner);
        let meant = audit.iter().filter(|entry| of.is_none_or(|id| entry.id == id));
        Ok(meant.take(most).cloned().collect())
    }
}
