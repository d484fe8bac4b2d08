//! The SQL: each function is told where to run, so that its caller owns the transaction.

use aplomb_inventory_service::database::{At, on};
use serde::Serialize;
use uuid::Uuid;

/// An order on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Shipment {
    #[serde(rename = "shipment_id")]
    id: String,
    pub(crate) order_id: String,
    created_at: String,
}

/// What came of an attempt to ship.
#[derive(Debug, PartialEq)]
pub(crate) enum Shipped {
    /// By this call, or by an earlier one with the same key.
    Now(Shipment),
    /// Under another key.
    Already(Shipment),
}

/// Ships an order, once.
pub(crate) async fn ship(mut at: At<'_>, order: &str, key: &str) -> sqlx::Result<Shipped> {
    if let Some(earlier) = earlier(at.here(), order, key).await? {
        return Ok(earlier);
    }
    let sql = "INSERT INTO shipments (id, order_id, idempotency_key) VALUES ($1, $2, $3)
         ON CONFLICT (order_id) DO NOTHING RETURNING id, order_id, created_at";
    let id = Uuid::now_v7().to_string();
    let row: Option<Row> = on!(at.here(), c => {
        sqlx::query_as(sql).bind(id).bind(order).bind(key).fetch_optional(c).await
    })?;
    match row {
        Some(row) => Ok(Shipped::Now(shipment(row))),
        // Another key's transaction committed it meanwhile.
        None => earlier(at, order, key).await?.ok_or(sqlx::Error::RowNotFound),
    }
}

/// The shipment of an order.
pub(crate) async fn shipment_of(at: At<'_>, order: &str) -> sqlx::Result<Option<Shipment>> {
    let sql = "SELECT id, order_id, created_at FROM shipments WHERE order_id = $1";
    let row: Option<Row> = on!(at, c => sqlx::query_as(sql).bind(order).fetch_optional(c).await)?;
    Ok(row.map(shipment))
}

/// What there is, counted.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    shipments: i64,
    distinct_orders: i64,
    distinct_keys: i64,
    duplicates: i64,
}

pub(crate) async fn figures(at: At<'_>) -> sqlx::Result<Figures> {
    let sql = "SELECT count(*), count(DISTINCT order_id), count(DISTINCT idempotency_key)
         FROM shipments";
    let (shipments, distinct_orders, distinct_keys): (i64, i64, i64) =
        on!(at, c => sqlx::query_as(sql).fetch_one(c).await)?;
    let duplicates = shipments - distinct_orders;
    Ok(Figures { shipments, distinct_orders, distinct_keys, duplicates })
}

/// Marks these orders as poison, and no others.
pub(crate) async fn poison(mut at: At<'_>, orders: &[String]) -> sqlx::Result<()> {
    on!(at.here(), c => sqlx::query("DELETE FROM poison").execute(c).await.map(drop))?;
    let sql = "INSERT INTO poison (order_id) VALUES ($1) ON CONFLICT (order_id) DO NOTHING";
    for order in orders {
        on!(at.here(), c => sqlx::query(sql).bind(order).execute(c).await.map(drop))?;
    }
    Ok(())
}

/// The orders that are marked as poison.
pub(crate) async fn poisoned(at: At<'_>) -> sqlx::Result<Vec<String>> {
    let sql = "SELECT order_id FROM poison ORDER BY order_id";
    on!(at, c => sqlx::query_scalar(sql).fetch_all(c).await)
}

/// Whether an order is marked as poison and was not shipped before.
pub(crate) async fn is_refused(at: At<'_>, order: &str) -> sqlx::Result<bool> {
    let sql = "SELECT count(*) FROM poison WHERE order_id = $1
         AND NOT EXISTS (SELECT 1 FROM shipments WHERE shipments.order_id = $1)";
    let marks: i64 = on!(at, c => sqlx::query_scalar(sql).bind(order).fetch_one(c).await)?;
    Ok(marks > 0)
}

/// Notes that it was told of an order.
pub(crate) async fn note(at: At<'_>, order: &str) -> sqlx::Result<()> {
    let sql = "INSERT INTO analytics (order_id) VALUES ($1) ON CONFLICT (order_id) DO NOTHING";
    on!(at, c => sqlx::query(sql).bind(order).execute(c).await.map(drop))
}

/// Of how many orders it was told.
pub(crate) async fn noted(at: At<'_>) -> sqlx::Result<i64> {
    let sql = "SELECT count(*) FROM analytics";
    on!(at, c => sqlx::query_scalar(sql).fetch_one(c).await)
}

/// The same key can only meet its own row when its record has been forgotten: it is answered as it
/// was the first time.
async fn earlier(at: At<'_>, order: &str, key: &str) -> sqlx::Result<Option<Shipped>> {
    let sql = "SELECT id, order_id, created_at, idempotency_key FROM shipments
         WHERE order_id = $1";
    let row: Option<(String, String, String, String)> =
        on!(at, c => sqlx::query_as(sql).bind(order).fetch_optional(c).await)?;
    let Some((id, order_id, created_at, earlier)) = row else {
        return Ok(None);
    };
    let shipment = Shipment { id, order_id, created_at };
    let is_own = earlier == key;
    Ok(Some(if is_own { Shipped::Now(shipment) } else { Shipped::Already(shipment) }))
}

type Row = (String, String, String);

fn shipment((id, order_id, created_at): Row) -> Shipment {
    Shipment { id, order_id, created_at }
}
