//! Records as rows.

use aplomb_core::BoxError;
use aplomb_idempotency::record::millis;
use aplomb_idempotency::{
    Fence, Fingerprint, Held, Identity, Key, Record, RecordId, Scope, Started, State, StoredAnswer,
    Ticket, Timestamp,
};
use bytes::Bytes;
use http::Method;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, SqliteConnection};
use std::time::Duration;

use crate::Recording;

/// The database's clock, in milliseconds. `unixepoch` takes the time once a statement.
macro_rules! now {
    () => {
        "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    };
}

/// The record of a key, and the time.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    id: RecordId,
) -> Result<(Option<Record>, Timestamp), sqlx::Error> {
    // One row comes back whether or not there is a record, so that the clock is read either way.
    let row = sqlx::query(concat!(
        "SELECT clock.now, r.* FROM (SELECT ",
        now!(),
        " AS now) AS clock LEFT JOIN aplomb_idempotency_records AS r ON r.id = ?1"
    ))
    .bind(&id.as_bytes()[..])
    .fetch_one(connection)
    .await?;
    let now = Timestamp::from_millis(row.try_get("now")?);
    let found = row.try_get::<Option<&[u8]>, _>("id")?.is_some();
    let record = found.then(|| read(&row)).transpose()?;
    Ok((record, now))
}

fn read(row: &SqliteRow) -> Result<Record, sqlx::Error> {
    let identity = identity(row)?;
    let fingerprint = Fingerprint::from_bytes(row.try_get("fingerprint")?);
    Ok(Record::new(
        identity,
        fingerprint.ok_or_else(|| corrupt("fingerprint"))?,
        Timestamp::from_millis(row.try_get("created_at")?),
        state(row)?,
    ))
}

fn identity(row: &SqliteRow) -> Result<Identity, sqlx::Error> {
    let scope = Scope::from_parts(row.try_get("scope")?, row.try_get("caller")?);
    let method = Method::from_bytes(row.try_get::<&str, _>("method")?.as_bytes());
    let key = Key::try_from(row.try_get::<&str, _>("key")?);
    Ok(Identity::new(
        scope.ok_or_else(|| corrupt("scope"))?,
        method.map_err(|_| corrupt("method"))?,
        row.try_get::<&str, _>("route")?,
        key.map_err(|_| corrupt("key"))?,
    ))
}

fn state(row: &SqliteRow) -> Result<State, sqlx::Error> {
    let number: i64 = row.try_get("fence")?;
    let fence = u64::try_from(number).ok().and_then(Fence::new);
    let fence = fence.ok_or_else(|| corrupt("fence"))?;
    let attempt = row.try_get("attempt")?;
    let time = |column| row.try_get(column).map(Timestamp::from_millis);
    Ok(match row.try_get("state")? {
        "started" => State::Started(Started {
            fence,
            attempt,
            lease_until: time("lease_until")?,
            ticket: ticket(row)?,
        }),
        "completed" => {
            State::Completed { fence, answer: answer(row)?, expires: time("expires_at")? }
        }
        "unknown" => State::Unknown { fence, since: time("since")? },
        "released" => State::Released { fence, attempt, expires: time("expires_at")? },
        "tombstone" => State::Tombstone { fence, expires: time("expires_at")? },
        _ => return Err(corrupt("state")),
    })
}

fn ticket(row: &SqliteRow) -> Result<Ticket, sqlx::Error> {
    let bytes: &[u8] = row.try_get("ticket")?;
    let bytes = bytes.try_into().map_err(|_| corrupt("ticket"))?;
    Ok(Ticket::from_bytes(bytes))
}

fn answer(row: &SqliteRow) -> Result<StoredAnswer, sqlx::Error> {
    let body: Option<Vec<u8>> = row.try_get("body")?;
    let (status, headers) = (row.try_get("status")?, row.try_get("headers")?);
    StoredAnswer::from_columns(status, headers, body.map(Bytes::from))
        .map_err(|error| sqlx::Error::Decode(error.into()))
}

fn corrupt(column: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(BoxError::from(format!("unreadable {column}")))
}

