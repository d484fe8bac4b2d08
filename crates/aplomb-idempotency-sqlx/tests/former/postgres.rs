use aplomb_idempotency::{Begin, Fence, Held, RecordId};
use aplomb_idempotency_sqlx::{PostgresStore, postgres};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};

use super::{Former, HOUR, Judged, NO_HEADERS, Rolling, Row, Said, judge, number};
use crate::common::PostgresShop;

impl Rolling for PostgresShop {
    type Former = PgPool;

    async fn as_it_was() -> Self {
        Self::with_tables(&postgres::MIGRATIONS[..1]).await
    }

    async fn former(&self) -> PgPool {
        postgres::connect(self.url()).await.unwrap()
    }

    async fn process(&self) -> Self {
        let pool = postgres::connect(self.url()).await.unwrap();
        Self { store: PostgresStore::new(pool.clone()), pool, ..self.clone() }
    }
}

impl Former for PgPool {
    async fn begin(&self, call: &Begin) -> sqlx::Result<Said> {
        let (identity, id) = (&call.identity, call.identity.id());
        let lease = i64::try_from(call.lease.as_millis()).unwrap();
        let begin = sqlx::query(BEGIN).bind(&id.as_bytes()[..]).bind(lock_of(id));
        let begin = begin.bind(identity.scope.kind()).bind(identity.scope.name());
        let begin = begin.bind(identity.method.as_str()).bind(&*identity.route);
        let begin = begin.bind(identity.key.as_str()).bind(call.fingerprint.to_bytes().to_vec());
        let begin = begin.bind(1_i64).bind(&call.ticket.as_bytes()[..]).bind(lease);
        let found = begin.bind("run_again").bind(false).fetch_one(self).await?;
        if let Some(fence) = found.try_get::<Option<i64>, _>("claimed")? {
            return Ok(claimed(id, fence));
        }
        let now = found.try_get("now")?;
        match row(&found)?.map(|row| judge(Some(&row), call, now)) {
            Some(Judged::Say(said)) => Ok(said),
            _ => self.begin_held(call, lease).await,
        }
    }

    async fn reserve(&self, key: &str, held: Held, body: &str) -> sqlx::Result<bool> {
        let mut tx = PgPool::begin(self).await?;
        let reserve = sqlx::query("INSERT INTO reservations (key) VALUES ($1)").bind(key);
        reserve.execute(&mut *tx).await?;
        let end = sqlx::query(COMPLETE).bind(&held.id.as_bytes()[..]).bind(number(held));
        let end = end.bind(201_i64).bind(NO_HEADERS).bind(body.as_bytes()).bind(HOUR).bind(HOUR);
        let is_done = end.execute(&mut *tx).await?.rows_affected() == 1;
        if is_done {
            tx.commit().await?;
        }
        Ok(is_done)
    }

    async fn renew(&self, held: Held) -> sqlx::Result<bool> {
        let renew = sqlx::query(RENEW).bind(&held.id.as_bytes()[..]).bind(number(held));
        Ok(renew.bind(HOUR).execute(self).await?.rows_affected() == 1)
    }
}

trait Holds {
    /// For a key whose record must change, or has come or gone in the meantime.
    fn begin_held(
        &self,
        call: &Begin,
        lease: i64,
    ) -> impl Future<Output = sqlx::Result<Said>> + Send;
}

impl Holds for PgPool {
    async fn begin_held(&self, call: &Begin, lease: i64) -> sqlx::Result<Said> {
        let (identity, id) = (&call.identity, call.identity.id());
        let mut tx = PgPool::begin(self).await?;
        sqlx::query(HOLD).bind(lock_of(id)).execute(&mut *tx).await?;
        let found = sqlx::query(LOAD).bind(&id.as_bytes()[..]).fetch_one(&mut *tx).await?;
        let now: i64 = found.try_get("now")?;
        let (attempt, created_at) = match judge(row(&found)?.as_ref(), call, now) {
            Judged::Say(said) => return Ok(said),
            Judged::Claim { attempt, created_at } => (attempt, created_at),
        };
        let fence: i64 = sqlx::query_scalar(NEXT_FENCE).fetch_one(&mut *tx).await?;
        let claim = sqlx::query(CLAIM).bind(&id.as_bytes()[..]).bind(identity.scope.kind());
        let claim = claim.bind(identity.scope.name()).bind(identity.method.as_str());
        let claim = claim.bind(&*identity.route).bind(identity.key.as_str());
        let claim = claim.bind(call.fingerprint.to_bytes().to_vec()).bind(created_at).bind(fence);
        let claim = claim.bind(attempt).bind(&call.ticket.as_bytes()[..]).bind(now + lease);
        claim.bind("run_again").bind(attempt > 1).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(claimed(id, fence))
    }
}

