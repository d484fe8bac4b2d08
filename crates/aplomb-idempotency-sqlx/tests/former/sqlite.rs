use aplomb_idempotency::{Begin, Fence, Held};
use aplomb_idempotency_sqlx::sqlite::{self, Pools};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::{Former, HOUR, Judged, NO_HEADERS, Rolling, Row, Said, judge, number};
use crate::common::{Shop, SqliteShop};

impl Rolling for SqliteShop {
    type Former = Pools;

    async fn as_it_was() -> Self {
        Self::with_tables(&sqlite::MIGRATIONS[..1]).await
    }

    async fn former(&self) -> Pools {
        self.again().await
    }

    async fn process(&self) -> Self {
        let store = self.other_store().await;
        Self { pools: self.again().await, store, ..self.clone() }
    }
}

impl Former for Pools {
    async fn begin(&self, call: &Begin) -> sqlx::Result<Said> {
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let id = call.identity.id();
        let id = &id.as_bytes()[..];
        let found = sqlx::query(LOAD).bind(id).fetch_one(&mut *tx).await?;
        let now = found.try_get("now")?;
        let (attempt, created_at) = match judge(row(&found)?.as_ref(), call, now) {
            Judged::Say(said) => return Ok(said),
            Judged::Claim { attempt, created_at } => (attempt, created_at),
        };
        let fence: i64 = sqlx::query_scalar(NEXT_FENCE).fetch_one(&mut *tx).await?;
        let lease = i64::try_from(call.lease.as_millis()).unwrap();
        let claim = sqlx::query(CLAIM).bind(id).bind(call.identity.scope.kind());
        let claim = claim.bind(call.identity.scope.name()).bind(call.identity.method.as_str());
        let claim = claim.bind(&*call.identity.route).bind(call.identity.key.as_str());
        let claim = claim.bind(call.fingerprint.to_bytes().to_vec()).bind(created_at).bind(fence);
        let claim = claim.bind(attempt).bind(&call.ticket.as_bytes()[..]).bind(now + lease);
        claim.execute(&mut *tx).await?;
        sqlx::query(SWEEP).bind(2).execute(&mut *tx).await?;
        tx.commit().await?;
        let fence = Fence::new(u64::try_from(fence).unwrap()).unwrap();
        Ok(Said::Claimed(Held { id: call.identity.id(), fence }))
    }

    async fn reserve(&self, key: &str, held: Held, body: &str) -> sqlx::Result<bool> {
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let reserve = sqlx::query("INSERT INTO reservations (key) VALUES (?)").bind(key);
        reserve.execute(&mut *tx).await?;
        let is_done = end(&mut tx, held, body).await?;
        if is_done {
            tx.commit().await?;
        }
        Ok(is_done)
    }

    async fn renew(&self, held: Held) -> sqlx::Result<bool> {
        let renew = sqlx::query(RENEW).bind(&held.id.as_bytes()[..]).bind(number(held));
        Ok(renew.bind(HOUR).execute(&self.writer).await?.rows_affected() == 1)
    }
}

async fn end(connection: &mut SqliteConnection, held: Held, body: &str) -> sqlx::Result<bool> {
    let now: i64 = sqlx::query_scalar("SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)")
        .fetch_one(&mut *connection)
        .await?;
    let end = sqlx::query(END).bind(&held.id.as_bytes()[..]).bind(number(held)).bind("completed");
    let end = end.bind(201).bind(NO_HEADERS).bind(body.as_bytes()).bind(now + HOUR);
    let end = end.bind(Option::<i64>::None);
    Ok(end.execute(connection).await?.rows_affected() == 1)
}

fn row(found: &SqliteRow) -> sqlx::Result<Option<Row>> {
    if found.try_get::<Option<&[u8]>, _>("id")?.is_none() {
        return Ok(None);
    }
    Ok(Some(Row {
        state: found.try_get("state")?,
        fingerprint: found.try_get("fingerprint")?,
        attempt: found.try_get("attempt")?,
        created_at: found.try_get("created_at")?,
        lease_until: found.try_get("lease_until")?,
        body: found.try_get("body")?,
        expires_at: found.try_get("expires_at")?,
    }))
}

/// It took `r.*`, and lost the connection on which that was prepared when columns were added: a process
/// of that version is told nothing else by it, and so its columns are named here.
const LOAD: &str = "SELECT clock.now, r.id, r.fingerprint, r.created_at, r.state, r.fence, r.attempt, \
     r.ticket, r.lease_until, r.status, r.headers, r.body, r.expires_at, r.since FROM \
     (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now) AS clock \
     LEFT JOIN aplomb_idempotency_records AS r ON r.id = ?1";
const NEXT_FENCE: &str = "UPDATE aplomb_idempotency_fence SET last = last + 1 RETURNING last";
const CLAIM: &str = "INSERT OR REPLACE INTO aplomb_idempotency_records \
     (id, scope, caller, method, route, key, fingerprint, created_at, \
      state, fence, attempt, ticket, lease_until) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'started', ?9, ?10, ?11, ?12)";
const RENEW: &str = "UPDATE aplomb_idempotency_records \
     SET lease_until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?3 \
     WHERE id = ?1 AND fence = ?2 AND state = 'started'";
const END: &str = "UPDATE aplomb_idempotency_records \
     SET state = ?3, status = ?4, headers = ?5, body = ?6, expires_at = ?7, since = ?8 \
     WHERE id = ?1 AND fence = ?2 AND state = 'started'";
const SWEEP: &str = "DELETE FROM aplomb_idempotency_records WHERE id IN \
     (SELECT id FROM aplomb_idempotency_records \
      WHERE expires_at <= CAST(unixepoch('subsec') * 1000 AS INTEGER) \
      ORDER BY expires_at LIMIT ?1)";