/// The number of a new claim, in the claim's own transaction.
pub(super) async fn next_fence(connection: &mut SqliteConnection) -> Result<Fence, sqlx::Error> {
    let number: i64 =
        sqlx::query_scalar("UPDATE aplomb_idempotency_fence SET last = last + 1 RETURNING last")
            .fetch_one(connection)
            .await?;
    let fence = u64::try_from(number).ok().and_then(Fence::new);
    fence.ok_or_else(|| corrupt("fence counter"))
}

/// Writes the record of a new claim, over whatever was there.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    record: &Record,
    started: Started,
) -> Result<(), sqlx::Error> {
    let identity = &record.identity;
    sqlx::query(
        "INSERT OR REPLACE INTO aplomb_idempotency_records \
         (id, scope, caller, method, route, key, fingerprint, created_at, \
          state, fence, attempt, ticket, lease_until) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'started', ?9, ?10, ?11, ?12)",
    )
    .bind(&identity.id().as_bytes()[..])
    .bind(identity.scope.kind())
    .bind(identity.scope.name())
    .bind(identity.method.as_str())
    .bind(&*identity.route)
    .bind(identity.key.as_str())
    .bind(&record.fingerprint.to_bytes()[..])
    .bind(record.created.as_millis())
    .bind(number(started.fence))
    .bind(started.attempt)
    .bind(&started.ticket.as_bytes()[..])
    .bind(started.lease_until.as_millis())
    .execute(connection)
    .await?;
    Ok(())
}

/// Holds a claim for `lease` from now, unless it was lost: then `false`.
pub(super) async fn renew(
    connection: &mut SqliteConnection,
    held: Held,
    lease: Duration,
) -> Result<bool, sqlx::Error> {
    let sql = concat!(
        "UPDATE aplomb_idempotency_records SET lease_until = ",
        now!(),
        " + ?3 WHERE id = ?1 AND fence = ?2 AND state = 'started'"
    );
    let query = sqlx::query(sql).bind(held.id.as_bytes().to_vec());
    let query = query.bind(number(held.fence)).bind(millis(lease));
    one(query, connection).await
}

/// Writes a state that ends a claim, unless it was lost: then `false`.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    held: Held,
    state: &State,
) -> Result<bool, sqlx::Error> {
    let answer = match state {
        State::Completed { answer, .. } => Some(answer),
        _ => None,
    };
    let since = match state {
        State::Unknown { since, .. } => Some(since.as_millis()),
        _ => None,
    };
    let query = sqlx::query(
        "UPDATE aplomb_idempotency_records \
         SET state = ?3, status = ?4, headers = ?5, body = ?6, expires_at = ?7, since = ?8 \
         WHERE id = ?1 AND fence = ?2 AND state = 'started'",
    )
    .bind(held.id.as_bytes().to_vec())
    .bind(number(held.fence))
    .bind(state.as_str())
    .bind(answer.map(|answer| answer.status().as_u16()))
    .bind(answer.map(StoredAnswer::headers_to_bytes))
    .bind(answer.and_then(StoredAnswer::body).map(|body| body.to_vec()))
    .bind(state.expires().map(Timestamp::as_millis))
    .bind(since);
    one(query, connection).await
}

/// Forgets up to `most` records that have expired.
pub(super) async fn sweep(
    connection: &mut SqliteConnection,
    most: i64,
) -> Result<u64, sqlx::Error> {
    let sql = concat!(
        "DELETE FROM aplomb_idempotency_records WHERE id IN \
         (SELECT id FROM aplomb_idempotency_records WHERE expires_at <= ",
        now!(),
        " ORDER BY expires_at LIMIT ?1)"
    );
    let swept = sqlx::query(sql).bind(most).execute(connection).await?;
    Ok(swept.rows_affected())
}

impl Recording for SqliteConnection {
    async fn record(
        &mut self,
        held: Held,
        answer: &StoredAnswer,
        keep: Duration,
    ) -> Result<bool, sqlx::Error> {
        let now = sqlx::query_scalar(concat!("SELECT ", now!())).fetch_one(&mut *self).await?;
        let state = State::Completed {
            fence: held.fence,
            answer: answer.clone(),
            expires: Timestamp::from_millis(now).plus(keep),
        };
        end(self, held, &state).await
    }
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, <Sqlite as sqlx::Database>::Arguments>;

async fn one(query: Query<'_>, connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

/// Fences fit a signed column by construction.
fn number(fence: Fence) -> i64 {
    i64::try_from(fence.get()).unwrap_or(i64::MAX)
}
