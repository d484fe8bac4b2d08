//! What is said to Postgres, for READ COMMITTED.

/// The server's clock, in milliseconds. `now()` would be the transaction's start, which lags by
/// however long it has waited for a lock.
macro_rules! now {
    () => {
        "floor(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT"
    };
}

/// Completes a record, for those who write it with another driver: in the transaction of the
/// effect, with the seven parameters that [`Completion`](crate::Completion) names. It changes one row, or none if the
/// claim was lost; then roll back.
///
/// Above READ COMMITTED it fails with the SQLSTATE 40001 when the record has changed since the
/// transaction's first statement, by a renewal too: roll back then as well.
pub const COMPLETE: &str = concat!(
    "UPDATE aplomb_idempotency_records SET state = 'completed', status = $3, headers = $4, \
     body = $5, expires_at = clock.now + $6, retired_until = clock.now + $6 + $7 FROM (SELECT ",
    now!(),
    " AS now) AS clock WHERE id = $1 AND fence = $2 AND state = 'started'"
);

/// What the rules must know of a key.
macro_rules! kept {
    () => {
        "id, fingerprint, created_at, state, fence, attempt, ticket, lease_until, lapsed, \
         after_lapse, status, headers, body, expires_at, retired_until, since"
    };
}

/// A whole record. Columns are named wherever they are read: a later version adds some while this one
/// goes on, and a prepared statement that takes all there are need not survive that (on SQLite, with
/// sqlx 0.9, its connection is lost).
macro_rules! whole {
    () => {
        concat!(
            "SELECT scope, caller, method, route, key, ",
            kept!(),
            " FROM aplomb_idempotency_records "
        )
    };
}

/// A line of the audit.
macro_rules! audit {
    () => {
        "SELECT at, operator, reason, action, id, fence FROM aplomb_idempotency_audit "
    };
}

/// One round trip for a new key and for a known one. The order of the parts is that of their
/// references: a key without a record is held first, then the clock is read and the fence drawn.
/// Of callers who come at once the others insert nothing, see nothing, and look again.
pub(super) const BEGIN: &str = concat!(
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
pub(super) const HOLD: &str = "SELECT pg_advisory_xact_lock($1)";

/// One row comes back whether or not there is a record, so that the clock is read either way, and
/// after the wait for the record.
pub(super) const LOAD: &str = concat!(
    "WITH held AS MATERIALIZED (SELECT ",
    kept!(),
    " FROM aplomb_idempotency_records WHERE id = $1 FOR UPDATE) SELECT ",
    now!(),
    " AS now, held.* FROM (SELECT 1) AS one LEFT JOIN held ON TRUE"
);
pub(super) const GET: &str = concat!(whole!(), "WHERE id = $1");
pub(super) const NEXT_FENCE: &str = "SELECT nextval('aplomb_idempotency_fence')";
pub(super) const CLAIM: &str = "INSERT INTO aplomb_idempotency_records \
     (id, scope, caller, method, route, key, fingerprint, created_at, \
      state, fence, attempt, ticket, lease_until, lapsed, after_lapse) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'started', $9, $10, $11, $12, $13, $14) \
     ON CONFLICT (id) DO UPDATE SET fingerprint = EXCLUDED.fingerprint, \
     created_at = EXCLUDED.created_at, state = EXCLUDED.state, fence = EXCLUDED.fence, \
     attempt = EXCLUDED.attempt, ticket = EXCLUDED.ticket, lease_until = EXCLUDED.lease_until, \
     lapsed = EXCLUDED.lapsed, after_lapse = EXCLUDED.after_lapse, status = NULL, \
     headers = NULL, body = NULL, expires_at = NULL, retired_until = NULL, since = NULL";
pub(super) const END: &str = "UPDATE aplomb_idempotency_records SET state = $2, status = $3, headers = $4, \
     body = $5, expires_at = $6, retired_until = $7, since = $8 WHERE id = $1";
pub(super) const END_ALL: &str = "UPDATE aplomb_idempotency_records AS r SET state = ended.state, \
     status = NULL, headers = NULL, body = NULL, expires_at = ended.expires_at, \
     retired_until = NULL, since = ended.since \
     FROM unnest($1::BYTEA[], $2::TEXT[], $3::BIGINT[], $4::BIGINT[]) \
     AS ended (id, state, expires_at, since) WHERE r.id = ended.id";
pub(super) const FORGET: &str = "DELETE FROM aplomb_idempotency_records WHERE id = ANY($1)";
pub(super) const RENEW: &str = concat!(
    "WITH held AS MATERIALIZED (SELECT id FROM aplomb_idempotency_records \
     WHERE id = $1 AND fence = $2 AND state = 'started' FOR UPDATE), \
     clock AS MATERIALIZED (SELECT id, ",
    now!(),
    " AS now FROM held) UPDATE aplomb_idempotency_records AS r \
     SET lease_until = clock.now + $3 FROM clock WHERE r.id = clock.id"
);

/// How records stand, without their answers.
macro_rules! standing {
    ($which:expr) => {
        concat!(
            "WITH held AS MATERIALIZED (SELECT id, state, fence, attempt, ticket, lease_until, \
             lapsed, after_lapse, status, '\\x01'::BYTEA AS headers, NULL::BYTEA AS body, \
             expires_at, retired_until, since FROM aplomb_idempotency_records WHERE ",
            $which,
            ") SELECT ",
            now!(),
            " AS now, held.* FROM held"
        )
    };
}

/// The clock is a subquery, so that the index can be asked for what is earlier.
pub(super) const DUE: &str = standing!(concat!(
    "due_at <= (SELECT ",
    now!(),
    ") ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED"
));
pub(super) const ANSWERED_KEY: &str =
    standing!("id = $2 AND state = 'completed' LIMIT $1 FOR UPDATE");
pub(super) const ANSWERED_OF: &str =
    standing!("caller = $2 AND scope = $3 AND state = 'completed' ORDER BY id LIMIT $1 FOR UPDATE");
pub(super) const STUCK: &str = concat!(
    whole!(),
    "WHERE id > $1 AND state IN ('started', 'unknown') \
     AND (state = 'unknown' OR lease_until <= (SELECT ",
    now!(),
    ")) ORDER BY id LIMIT $2"
);
pub(super) const OF: &str =
    concat!(whole!(), "WHERE id > $1 AND caller = $3 AND scope = $4 ORDER BY id LIMIT $2");
pub(super) const NOTE: &str = "INSERT INTO aplomb_idempotency_audit \
     (at, operator, reason, action, id, fence) \
     SELECT $1, $2, $3, $4, id, fence FROM unnest($5::BYTEA[], $6::BIGINT[]) AS of (id, fence)";
pub(super) const AUDIT: &str = concat!(audit!(), "ORDER BY number DESC LIMIT $1");
pub(super) const AUDIT_OF: &str = concat!(audit!(), "WHERE id = $2 ORDER BY number DESC LIMIT $1");
