//! What a service does that knows neither keys nor uniqueness: the demo's naive callers reserve here.

use uuid::Uuid;

use crate::database::{At, on};
use crate::db::{Row, availability, take, to_reservation};
use crate::domain::{Availability, Reservation, Wanted};

/// What came of an attempt to reserve.
pub(crate) enum Reserved {
    /// The stock is held, once more for every call.
    Held(Reservation),
    /// Too little is left.
    OutOfStock { available: i64 },
    /// There is no such product.
    UnknownSku,
}

/// Reserves stock, whether or not the same was asked before.
pub(crate) async fn reserve(
    mut at: At<'_>,
    wanted: &Wanted,
    caller: &str,
) -> sqlx::Result<Reserved> {
    let Some(Availability { available, .. }) = availability(at.here(), &wanted.sku).await? else {
        return Ok(Reserved::UnknownSku);
    };
    if !take(at.here(), wanted).await? {
        return Ok(Reserved::OutOfStock { available });
    }
    let reservation = insert(at.here(), wanted, caller).await?;
    note(at, &reservation, caller).await?;
    Ok(Reserved::Held(reservation))
}

async fn insert(at: At<'_>, wanted: &Wanted, caller: &str) -> sqlx::Result<Reservation> {
    let sql = "INSERT INTO legacy_reservations (id, order_id, line, sku, quantity, caller)
         VALUES ($1, $2, $3, $4, $5, $6)
         RETURNING id, order_id, line, sku, quantity, 'reserved', created_at";
    let (line, quantity) = (i64::from(wanted.line), i64::from(wanted.quantity));
    let row: Row = on!(at, c => {
        sqlx::query_as(sql)
            .bind(Uuid::now_v7().to_string())
            .bind(&wanted.order_id)
            .bind(line)
            .bind(&wanted.sku)
            .bind(quantity)
            .bind(caller)
            .fetch_one(c)
            .await
    })?;
    to_reservation(row)
}

async fn note(at: At<'_>, reservation: &Reservation, caller: &str) -> sqlx::Result<()> {
    let sql = "INSERT INTO events (caller, effect, sku, quantity, reservation_id)
         VALUES ($1, 'reserved_without_key', $2, $3, $4)";
    let Reservation { id, sku, quantity, .. } = reservation;
    let quantity = i64::from(*quantity);
    on!(at, c => {
        let noted = sqlx::query(sql).bind(caller).bind(sku).bind(quantity).bind(id);
        noted.execute(c).await.map(drop)
    })
}