fn claimed(id: RecordId, fence: i64) -> Said {
    let fence = Fence::new(u64::try_from(fence).unwrap()).unwrap();
    Said::Claimed(Held { id, fence })
}

fn row(found: &PgRow) -> sqlx::Result<Option<Row>> {
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

fn lock_of(id: RecordId) -> i64 {
    id.as_bytes().first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

macro_rules! now {
    () => {
        "floor(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT"
    };
}

macro_rules! kept {
    () => {
        "id, fingerprint, created_at, state, fence, attempt, ticket, lease_until, lapsed, \
         after_lapse, status, headers, body, expires_at, retired_until, since"
    };
}

const BEGIN: &str = concat!(
    "WITH existing AS MATERIALIZED (SELECT ",
    kept!(),
    " FROM aplomb_idempotency_records WHERE id = $1), \
     held AS MATERIALIZED \
     (SELECT pg_advisory_xact_lock($2) WHERE NOT EXISTS (SELECT 1 FROM existing)), \
     clock AS MATERIALIZED (SELECT ",
    now!(),
    " AS now FROM held), \
     claim AS (INSERT INTO aplomb_idempotency_records \
     (id, scope, caller, method, route, key, fingerprint, created_at, \
      state, fence, attempt, ticket, lease_until, lapsed, after_lapse) \
     SELECT $1, $3, $4, $5, $6, $7, $8, now, 'started', nextval('aplomb_idempotency_fence'), \
     $9, $10, now + $11, $12, $13 FROM clock ON CONFLICT (id) DO NOTHING \
     RETURNING fence AS claimed, created_at AS claimed_at) \
     SELECT ",
    now!(),
    " AS now, existing.*, claim.* FROM (SELECT 1) AS one \
     LEFT JOIN existing ON TRUE LEFT JOIN claim ON TRUE"
);
const HOLD: &str = "SELECT pg_advisory_xact_lock($1)";
const LOAD: &str = concat!(
    "WITH held AS MATERIALIZED (SELECT ",
    kept!(),
    " FROM aplomb_idempotency_records WHERE id = $1 FOR UPDATE) SELECT ",
    now!(),
    " AS now, held.* FROM (SELECT 1) AS one LEFT JOIN held ON TRUE"
);
const NEXT_FENCE: &str = "SELECT nextval('aplomb_idempotency_fence')";
const CLAIM: &str = "INSERT INTO aplomb_idempotency_records \
     (id, scope, caller, method, route, key, fingerprint, created_at, \
      state, fence, attempt, ticket, lease_until, lapsed, after_lapse) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'started', $9, $10, $11, $12, $13, $14) \
     ON CONFLICT (id) DO UPDATE SET fingerprint = EXCLUDED.fingerprint, \
     created_at = EXCLUDED.created_at, state = EXCLUDED.state, fence = EXCLUDED.fence, \
     attempt = EXCLUDED.attempt, ticket = EXCLUDED.ticket, lease_until = EXCLUDED.lease_until, \
     lapsed = EXCLUDED.lapsed, after_lapse = EXCLUDED.after_lapse, status = NULL, \
     headers = NULL, body = NULL, expires_at = NULL, retired_until = NULL, since = NULL";
const COMPLETE: &str = concat!(
    "UPDATE aplomb_idempotency_records SET state = 'completed', status = $3, headers = $4, \
     body = $5, expires_at = clock.now + $6, retired_until = clock.now + $6 + $7 FROM (SELECT ",
    now!(),
    " AS now) AS clock WHERE id = $1 AND fence = $2 AND state = 'started'"
);
const RENEW: &str = concat!(
    "WITH held AS MATERIALIZED (SELECT id FROM aplomb_idempotency_records \
     WHERE id = $1 AND fence = $2 AND state = 'started' FOR UPDATE), \
     clock AS MATERIALIZED (SELECT id, ",
    now!(),
    " AS now FROM held) UPDATE aplomb_idempotency_records AS r \
     SET lease_until = clock.now + $3 FROM clock WHERE r.id = clock.id"
);
