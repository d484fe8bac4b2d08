//! The ledger: the figures that must add up, and what was done, in order.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::db::Claimant;
use crate::domain::{Audit, Event, Wanted};

/// The figures that must add up, counted from the rows.
pub(crate) async fn audit(
    connection: &mut SqliteConnection,
    sku: &str,
) -> sqlx::Result<Option<Audit>> {
    sqlx::query(
        "SELECT initial, available,
           (SELECT COALESCE(SUM(quantity), 0) FROM reservations
             WHERE sku = ?1 AND status = 'reserved') AS reserved,
           (SELECT COUNT(*) FROM reservations WHERE sku = ?1) AS reservations,
           (SELECT COUNT(*) FROM (SELECT DISTINCT caller, idempotency_key
             FROM reservations WHERE sku = ?1)) AS distinct_keys,
           (SELECT COALESCE(SUM(made - 1), 0) FROM (SELECT COUNT(*) AS made
             FROM reservations WHERE sku = ?1 GROUP BY order_id, line)) AS duplicates
         FROM products WHERE sku = ?1",
    )
    .bind(sku)
    .try_map(|row: SqliteRow| {
        Ok(Audit {
            initial: row.try_get("initial")?,
            available: row.try_get("available")?,
            reserved: row.try_get("reserved")?,
            reservations: row.try_get("reservations")?,
            distinct_keys: row.try_get("distinct_keys")?,
            duplicates: row.try_get("duplicates")?,
        })
    })
    .fetch_optional(connection)
    .await
}

/// What was done, oldest first: of one key or of all, by one caller or by all; the latest
/// [`EVENTS_MAX`].
pub(crate) async fn events(
    connection: &mut SqliteConnection,
    key: Option<&str>,
    caller: Option<&str>,
) -> sqlx::Result<Vec<Event>> {
    sqlx::query(
        "SELECT * FROM (SELECT * FROM events
           WHERE (?1 IS NULL OR idempotency_key = ?1) AND (?2 IS NULL OR caller = ?2)
           ORDER BY id DESC LIMIT ?3)
         ORDER BY id",
    )
    .bind(key)
    .bind(caller)
    .bind(EVENTS_MAX)
    .try_map(|row: SqliteRow| {
        Ok(Event {
            caller: row.try_get("caller")?,
            key: row.try_get("idempotency_key")?,
            fence: row.try_get("fence")?,
            effect: row.try_get("effect")?,
            sku: row.try_get("sku")?,
            quantity: row.try_get("quantity")?,
            reservation_id: row.try_get("reservation_id")?,
            time: row.try_get("time")?,
        })
    })
    .fetch_all(connection)
    .await
}

/// Notes that a key's answer was replayed, beside the effect that made it.
pub(crate) async fn note_replay(
    connection: &mut SqliteConnection,
    caller: &str,
    key: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO events (caller, idempotency_key, fence, effect, sku, quantity, reservation_id)
         SELECT ?1, ?2, effect.fence, 'replayed', effect.sku, effect.quantity, effect.reservation_id
         FROM (SELECT 1) LEFT JOIN (SELECT * FROM events
           WHERE idempotency_key = ?2 AND caller = ?1 AND fence IS NOT NULL AND effect <> 'replayed'
           ORDER BY id DESC LIMIT 1) AS effect",
    )
    .bind(caller)
    .bind(key)
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes what was done for a key, in the transaction that does it.
pub(crate) async fn note(
    tx: &mut SqliteConnection,
    by: Claimant<'_>,
    effect: &str,
    wanted: &Wanted,
    reservation_id: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO events (caller, idempotency_key, fence, effect, sku, quantity, reservation_id)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(by.caller)
    .bind(by.key)
    .bind(signed(by.fence)?)
    .bind(effect)
    .bind(&wanted.sku)
    .bind(wanted.quantity)
    .bind(reservation_id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Fences fit a signed column, by their own promise.
pub(crate) fn signed(fence: u64) -> sqlx::Result<i64> {
    i64::try_from(fence).map_err(|error| sqlx::Error::Encode(error.into()))
}

const EVENTS_MAX: i64 = 1_000;
