//! Statements of Postgres, for READ COMMITTED.

use std::time::Duration;

use aplomb_idempotency::machine::{self, Verdict};
use aplomb_idempotency::operator::{Action, AuditEntry, Listing, Note, Purge, Which};
use aplomb_idempotency::{
    Begin, Begun, Fence, Held, Keep, Record, RecordId, Started, State, StoreError, StoredAnswer,
    Timestamp,
};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, Row};

use super::sql;
use crate::columns::{self, Ended, moment, number, span};
use crate::error::{is_overtaken, undone};
use crate::steps::{self, Due, Found, Rows, Standing, limit};
use crate::{Completion, Recording};

impl Recording for PgConnection {
    async fn record(
        &mut self,
        held: Held,
        answer: &StoredAnswer,
        keep: Keep,
    ) -> Result<bool, StoreError> {
        match complete(self, held, answer, keep).await {
            Err(error) if is_overtaken(&error) => Ok(false),
            completed => completed.map_err(undone),
        }
    }
}

/// Completes a claim, unless it was lost: then `false`.
pub(super) async fn complete(
    connection: &mut PgConnection,
    held: Held,
    answer: &StoredAnswer,
    keep: Keep,
) -> sqlx::Result<bool> {
    let Completion { id, fence, status, headers, body, answer, key } =
        Completion::new(&held, answer, keep);
    let query = sqlx::query(sql::COMPLETE).bind(id).bind(fence).bind(status).bind(headers);
    one(query.bind(body).bind(answer).bind(key), connection).await
}

/// Claims a key that has no record, or says what can be answered without changing one. `None` when
/// there is more to it.
pub(super) async fn begin(
    connection: &mut PgConnection,
    begin: &Begin,
) -> sqlx::Result<Option<Begun>> {
    let Verdict::Claim(turn) = machine::judge(None, begin, Timestamp::from_millis(0)) else {
        return Ok(None);
    };
    let (identity, id) = (&begin.identity, begin.identity.id());
    let query = sqlx::query(sql::BEGIN)
        .bind(&id.as_bytes()[..])
        .bind(lock_of(id))
        .bind(identity.scope.kind())
        .bind(identity.scope.name())
        .bind(identity.method.as_str())
        .bind(&*identity.route)
        .bind(identity.key.as_str())
        .bind(begin.fingerprint.to_bytes())
        .bind(i64::from(turn.attempt))
        .bind(&begin.ticket.as_bytes()[..])
        .bind(span(begin.lease))
        .bind(begin.lapsed.as_str())
        .bind(turn.after_lapse);
    let row: PgRow = query.fetch_one(connection).await?;
    let since: Option<i64> = row.try_get("claimed_at")?;
    if let Some(since) = since {
        let fence = columns::fence(row.try_get("claimed")?)?;
        let since = Timestamp::from_millis(since);
        return Ok(Some(Begun::Claimed(machine::started(begin, fence, turn, since))));
    }
    Ok(steps::peek(columns::found(&row)?, begin))
}

/// Holds a key until the transaction ends, whether it has a record or not: its fence can then be
/// drawn before there is one.
pub(super) async fn hold(connection: &mut PgConnection, id: RecordId) -> sqlx::Result<()> {
    sqlx::query(sql::HOLD).bind(lock_of(id)).execute(connection).await?;
    Ok(())
}

/// Holds a claim for `lease` from now, unless it was lost: then `false`.
pub(super) async fn renew(
    connection: &mut PgConnection,
    held: Held,
    lease: Duration,
) -> sqlx::Result<bool> {
    let query = sqlx::query(sql::RENEW).bind(&held.id.as_bytes()[..]);
    one(query.bind(number(held.fence)).bind(span(lease)), connection).await
}

/// The record of a key, which is not held.
pub(super) async fn get(
    connection: &mut PgConnection,
    id: RecordId,
) -> sqlx::Result<Option<Record>> {
    let row = sqlx::query(sql::GET).bind(&id.as_bytes()[..]).fetch_optional(connection).await?;
    row.as_ref().map(columns::record).transpose()
}

/// Records for an operator.
pub(super) async fn list(
    connection: &mut PgConnection,
    listing: &Listing,
) -> sqlx::Result<Vec<Record>> {
    let after = listing.after.as_ref().map_or(&[][..], |id| &id.as_bytes()[..]);
    let most = limit(listing.most);
    let query = match &listing.which {
        Which::Stuck => sqlx::query(sql::STUCK).bind(after).bind(most),
        Which::Of(scope) => {
            sqlx::query(sql::OF).bind(after).bind(most).bind(scope.name()).bind(scope.kind())
        }
    };
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(columns::record).collect()
}

