//! The SQL: each function takes the connection, so that its caller owns the transaction.

use sqlx::Row;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::domain::{Availability, Reservation, Wanted};
use crate::ledger::{note, signed};

/// Who acts, under which key and claim.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claimant<'a> {
    pub(crate) caller: &'a str,
    pub(crate) key: &'a str,
    pub(crate) fence: u64,
}

/// What came of an attempt to reserve.
#[derive(Debug, PartialEq)]
pub(crate) enum Reserved {
    /// The stock is held; by this call, or by an earlier one with the same key.
    Held(Reservation),
    /// Too little is left.
    OutOfStock { available: i64 },
    /// The order line was reserved under another key, by the same caller or not.
    Already { reservation_id: Option<String> },
    /// There is no such product.
    UnknownSku,
}

/// Reserves stock for an order line, once.
pub(crate) async fn reserve(
    tx: &mut SqliteConnection,
    wanted: &Wanted,
    by: Claimant<'_>,
) -> sqlx::Result<Reserved> {
    if let Some(row) = order_line(tx, wanted).await? {
        return again(&row, wanted, by);
    }
    let Some(Availability { available, .. }) = availability(tx, &wanted.sku).await? else {
        return Ok(Reserved::UnknownSku);
    };
    if !take(tx, wanted).await? {
        note(tx, by, "out_of_stock", wanted, None).await?;
        return Ok(Reserved::OutOfStock { available });
    }
    let reservation = insert(tx, wanted, by).await?;
    note(tx, by, "reserved", wanted, Some(&reservation.id)).await?;
    Ok(Reserved::Held(reservation))
}

/// What is left of a product, or `None` when there is none of that name.
pub(crate) async fn availability(
    connection: &mut SqliteConnection,
    sku: &str,
) -> sqlx::Result<Option<Availability>> {
    sqlx::query(
        "SELECT sku, available, strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS as_of
         FROM products WHERE sku = ?",
    )
    .bind(sku)
    .try_map(|row: SqliteRow| {
        Ok(Availability {
            sku: row.try_get("sku")?,
            available: row.try_get("available")?,
            as_of: row.try_get("as_of")?,
        })
    })
    .fetch_optional(connection)
    .await
}

/// Sets what is available of a product; what is reserved stays reserved.
pub(crate) async fn set_stock(
    tx: &mut SqliteConnection,
    sku: &str,
    stock: u32,
    caller: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO products (sku, available, initial) VALUES (?1, ?2, ?2)
         ON CONFLICT (sku) DO UPDATE SET available = ?2, initial = ?2 + (
             SELECT COALESCE(SUM(quantity), 0) FROM reservations
             WHERE sku = ?1 AND status = 'reserved')",
    )
    .bind(sku)
    .bind(stock)
    .execute(&mut *tx)
    .await?;
    sqlx::query("INSERT INTO events (caller, effect, sku, quantity) VALUES (?, 'stock_set', ?, ?)")
        .bind(caller)
        .bind(sku)
        .bind(stock)
        .execute(tx)
        .await?;
    Ok(())
}

/// A caller's own reservation.
pub(crate) async fn reservation(
    connection: &mut SqliteConnection,
    id: &str,
    caller: &str,
) -> sqlx::Result<Option<Reservation>> {
    sqlx::query("SELECT * FROM reservations WHERE id = ? AND caller = ?")
        .bind(id)
        .bind(caller)
        .try_map(|row: SqliteRow| to_reservation(&row))
        .fetch_optional(connection)
        .await
}

/// Gives a caller's own reservation back, once; whether there is such a reservation.
pub(crate) async fn release(
    tx: &mut SqliteConnection,
    id: &str,
    caller: &str,
) -> sqlx::Result<bool> {
    let released = sqlx::query(
        "UPDATE reservations SET status = 'released'
         WHERE id = ? AND caller = ? AND status = 'reserved'",
    )
    .bind(id)
    .bind(caller)
    .execute(&mut *tx)
    .await?;
    if released.rows_affected() == 0 {
        return Ok(reservation(tx, id, caller).await?.is_some());
    }
    sqlx::query(
        "UPDATE products SET available = available + reservations.quantity
         FROM reservations WHERE reservations.id = ? AND products.sku = reservations.sku",
    )
    .bind(id)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO events (caller, idempotency_key, effect, sku, quantity, reservation_id)
         SELECT caller, idempotency_key, 'released', sku, quantity, id
         FROM reservations WHERE id = ?",
    )
    .bind(id)
    .execute(tx)
    .await?;
    Ok(true)
}

async fn order_line(tx: &mut SqliteConnection, wanted: &Wanted) -> sqlx::Result<Option<SqliteRow>> {
    sqlx::query("SELECT * FROM reservations WHERE order_id = ? AND line = ?")
        .bind(&wanted.order_id)
        .bind(wanted.line)
        .fetch_optional(tx)
        .await
}

/// What to say of an order line that is reserved already.
///
/// The same caller, key and payload can only meet its own row when the idempotency record has been
/// forgotten: it is answered as it was the first time.
fn again(row: &SqliteRow, wanted: &Wanted, by: Claimant<'_>) -> sqlx::Result<Reserved> {
    let earlier = Reservation { status: "reserved".into(), ..to_reservation(row)? };
    let own = row.try_get::<&str, _>("caller")? == by.caller;
    let same_key = row.try_get::<&str, _>("idempotency_key")? == by.key;
    if own && same_key && earlier.sku == wanted.sku && earlier.quantity == wanted.quantity {
        return Ok(Reserved::Held(earlier));
    }
    Ok(Reserved::Already { reservation_id: own.then_some(earlier.id) })
}

async fn take(tx: &mut SqliteConnection, wanted: &Wanted) -> sqlx::Result<bool> {
    let taken = sqlx::query(
        "UPDATE products SET available = available - ?2 WHERE sku = ?1 AND available >= ?2",
    )
    .bind(&wanted.sku)
    .bind(wanted.quantity)
    .execute(tx)
    .await?;
    Ok(taken.rows_affected() == 1)
}

async fn insert(
    tx: &mut SqliteConnection,
    wanted: &Wanted,
    by: Claimant<'_>,
) -> sqlx::Result<Reservation> {
    sqlx::query(
        "INSERT INTO reservations (id, order_id, line, sku, quantity, caller, idempotency_key, fence)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(&wanted.order_id)
    .bind(wanted.line)
    .bind(&wanted.sku)
    .bind(wanted.quantity)
    .bind(by.caller)
    .bind(by.key)
    .bind(signed(by.fence)?)
    .try_map(|row: SqliteRow| to_reservation(&row))
    .fetch_one(tx)
    .await
}

fn to_reservation(row: &SqliteRow) -> sqlx::Result<Reservation> {
    Ok(Reservation {
        id: row.try_get("id")?,
        order_id: row.try_get("order_id")?,
        line: row.try_get("line")?,
        sku: row.try_get("sku")?,
        quantity: row.try_get("quantity")?,
        status: row.try_get("status")?,
        created_at: row.try_get("created_at")?,
    })
}
