//! Statements of SQLite. Under `BEGIN IMMEDIATE` whatever they read is held.

use std::time::Duration;

use aplomb_idempotency::operator::{Action, AuditEntry, Listing, Note, Purge, Which};
use aplomb_idempotency::{
    Fence, Held, Keep, Record, RecordId, Scope, Started, State, StoreError, StoredAnswer, Timestamp,
};
use sqlx::{Row, Sqlite, SqliteConnection};

use super::sql;
use crate::columns::{self, Ended, moment, number, span};
use crate::error::undone;
use crate::steps::{Due, Found, Rows, Standing, limit};
use crate::{Completion, Recording};

impl Recording for SqliteConnection {
    async fn record(
        &mut self,
        held: Held,
        answer: &StoredAnswer,
        keep: Keep,
    ) -> Result<bool, StoreError> {
        complete(self, held, answer, keep).await.map_err(undone)
    }
}

/// Completes a claim, unless it was lost: then `false`.
pub(super) async fn complete(
    connection: &mut SqliteConnection,
    held: Held,
    answer: &StoredAnswer,
    keep: Keep,
) -> sqlx::Result<bool> {
    let Completion { id, fence, status, headers, body, answer, key } =
        Completion::new(&held, answer, keep);
    let query = sqlx::query(sql::COMPLETE).bind(id).bind(fence).bind(status).bind(headers);
    one(query.bind(body).bind(answer).bind(key), connection).await
}

/// Holds a claim for `lease` from now, unless it was lost: then `false`.
pub(super) async fn renew(
    connection: &mut SqliteConnection,
    held: Held,
    lease: Duration,
) -> sqlx::Result<bool> {
    let query = sqlx::query(sql::RENEW).bind(&held.id.as_bytes()[..]);
    one(query.bind(number(held.fence)).bind(span(lease)), connection).await
}

/// The record of a key, which is not held.
pub(super) async fn get(
    connection: &mut SqliteConnection,
    id: RecordId,
) -> sqlx::Result<Option<Record>> {
    let row = sqlx::query(sql::GET).bind(&id.as_bytes()[..]).fetch_optional(connection).await?;
    row.as_ref().map(columns::record).transpose()
}

/// Records for an operator.
pub(super) async fn list(
    connection: &mut SqliteConnection,
    listing: &Listing,
) -> sqlx::Result<Vec<Record>> {
    let after = listing.after.as_ref().map_or(&[][..], |id| &id.as_bytes()[..]);
    let most = limit(listing.most);
    let rows = match &listing.which {
        Which::Stuck => {
            sqlx::query(sql::STUCK).bind(after).bind(most).fetch_all(connection).await?
        }
        Which::Of(scope) => {
            let query = sqlx::query(sql::OF).bind(after).bind(most);
            query.bind(scope.name()).bind(scope.kind()).fetch_all(connection).await?
        }
    };
    rows.iter().map(columns::record).collect()
}

/// The audit, newest first.
pub(super) async fn audit(
    connection: &mut SqliteConnection,
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

/// The numbers of `count` new claims, from the first one, and the time since when every record is
/// held.
pub(super) async fn next_fences(
    connection: &mut SqliteConnection,
    count: usize,
) -> sqlx::Result<(i64, Timestamp)> {
    let count = limit(count);
    let row = sqlx::query(sql::NEXT_FENCES).bind(count).fetch_one(connection).await?;
    let last: i64 = row.try_get("last")?;
    Ok((last - count + 1, columns::now(&row)?))
}

/// Writes the record of a new claim, unless the key has one: then `false`.
pub(super) async fn claim_new(
    connection: &mut SqliteConnection,
    record: &Record,
    started: Started,
) -> sqlx::Result<bool> {
    one(claim(sql::CLAIM_NEW, record, started), connection).await
}

impl Rows for SqliteConnection {
    async fn load(&mut self, id: RecordId) -> sqlx::Result<Found> {
        columns::found(&sqlx::query(sql::LOAD).bind(&id.as_bytes()[..]).fetch_one(self).await?)
    }

    async fn next_fence(&mut self) -> sqlx::Result<Fence> {
        columns::fence(sqlx::query_scalar(sql::NEXT_FENCE).fetch_one(self).await?)
    }

    async fn claim(&mut self, record: &Record, started: Started) -> sqlx::Result<()> {
        claim(sql::CLAIM, record, started).execute(self).await?;
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
        for (id, state) in ended {
            self.end(*id, state).await?;
        }
        Ok(())
    }

    async fn forget(&mut self, ids: &[RecordId]) -> sqlx::Result<()> {
        for id in ids {
            sqlx::query(sql::FORGET).bind(&id.as_bytes()[..]).execute(&mut *self).await?;
        }
        Ok(())
    }

    async fn due(&mut self, most: i64) -> sqlx::Result<Due> {
        let rows = sqlx::query(sql::DUE).bind(most).fetch_all(&mut *self).await?;
        columns::readable(&rows)
    }

    async fn answered(&mut self, of: &Purge, most: i64) -> sqlx::Result<Due> {
        let query = match of {
            Purge::Key(id) => sqlx::query(sql::ANSWERED_KEY).bind(most).bind(&id.as_bytes()[..]),
            Purge::Of(scope) => by_scope(sqlx::query(sql::ANSWERED_OF).bind(most), scope),
        };
        let rows = query.fetch_all(&mut *self).await?;
        columns::standings(&rows)
    }

    async fn note(
        &mut self,
        note: &Note,
        action: Action,
        at: Timestamp,
        of: &[Held],
    ) -> sqlx::Result<()> {
        for held in of {
            let query =
                sqlx::query(sql::NOTE).bind(at.as_millis()).bind(&*note.by).bind(&*note.why);
            let query = query.bind(action.as_str()).bind(&held.id.as_bytes()[..]);
            query.bind(number(held.fence)).execute(&mut *self).await?;
        }
        Ok(())
    }
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, <Sqlite as sqlx::Database>::Arguments>;

fn claim<'q>(sql: &'static str, record: &'q Record, started: Started) -> Query<'q> {
    let identity = &record.identity;
    sqlx::query(sql)
        .bind(identity.id().as_bytes().to_vec())
        .bind(identity.scope.kind())
        .bind(identity.scope.name())
        .bind(identity.method.as_str())
        .bind(&*identity.route)
        .bind(identity.key.as_str())
        .bind(record.fingerprint.to_bytes().to_vec())
        .bind(record.created.as_millis())
        .bind(number(started.fence))
        .bind(started.attempt)
        .bind(started.ticket.as_bytes().to_vec())
        .bind(moment(started.lease_until))
        .bind(started.lapsed.as_str())
        .bind(started.after_lapse)
}

fn by_scope<'q>(query: Query<'q>, scope: &'q Scope) -> Query<'q> {
    query.bind(scope.name()).bind(scope.kind())
}

async fn one(query: Query<'_>, connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    Ok(query.execute(connection).await?.rows_affected() == 1)
}
