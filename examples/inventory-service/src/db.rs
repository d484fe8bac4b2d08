//! The SQL: each function is told where to run, so that its caller owns the transaction.

use uuid::Uuid;

use crate::database::{At, on};
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
    mut at: At<'_>,
    wanted: &Wanted,
    by: Claimant<'_>,
) -> sqlx::Result<Reserved> {
    hold_order(at.here(), wanted).await?;
    if let Some(row) = order_line(at.here(), wanted).await? {
        return Ok(row.again(wanted, by));
    }
    let Some(Availability { available, .. }) = availability(at.here(), &wanted.sku).await? else {
        return Ok(Reserved::UnknownSku);
    };
    if !take(at.here(), wanted).await? {
        note(at, by, "out_of_stock", wanted, None).await?;
        return Ok(Reserved::OutOfStock { available });
    }
    let reservation = insert(at.here(), wanted, by).await?;
    note(at, by, "reserved", wanted, Some(&reservation.id)).await?;
    Ok(Reserved::Held(reservation))
}

/// What is left of a product, or `None` when there is none of that name.
pub(crate) async fn availability(at: At<'_>, sku: &str) -> sqlx::Result<Option<Availability>> {
    let sql = at.pick(
        "SELECT available, strftime('%Y-%m-%dT%H:%M:%fZ', 'now') FROM products WHERE sku = $1",
        "SELECT available, inventory_now() FROM products WHERE sku = $1",
    );
    let row: Option<(i64, String)> =
        on!(at, c => sqlx::query_as(sql).bind(sku).fetch_optional(c).await)?;
    Ok(row.map(|(available, as_of)| Availability { sku: sku.to_owned(), available, as_of }))
}

/// Sets what is available of a product; what is reserved stays reserved.
pub(crate) async fn set_stock(
    mut at: At<'_>,
    sku: &str,
    stock: u32,
    caller: &str,
) -> sqlx::Result<()> {
    let stock = i64::from(stock);
    let sql = "INSERT INTO products (sku, available, initial) VALUES ($1, $2, $2)
         ON CONFLICT (sku) DO UPDATE SET available = $2, initial = $2 + (
             SELECT CAST(COALESCE(SUM(quantity), 0) AS BIGINT) FROM all_reservations
             WHERE all_reservations.sku = $1 AND status = 'reserved')";
    on!(at.here(), c => sqlx::query(sql).bind(sku).bind(stock).execute(c).await.map(drop))?;
    let sql = "INSERT INTO events (caller, effect, sku, quantity)
         VALUES ($1, 'stock_set', $2, $3)";
    on!(at, c => sqlx::query(sql).bind(caller).bind(sku).bind(stock).execute(c).await.map(drop))
}

/// A caller's own reservation.
pub(crate) async fn reservation(
    at: At<'_>,
    id: &str,
    caller: &str,
) -> sqlx::Result<Option<Reservation>> {
    let sql = "SELECT id, order_id, line, sku, quantity, status, created_at
         FROM reservations WHERE id = $1 AND caller = $2";
    let row: Option<Row> =
        on!(at, c => sqlx::query_as(sql).bind(id).bind(caller).fetch_optional(c).await)?;
    row.map(to_reservation).transpose()
}

/// The reservation that a caller's key has made, whatever became of the key's record.
pub(crate) async fn reserved_under(
    at: At<'_>,
    caller: &str,
    key: &str,
) -> sqlx::Result<Option<Reservation>> {
    let sql = "SELECT id, order_id, line, sku, quantity, 'reserved', created_at
         FROM reservations WHERE caller = $1 AND idempotency_key = $2";
    let row: Option<Row> =
        on!(at, c => sqlx::query_as(sql).bind(caller).bind(key).fetch_optional(c).await)?;
    row.map(to_reservation).transpose()
}

/// Gives a caller's own reservation back, once; whether there is such a reservation.
pub(crate) async fn release(mut at: At<'_>, id: &str, caller: &str) -> sqlx::Result<bool> {
    let sql = "UPDATE reservations SET status = 'released'
         WHERE id = $1 AND caller = $2 AND status = 'reserved'";
    let released = on!(at.here(), c => {
        let done = sqlx::query(sql).bind(id).bind(caller).execute(c).await;
        done.map(|done| done.rows_affected())
    })?;
    if released == 0 {
        return Ok(reservation(at, id, caller).await?.is_some());
    }
    let sql = "UPDATE products SET available = available + reservations.quantity
         FROM reservations WHERE reservations.id = $1 AND products.sku = reservations.sku";
    on!(at.here(), c => sqlx::query(sql).bind(id).execute(c).await.map(drop))?;
    let sql = "INSERT INTO events (caller, idempotency_key, effect, sku, quantity, reservation_id)
         SELECT caller, idempotency_key, 'released', sku, quantity, id
         FROM reservations WHERE id = $1";
    on!(at, c => sqlx::query(sql).bind(id).execute(c).await.map(drop))?;
    Ok(true)
}

