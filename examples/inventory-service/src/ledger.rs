//! The ledger: the figures that must add up, and what was done, in order.

use crate::database::{At, on};
use crate::db::Claimant;
use crate::domain::{Audit, Event, Wanted};

/// The figures that must add up, counted from the rows.
pub(crate) async fn audit(at: At<'_>, sku: &str) -> sqlx::Result<Option<Audit>> {
    let sql = "SELECT initial, available,
           (SELECT CAST(COALESCE(SUM(quantity), 0) AS BIGINT) FROM all_reservations
             WHERE sku = $1 AND status = 'reserved'),
           (SELECT COUNT(*) FROM all_reservations WHERE sku = $1),
           (SELECT COUNT(*) FROM (SELECT DISTINCT caller, idempotency_key FROM all_reservations
             WHERE sku = $1 AND idempotency_key IS NOT NULL) AS keys),
           (SELECT CAST(COALESCE(SUM(made - 1), 0) AS BIGINT) FROM (SELECT COUNT(*) AS made
             FROM all_reservations WHERE sku = $1 GROUP BY order_id, line) AS lines)
         FROM products WHERE sku = $1";
    let row: Option<(i64, i64, i64, i64, i64, i64)> =
        on!(at, c => sqlx::query_as(sql).bind(sku).fetch_optional(c).await)?;
    Ok(row.map(|(initial, available, reserved, reservations, distinct_keys, duplicates)| Audit {
        initial,
        available,
        reserved,
        reservations,
        distinct_keys,
        duplicates,
    }))
}

/// What was done, oldest first: of one key or of all, by one caller or by all; the latest
/// [`EVENTS_MAX`].
pub(crate) async fn events(
    at: At<'_>,
    key: Option<&str>,
    caller: Option<&str>,
) -> sqlx::Result<Vec<Event>> {
    let sql = "SELECT caller, idempotency_key, fence, effect, sku, quantity, reservation_id, time
         FROM (SELECT * FROM events
           WHERE (CAST($1 AS TEXT) IS NULL OR idempotency_key = $1)
             AND (CAST($2 AS TEXT) IS NULL OR caller = $2)
           ORDER BY id DESC LIMIT $3) AS latest
         ORDER BY id";
    let rows: Vec<EventRow> = on!(at, c => {
        sqlx::query_as(sql).bind(key).bind(caller).bind(EVENTS_MAX).fetch_all(c).await
    })?;
    let event = |(caller, key, fence, effect, sku, quantity, reservation_id, time)| Event {
        caller,
        key,
        fence,
        effect,
        sku,
        quantity,
        reservation_id,
        time,
    };
    Ok(rows.into_iter().map(event).collect())
}

/// Notes that a key's answer was replayed, beside the effect that made it.
pub(crate) async fn note_replay(at: At<'_>, caller: &str, key: &str) -> sqlx::Result<()> {
    let sql =
        "INSERT INTO events (caller, idempotency_key, fence, effect, sku, quantity, reservation_id)
         SELECT $1, $2, effect.fence, 'replayed', effect.sku, effect.quantity, effect.reservation_id
         FROM (SELECT 1) AS one LEFT JOIN (SELECT * FROM events
           WHERE idempotency_key = $2 AND caller = $1 AND fence IS NOT NULL AND effect <> 'replayed'
           ORDER BY id DESC LIMIT 1) AS effect ON TRUE";
    on!(at, c => sqlx::query(sql).bind(caller).bind(key).execute(c).await.map(drop))
}

/// Notes what was done for a key, in the transaction that does it.
pub(crate) async fn note(
    at: At<'_>,
    by: Claimant<'_>,
    effect: &str,
    wanted: &Wanted,
    reservation_id: Option<&str>,
) -> sqlx::Result<()> {
    let sql =
        "INSERT INTO events (caller, idempotency_key, fence, effect, sku, quantity, reservation_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let (fence, quantity) = (signed(by.fence)?, i64::from(wanted.quantity));
    on!(at, c => {
        sqlx::query(sql)
            .bind(by.caller)
            .bind(by.key)
            .bind(fence)
            .bind(effect)
            .bind(&wanted.sku)
            .bind(quantity)
            .bind(reservation_id)
            .execute(c)
            .await
            .map(drop)
    })
}

/// Fences fit a signed column, by their own promise.
pub(crate) fn signed(fence: u64) -> sqlx::Result<i64> {
    i64::try_from(fence).map_err(|error| sqlx::Error::Encode(error.into()))
}

type EventRow = (
    String,
    Option<String>,
    Option<i64>,
    String,
    Option<String>,
    Option<i64>,
    Option<String>,
    String,
);

const EVENTS_MAX: i64 = 1_000;
