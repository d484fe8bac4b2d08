//! What must hold between the two databases, whatever happened: counted by SQL.

use std::path::Path;

use aplomb_inventory_service::Place;
use aplomb_order_api::DATABASE as ORDERS;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use super::temporary;
use crate::trouble::Trouble;

/// Both databases, seen through one connection. Rows on a Postgres are copied beside the orders
/// before each count.
pub(crate) struct Ledger {
    connection: SqliteConnection,
    copied_from: Option<PgConnection>,
    /// Where the copy lies.
    _copy: Option<TempDir>,
}

impl Ledger {
    pub(crate) async fn open(data: &Path, place: &Place) -> Result<Self, Trouble> {
        let (path, copied_from, copy) = match place {
            Place::File(path) => (path.clone(), None, None),
            Place::Postgres(url) => {
                let server = PgConnection::connect(url).await.map_err(unreadable)?;
                let copy = temporary()?;
                (copy.path().join("copy.db"), Some(server), Some(copy))
            }
        };
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(copy.is_some());
        let mut connection = options.connect().await.map_err(unreadable)?;
        let orders = data.join(ORDERS);
        sqlx::query("ATTACH DATABASE ? AS orders_db")
            .bind(orders.display().to_string())
            .execute(&mut connection)
            .await
            .map_err(unreadable)?;
        if copied_from.is_some() {
            sqlx::raw_sql(COPY).execute(&mut connection).await.map_err(unreadable)?;
        } else {
            let read_only = sqlx::query("PRAGMA query_only = on").execute(&mut connection);
            read_only.await.map_err(unreadable)?;
        }
        Ok(Self { connection, copied_from, _copy: copy })
    }

    /// Every invariant that does not hold, with how often.
    pub(crate) async fn broken(&mut self) -> Result<Vec<String>, Trouble> {
        self.copy().await.map_err(unreadable)?;
        let mut broken = Vec::new();
        for (law, breaches) in LAWS {
            let count: i64 = sqlx::query_scalar(breaches)
                .fetch_one(&mut self.connection)
                .await
                .map_err(unreadable)?;
            if count != 0 {
                broken.push(format!("{law}: broken {count} times"));
            }
        }
        Ok(broken)
    }

    pub(crate) async fn close(self) {
        // Nothing was written, so nothing can be lost.
        let _ = self.connection.close().await;
        if let Some(server) = self.copied_from {
            let _ = server.close().await;
        }
    }

    /// Products and reservations of one moment.
    async fn copy(&mut self) -> sqlx::Result<()> {
        let Some(server) = &mut self.copied_from else {
            return Ok(());
        };
        let mut from = server.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
        let products: Vec<(String, i64, i64)> =
            sqlx::query_as("SELECT sku, available, initial FROM products")
                .fetch_all(&mut *from)
                .await?;
        let reservations: Vec<Copied> = sqlx::query_as(
            "SELECT id, order_id, line, sku, quantity, status, caller, idempotency_key
             FROM reservations",
        )
        .fetch_all(&mut *from)
        .await?;
        from.commit().await?;
        let mut to = self.connection.begin().await?;
        sqlx::raw_sql("DELETE FROM products; DELETE FROM reservations").execute(&mut *to).await?;
        for (sku, available, initial) in products {
            sqlx::query("INSERT INTO products VALUES (?, ?, ?)")
                .bind(sku)
                .bind(available)
                .bind(initial)
                .execute(&mut *to)
                .await?;
        }
        for (id, order, line, sku, quantity, status, caller, key) in reservations {
            sqlx::query("INSERT INTO reservations VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
                .bind(id)
                .bind(order)
                .bind(line)
                .bind(sku)
                .bind(quantity)
                .bind(status)
                .bind(caller)
                .bind(key)
                .execute(&mut *to)
                .await?;
        }
        to.commit().await
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn unreadable(error: sqlx::Error) -> Trouble {
    Trouble::new(format!("the databases cannot be read: {error}"))
}

type Copied = (String, String, i64, String, i64, String, String, String);

/// The tables that the copy goes to.
const COPY: &str = "CREATE TABLE products (sku, available, initial);
     CREATE TABLE reservations (id, order_id, line, sku, quantity, status, caller,
         idempotency_key);";

/// What must hold, and a query that counts where it does not.
const LAWS: [(&str, &str); 6] = [
    (
        "initial stock = available + reserved, for every sku",
        "SELECT count(*) FROM products p WHERE initial <> available + (
            SELECT coalesce(sum(quantity), 0) FROM reservations r
            WHERE r.sku = p.sku AND r.status = 'reserved')",
    ),
    (
        "reservations = distinct keys",
        "SELECT (SELECT count(*) FROM reservations) - (SELECT count(*) FROM
            (SELECT DISTINCT caller, idempotency_key FROM reservations))",
    ),
    (
        "every confirmed order has exactly its reservations",
        // Each line its own one, and no reservation beside them.
        "SELECT (SELECT count(*) FROM orders_db.orders o
                 JOIN orders_db.order_lines l ON l.order_id = o.id
                 LEFT JOIN reservations r ON r.id = l.reservation_id AND r.order_id = o.id
                    AND r.line = l.line AND r.sku = l.sku AND r.quantity = l.quantity
                    AND r.status = 'reserved'
                 WHERE o.status = 'confirmed' AND r.id IS NULL)
              + (SELECT count(*) FROM reservations r
                 JOIN orders_db.orders o ON o.id = r.order_id
                 LEFT JOIN orders_db.order_lines l
                    ON l.order_id = o.id AND l.reservation_id = r.id
                 WHERE o.status = 'confirmed' AND l.line IS NULL)",
    ),
    (
        "no order is rejected while it holds an item",
        "SELECT count(*) FROM orders_db.orders o JOIN reservations r ON r.order_id = o.id
         WHERE o.status LIKE 'rejected%' AND r.status = 'reserved'",
    ),
    (
        "no reservation without an order",
        "SELECT count(*) FROM reservations r WHERE r.caller = 'order-api' AND NOT EXISTS (
            SELECT 1 FROM orders_db.orders o WHERE o.id = r.order_id)",
    ),
    (
        "every order has ended",
        "SELECT count(*) FROM orders_db.orders
         WHERE status IN ('placing', 'pending_inventory_confirmation')",
    ),
];