/// Two requests for lines of one order come one after the other. SQLite's write lock sees to that
/// already.
async fn hold_order(at: At<'_>, wanted: &Wanted) -> sqlx::Result<()> {
    match at {
        At::Sqlite(_) => Ok(()),
        At::Postgres(connection) => {
            let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
            sqlx::query(sql).bind(&wanted.order_id).execute(connection).await.map(drop)
        }
    }
}

async fn order_line(at: At<'_>, wanted: &Wanted) -> sqlx::Result<Option<Earlier>> {
    let sql = "SELECT id, order_id, line, sku, quantity, 'reserved', created_at,
           caller, idempotency_key
         FROM reservations WHERE order_id = $1 AND line = $2";
    let (order, line) = (&wanted.order_id, i64::from(wanted.line));
    let row: Option<EarlierRow> =
        on!(at, c => sqlx::query_as(sql).bind(order).bind(line).fetch_optional(c).await)?;
    let Some((id, order_id, line, sku, quantity, status, created_at, caller, key)) = row else {
        return Ok(None);
    };
    let reservation = to_reservation((id, order_id, line, sku, quantity, status, created_at))?;
    Ok(Some(Earlier { reservation, caller, key }))
}

/// An order line that is reserved already.
struct Earlier {
    reservation: Reservation,
    caller: String,
    key: String,
}

impl Earlier {
    /// What to say of it.
    ///
    /// The same caller, key and payload can only meet its own row when the idempotency record has
    /// been forgotten: it is answered as it was the first time.
    fn again(self, wanted: &Wanted, by: Claimant<'_>) -> Reserved {
        let Self { reservation, caller, key } = self;
        let own = caller == by.caller;
        let same = reservation.sku == wanted.sku && reservation.quantity == wanted.quantity;
        if own && key == by.key && same {
            return Reserved::Held(reservation);
        }
        Reserved::Already { reservation_id: own.then_some(reservation.id) }
    }
}

/// Takes stock, if there is enough of it.
pub(crate) async fn take(at: At<'_>, wanted: &Wanted) -> sqlx::Result<bool> {
    let sql = "UPDATE products SET available = available - $2
         WHERE sku = $1 AND available >= $2";
    let (sku, quantity) = (&wanted.sku, i64::from(wanted.quantity));
    let taken = on!(at, c => {
        let done = sqlx::query(sql).bind(sku).bind(quantity).execute(c).await;
        done.map(|done| done.rows_affected())
    })?;
    Ok(taken == 1)
}

async fn insert(at: At<'_>, wanted: &Wanted, by: Claimant<'_>) -> sqlx::Result<Reservation> {
    let sql = "INSERT INTO reservations
           (id, order_id, line, sku, quantity, caller, idempotency_key, fence)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         RETURNING id, order_id, line, sku, quantity, status, created_at";
    let id = Uuid::now_v7().to_string();
    let (line, quantity) = (i64::from(wanted.line), i64::from(wanted.quantity));
    let fence = signed(by.fence)?;
    let row: Row = on!(at, c => {
        sqlx::query_as(sql)
            .bind(id)
            .bind(&wanted.order_id)
            .bind(line)
            .bind(&wanted.sku)
            .bind(quantity)
            .bind(by.caller)
            .bind(by.key)
            .bind(fence)
            .fetch_one(c)
            .await
    })?;
    to_reservation(row)
}

/// A reservation as both databases give it.
pub(crate) type Row = (String, String, i64, String, i64, String, String);
/// The same, with its caller and key.
type EarlierRow = (String, String, i64, String, i64, String, String, String, String);

pub(crate) fn to_reservation(row: Row) -> sqlx::Result<Reservation> {
    let (id, order_id, line, sku, quantity, status, created_at) = row;
    let small =
        |number: i64| u32::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()));
    let (line, quantity) = (small(line)?, small(quantity)?);
    Ok(Reservation { id, order_id, line, sku, quantity, status, created_at })
}
