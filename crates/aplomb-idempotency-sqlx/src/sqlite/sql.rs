//! What is said to SQLite, under `BEGIN IMMEDIATE` where it writes.

/// The database's clock, in milliseconds. `unixepoch` takes the time once a statement.
macro_rules! now {
    () => {
        "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    };
}

/// Completes a record, for those who write it with another driver: in the transaction of the
/// effect, with the seven parameters that [`Completion`](crate::Completion) names. It changes one row, or none if the
/// claim was lost; then roll back.
pub const COMPLETE: &str = concat!(
    "UPDATE aplomb_idempotency_records SET state = 'completed', status = ?3, headers = ?4, \
     body = ?5, expires_at = ",
    now!(),
    " + ?6, retired_until = ",
    now!(),
    " + ?6 + ?7 WHERE id = ?1 AND fence = ?2 AND state = 'started'"
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

/// One row comes back whether or not there is a record, so that the clock is read either way.
pub(super) const LOAD: &str = concat!(
    "SELECT clock.now, ",
    kept!(),
    " FROM (SELECT ",
    now!(),
    " AS now) AS clock LEFT JOIN aplomb_idempotency_records ON id = ?1"
);
pub(super) const NEXT_FENCE: &str =
    "UPDATE aplomb_idempotency_fence SET last = last + 1 RETURNING last";
pub(super) const NEXT_FENCES: &str = concat!(
    "UPDATE aplomb_idempotency_fence SET last = last + ?1 RETURNING last, ",
    now!(),
    " AS now"
);

/// The columns of a new claim, and their values.
macro_rules! claim {
    () => {
        "INTO aplomb_idempotency_records \
         (id, scope, caller, method, route, key, fingerprint, created_at, \
          state, fence, attempt, ticket, lease_until, lapsed, after_lapse) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'started', ?9, ?10, ?11, ?12, ?13, ?14)"
    };
}

pub(super) const CLAIM: &str = concat!("INSERT OR REPLACE ", claim!());
pub(super) const CLAIM_NEW: &str = concat!("INSERT ", claim!(), " ON CONFLICT (id) DO NOTHING");
pub(super) const END: &str = "UPDATE aplomb_idempotency_records SET state = ?2, status = ?3, headers = ?4, \
     body = ?5, expires_at = ?6, retired_until = ?7, since = ?8 WHERE id = ?1";
pub(super) const RENEW: &str = concat!(
    "UPDATE aplomb_idempotency_records SET lease_until = ",
    now!(),
    " + ?3 WHERE id = ?1 AND fence = ?2 AND state = 'started'"
);
pub(super) const GET: &str = concat!(whole!(), "WHERE id = ?1");
pub(super) const FORGET: &str = "DELETE FROM aplomb_idempotency_records WHERE id = ?1";

/// How records stand, without their answers.
macro_rules! standing {
    () => {
        concat!(
            "SELECT ",
            now!(),
            " AS now, id, state, fence, attempt, ticket, lease_until, lapsed, after_lapse, status, \
         x'01' AS headers, NULL AS body, expires_at, retired_until, since \
         FROM aplomb_idempotency_records "
        )
    };
}

pub(super) const DUE: &str =
    concat!(standing!(), "WHERE due_at <= ", now!(), " ORDER BY due_at LIMIT ?1");
pub(super) const ANSWERED_KEY: &str =
    concat!(standing!(), "WHERE id = ?2 AND state = 'completed' LIMIT ?1");
pub(super) const ANSWERED_OF: &str = concat!(
    standing!(),
    "WHERE caller = ?2 AND scope = ?3 AND state = 'completed' ORDER BY id LIMIT ?1"
);
pub(super) const STUCK: &str = concat!(
    whole!(),
    "WHERE id > ?1 AND state IN ('started', 'unknown') \
     AND (state = 'unknown' OR lease_until <= ",
    now!(),
    ") ORDER BY id LIMIT ?2"
);
pub(super) const OF: &str =
    concat!(whole!(), "WHERE id > ?1 AND caller = ?3 AND scope = ?4 ORDER BY id LIMIT ?2");
pub(super) const NOTE: &str = "INSERT INTO aplomb_idempotency_audit \
     (at, operator, reason, action, id, fence) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
pub(super) const AUDIT: &str = concat!(audit!(), "ORDER BY number DESC LIMIT ?1");
pub(super) const AUDIT_OF: &str = concat!(audit!(), "WHERE id = ?2 ORDER BY number DESC LIMIT ?1");
