//! What runs beside the requests: sweeping, and what operators ask for.

use aplomb_core::cause;
use aplomb_idempotency::machine::{self, Expiry};
use aplomb_idempotency::operator::{Action, AuditEntry, Listing, Note, Which};
use aplomb_idempotency::{Record, RecordId, Scope, StoreError, Timestamp};

use crate::error::{Contended, Unreadable};
use crate::pool::{commands, next};
use crate::step::{self, WhenFull, Written};
use crate::store::{CONFLICTS_MAX, RedisStore};
use crate::{codec, plan};

impl RedisStore {
    pub(crate) async fn sweep_due(&self, most: usize) -> Result<usize, StoreError> {
        let (mut swept, mut left, mut unreadable) = (0, 0, None);
        for _ in 0..PAGES_MAX {
            if swept == most {
                break;
            }
            let page = self.due(left, PAGE.min(most - swept)).await?;
            if page.is_empty() {
                break;
            }
            for member in page {
                match self.sweep_one(&member).await {
                    Ok(Swept::Done) => swept += 1,
                    Ok(Swept::Mended) => {}
                    Ok(Swept::Left) => left += 1,
                    // One record that nobody can read must not keep the others.
                    Err(error) if cause::<Unreadable>(&error).is_some() => {
                        left += 1;
                        unreadable.get_or_insert(error);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        match unreadable {
            Some(error) if swept == 0 => Err(error),
            _ => Ok(swept),
        }
    }

    /// The members that are due, after as many as were left where they are.
    async fn due(&self, left: usize, most: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut time = commands();
        time.cmd("TIME");
        let (mut link, replies) = self.pool.begin(&time).await?;
        let (seconds, micros): (i64, i64) = next(&mut replies.into_iter())?;
        let now = seconds.saturating_mul(1_000).saturating_add(micros / 1_000);
        let mut due = commands();
        due.cmd("ZRANGEBYSCORE").arg(self.keys.due()).arg("-inf").arg(now);
        due.arg("LIMIT").arg(left).arg(most);
        let replies = link.ask(&due).await.map_err(StoreError::unavailable)?;
        link.give_back();
        next(&mut replies.into_iter())
    }

    async fn sweep_one(&self, member: &[u8]) -> Result<Swept, StoreError> {
        let Some((id, scope)) = codec::due_from_member(member) else {
            return Err(Unreadable::at(&self.keys.due()));
        };
        let seen = self.watch(id).await?;
        let (written, swept) = match &seen.record {
            // Redis forgot it by itself.
            None => {
                let writes = plan::unindex(&self.keys, id, &scope, member);
                (seen.commit(&writes).await?, Swept::Mended)
            }
            Some(record) => match machine::expire(&record.state, seen.now) {
                Expiry::Keep => {
                    let writes = plan::index(&self.keys, record);
                    (seen.commit(&writes).await?, Swept::Mended)
                }
                Expiry::Forget => {
                    let writes = plan::forget(&self.keys, &record.identity);
                    (seen.commit(&writes).await?, Swept::Done)
                }
                Expiry::To(state) => {
                    let record = step::moved(record, state);
                    (seen.write(record, None, WhenFull::Exceed).await?, Swept::Done)
                }
            },
        };
        Ok(if written == Written::Yes { swept } else { Swept::Left })
    }

    pub(crate) async fn list_pages(&self, listing: &Listing) -> Result<Vec<Record>, StoreError> {
        let index = match &listing.which {
            Which::Stuck => self.keys.open(),
            Which::Of(scope) => self.keys.of(scope),
        };
        let (mut found, mut after) = (Vec::new(), listing.after);
        while found.len() < listing.most {
            let (now, ids) = self.ids(&index, after).await?;
            let records = self.records(&ids).await?;
            for (&id, record) in ids.iter().zip(records) {
                match record {
                    Some(record) if listing.which.holds(&record, now) => found.push(record),
                    Some(_) => {}
                    None => self.unlist(&index, id).await?,
                }
            }
            after = ids.last().copied();
            if ids.len() < PAGE {
                break;
            }
        }
        found.truncate(listing.most);
        Ok(found)
    }

    /// A page of an index by id, and the server's clock.
    async fn ids(
        &self,
        index: &[u8],
        after: Option<RecordId>,
    ) -> Result<(Timestamp, Vec<RecordId>), StoreError> {
        let from = match after {
            Some(id) => [b"(", &id.as_bytes()[..]].concat(),
            None => b"-".to_vec(),
        };
        let mut look = commands();
        look.cmd("TIME");
        look.cmd("ZRANGEBYLEX").arg(index).arg(from).arg("+").arg("LIMIT").arg(0).arg(PAGE);
        let (link, replies) = self.pool.begin(&look).await?;
        link.give_back();
        let mut replies = replies.into_iter();
        let (seconds, micros): (i64, i64) = next(&mut replies)?;
        let now = seconds.saturating_mul(1_000).saturating_add(micros / 1_000);
        let members: Vec<Vec<u8>> = next(&mut replies)?;
        let ids = members.iter().map(|member| codec::id_from_member(member));
        let ids: Option<_> = ids.collect();
        Ok((Timestamp::from_millis(now), ids.ok_or_else(|| Unreadable::at(index))?))
    }

    async fn records(&self, ids: &[RecordId]) -> Result<Vec<Option<Record>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut get = commands();
        get.cmd("MGET");
        for &id in ids {
            get.arg(self.keys.record(id));
        }
        let (link, replies) = self.pool.begin(&get).await?;
        link.give_back();
        let raws: Vec<Option<Vec<u8>>> = next(&mut replies.into_iter())?;
        let read = |(&id, raw): (&RecordId, Option<Vec<u8>>)| {
            raw.map(|raw| step::read(&self.keys, id, raw)).transpose()
        };
        ids.iter().zip(raws).map(read).collect()
    }

    /// Takes a record that is gone out of an index, unless it has come back.
    async fn unlist(&self, index: &[u8], id: RecordId) -> Result<(), StoreError> {
        let seen = self.watch(id).await?;
        if seen.record.is_some() {
            seen.leave().await;
            return Ok(());
        }
        seen.commit(&plan::unlist(index, id)).await.map(|_| ())
    }

    pub(crate) async fn purge_scope(
        &self,
        scope: &Scope,
        note: &Note,
        most: usize,
    ) -> Result<usize, StoreError> {
        let index = self.keys.of(scope);
        let (mut purged, mut after) = (0, None);
        loop {
            let (_, ids) = self.ids(&index, after).await?;
            for &id in &ids {
                if purged == most {
                    return Ok(purged);
                }
                purged += usize::from(self.purge_one(id, note).await?);
            }
            after = ids.last().copied();
            if ids.len() < PAGE {
                return Ok(purged);
            }
        }
    }

    pub(crate) async fn purge_one(&self, id: RecordId, note: &Note) -> Result<bool, StoreError> {
        for _ in 0..CONFLICTS_MAX {
            let seen = self.watch(id).await?;
            let purged = seen.state().and_then(machine::purge);
            let Some(record) = purged.and_then(|state| seen.moved_to(state)) else {
                seen.leave().await;
                return Ok(false);
            };
            let (note, fence) = (note.clone(), record.state.fence());
            let entry = AuditEntry { at: seen.now, note, action: Action::Purged, id, fence };
            if seen.write(record, Some(&entry), WhenFull::Exceed).await? == Written::Yes {
                return Ok(true);
            }
        }
        Err(StoreError::unavailable(Contended))
    }

    pub(crate) async fn audit_lines(
        &self,
        of: Option<RecordId>,
        most: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut found = Vec::new();
        for start in (0..plan::AUDIT_MAX).step_by(PAGE) {
            let mut range = commands();
            range.cmd("LRANGE").arg(self.keys.audit()).arg(start).arg(start + PAGE - 1);
            let (link, replies) = self.pool.begin(&range).await?;
            link.give_back();
            let lines: Vec<Vec<u8>> = next(&mut replies.into_iter())?;
            let is_last = lines.len() < PAGE;
            let entries = lines.into_iter().map(codec::audit_from_bytes);
            let entries: Option<Vec<_>> = entries.collect();
            let entries = entries.ok_or_else(|| Unreadable::at(&self.keys.audit()))?;
            found.extend(entries.into_iter().filter(|entry| of.is_none_or(|id| entry.id == id)));
            if is_last || found.len() >= most {
                break;
            }
        }
        found.truncate(most);
        Ok(found)
    }
}

enum Swept {
    Done,
    /// The record was as it should be, and the index was not.
    Mended,
    /// Somebody else is at it.
    Left,
}

/// How many records are asked for at once.
const PAGE: usize = 100;
/// How many pages one sweep takes.
const PAGES_MAX: usize = 1_000;
