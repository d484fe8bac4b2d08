//! The steps of a store, each in a transaction that holds what it has read.
//!
//! What a database must know of records is [`Rows`]; what a record becomes, the rules say that all
//! stores share.

use aplomb_idempotency::machine::{self, Expiry, Step, Verdict};
use aplomb_idempotency::operator::{Action, Note, Purge, Resolution};
use aplomb_idempotency::{
    Begin, Begun, Fence, Held, Record, RecordId, Settled, Started, State, Timestamp,
};

use crate::columns::Kept;

/// A connection in a transaction. What it loads is its own to change until that ends.
pub(crate) trait Rows: Send {
    /// What is known of a key, and the time since when it is held.
    fn load(&mut self, id: RecordId) -> impl Future<Output = sqlx::Result<Found>> + Send;

    /// The number of a new claim.
    fn next_fence(&mut self) -> impl Future<Output = sqlx::Result<Fence>> + Send;

    /// Writes the record of a new claim, over whatever was there.
    fn claim(
        &mut self,
        record: &Record,
        started: Started,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Writes a state in which no claim runs.
    fn end(&mut self, id: RecordId, state: &State)
    -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Writes states that have no answer.
    fn end_all(&mut self, ended: &[Standing]) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Removes records.
    fn forget(&mut self, ids: &[RecordId]) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// The time, and up to `most` records that are due: those that can be read, and that no other
    /// sweep has. Their answers are left out.
    fn due(&mut self, most: i64) -> impl Future<Output = sqlx::Result<Due>> + Send;

    /// The time, and up to `most` records with an answer to erase. The answers are left out.
    fn answered(&mut self, of: &Purge, most: i64)
    -> impl Future<Output = sqlx::Result<Due>> + Send;

    /// Writes a line of the audit for each of these claims.
    fn note(
        &mut self,
        note: &Note,
        action: Action,
        at: Timestamp,
        of: &[Held],
    ) -> impl Future<Output = sqlx::Result<()>> + Send;
}

/// What was found of a key, and when.
pub(crate) type Found = (Option<Kept>, Timestamp);
/// Where a record lies and stands.
pub(crate) type Standing = (RecordId, State);
/// Records that something is to be done about, and the time.
pub(crate) type Due = (Vec<Standing>, Timestamp);

/// What can be answered to [`Begin`] without changing what was found.
pub(crate) fn peek((kept, now): Found, begin: &Begin) -> Option<Begun> {
    let existing = kept.map(|kept| kept.of(&begin.identity));
    match machine::judge(existing.as_ref(), begin, now) {
        Verdict::Answer(answer) => Some(answer),
        Verdict::Claim(_) | Verdict::Doubt(_) => None,
    }
}

/// Asks for a key.
pub(crate) async fn begin<R: Rows>(rows: &mut R, begin: &Begin) -> sqlx::Result<Begun> {
    let id = begin.identity.id();
    let (kept, now) = rows.load(id).await?;
    let existing = kept.map(|kept| kept.of(&begin.identity));
    match machine::judge(existing.as_ref(), begin, now) {
        Verdict::Answer(answer) => Ok(answer),
        Verdict::Doubt(state) => {
            rows.end(id, &state).await?;
            Ok(Begun::Unknown)
        }
        Verdict::Claim(turn) => {
            let started = machine::started(begin, rows.next_fence().await?, turn, now);
            let record = machine::record(existing.as_ref(), begin, started, now);
            rows.claim(&record, started).await?;
            Ok(Begun::Claimed(started))
        }
    }
}

/// Changes a record as `step` says. Nothing was written unless it says [`Settled::Done`], and
/// perhaps nothing then.
pub(crate) async fn change<R: Rows>(
    rows: &mut R,
    id: RecordId,
    step: impl FnOnce(Option<&State>, Timestamp) -> Step + Send,
) -> sqlx::Result<Settled> {
    let (kept, now) = rows.load(id).await?;
    match step(kept.as_ref().map(|kept| &kept.state), now) {
        Step::Stay(settled) => Ok(settled),
        Step::To(state) => {
            rows.end(id, &state).await?;
            Ok(Settled::Done)
        }
    }
}

/// Ends a doubt, and says in the audit who did.
pub(crate) async fn resolve<R: Rows>(
    rows: &mut R,
    held: Held,
    resolution: &Resolution,
    note: &Note,
) -> sqlx::Result<Settled> {
    let (kept, now) = rows.load(held.id).await?;
    let state = kept.as_ref().map(|kept| &kept.state);
    match machine::resolve(state, held.fence, resolution, now) {
        Step::Stay(settled) => Ok(settled),
        Step::To(state) => {
            rows.end(held.id, &state).await?;
            rows.note(note, resolution.action(), now, &[held]).await?;
            Ok(Settled::Done)
        }
    }
}

/// Does what is due to up to `most` records, and says to how many.
pub(crate) async fn sweep<R: Rows>(rows: &mut R, most: usize) -> sqlx::Result<usize> {
    let (due, now) = rows.due(limit(most)).await?;
    let (mut ended, mut forgotten) = (Vec::new(), Vec::new());
    for (id, state) in due {
        match machine::expire(&state, now) {
            Expiry::Keep => {}
            Expiry::To(state) => ended.push((id, state)),
            Expiry::Forget => forgotten.push(id),
        }
    }
    if !ended.is_empty() {
        rows.end_all(&ended).await?;
    }
    if !forgotten.is_empty() {
        rows.forget(&forgotten).await?;
    }
    Ok(ended.len() + forgotten.len())
}

/// Erases up to `most` answers, says so in the audit, and says how many.
pub(crate) async fn purge<R: Rows>(
    rows: &mut R,
    purge: &Purge,
    note: &Note,
    most: usize,
) -> sqlx::Result<usize> {
    let (answered, now) = rows.answered(purge, limit(most)).await?;
    let erased = answered.iter().filter_map(|(id, state)| Some((*id, machine::purge(state)?)));
    let erased: Vec<_> = erased.collect();
    if erased.is_empty() {
        return Ok(0);
    }
    rows.end_all(&erased).await?;
    let held = erased.iter().map(|(id, state)| Held { id: *id, fence: state.fence() });
    let held: Vec<_> = held.collect();
    rows.note(note, Action::Purged, now, &held).await?;
    Ok(erased.len())
}

/// How many rows a statement may give at most.
pub(crate) fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