/// The audit, newest first.
pub(super) async fn audit(
    connection: &mut PgConnection,
    of: Option<RecordId>,
    most: usize,
) -> sqlx::Result<Vec<AuditEntry>> {
    let query = match &of {
        Some(id) => sqlx::query(sql::AUDIT_OF).bind(limit(most)).bind(&id.as_bytes()[..]),
        None => sqlx::query(sql::AUDIT).bind(limit(most)),
    };
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(columns::audited).collect()
}

impl Rows for PgConnection {
    async fn load(&mut self, id: RecordId) -> sqlx::Result<Found> {
        columns::found(&sqlx::query(sql::LOAD).bind(&id.as_bytes()[..]).fetch_one(self).await?)
    }

    async fn next_fence(&mut self) -> sqlx::Result<Fence> {
        columns::fence(sqlx::query_scalar(sql::NEXT_FENCE).fetch_one(self).await?)
    }

    async fn claim(&mut self, record: &Record, started: Started) -> sqlx::Result<()> {
        let identity = &record.identity;
        let query = sqlx::query(sql::CLAIM)
            .bind(&identity.id().as_bytes()[..])
            .bind(identity.scope.kind())
            .bind(identity.scope.name())
            .bind(identity.method.as_str())
            .bind(&*identity.route)
            .bind(identity.key.as_str())
            .bind(record.fingerprint.to_bytes())
            .bind(record.created.as_millis())
            .bind(number(started.fence))
            .bind(i64::from(started.attempt))
            .bind(&started.ticket.as_bytes()[..])
            .bind(moment(started.lease_until))
            .bind(started.lapsed.as_str())
            .bind(started.after_lapse);
        query.execute(self).await?;
        Ok(())
    }

    async fn end(&mut self, id: RecordId, state: &State) -> sqlx::Result<()> {
        let Ended { status, headers, body, expires_at, retired_until, since } = Ended::of(state);
        let query =
            sqlx::query(sql::END).bind(&id.as_bytes()[..]).bind(state.as_str()).bind(status);
        let query = query.bind(headers).bind(body).bind(expires_at).bind(retired_until).bind(since);
        query.execute(self).await?;
        Ok(())
    }

    async fn end_all(&mut self, ended: &[Standing]) -> sqlx::Result<()> {
        let states = || ended.iter().map(|(_, state)| state);
        let query = sqlx::query(sql::END_ALL)
            .bind(bytes(ended.iter().map(|(id, _)| id)))
            .bind(states().map(State::as_str).collect::<Vec<_>>())
            .bind(states().map(|state| Ended::of(state).expires_at).collect::<Vec<_>>())
            .bind(states().map(|state| Ended::of(state).since).collect::<Vec<_>>());
        query.execute(self).await?;
        Ok(())
    }

    async fn forget(&mut self, ids: &[RecordId]) -> sqlx::Result<()> {
        sqlx::query(sql::FORGET).bind(bytes(ids.iter())).execute(self).await?;
        Ok(())
    }

    async fn due(&mut self, most: i64) -> sqlx::Result<Due> {
        columns::readable(&sqlx::query(sql::DUE).bind(most).fetch_all(self).await?)
    }

    async fn answered(&mut self, of: &Purge, most: i64) -> sqlx::Result<Due> {
        let query = match of {
            Purge::Key(id) => sqlx::query(sql::ANSWERED_KEY).bind(most).bind(&id.as_bytes()[..]),
            Purge::Of(scope) => {
                sqlx::query(sql::ANSWERED_OF).bind(most).bind(scope.name()).bind(scope.kind())
            }
        };
        columns::standings(&query.fetch_all(self).await?)
    }

    async fn note(
        &mut self,
        note: &Note,
        action: Action,
        at: Timestamp,
        of: &[Held],
    ) -> sqlx::Result<()> {
        let fences: Vec<_> = of.iter().map(|held| number(held.fence)).collect();
        let query = sqlx::query(sql::NOTE).bind(at.as_millis()).bind(&*note.by).bind(&*note.why);
        let query = query.bind(action.as_str()).bind(bytes(of.iter().map(|held| &held.id)));
        query.bind(fences).execute(self).await?;
        Ok(())
    }
}

type Query<'q> = sqlx::query::Query<'q, Postgres, <Postgres as sqlx::Database>::Arguments>;

async fn one(query: Query<'_>, connection: &mut PgConnection) -> sqlx::Result<bool> {
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

fn bytes<'a>(ids: impl Iterator<Item = &'a RecordId>) -> Vec<&'a [u8]> {
    ids.map(|id| &id.as_bytes()[..]).collect()
}

/// The number of a key's advisory lock. Keys that share one wait for each other, and no more.
fn lock_of(id: RecordId) -> i64 {
    id.as_bytes().first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}
