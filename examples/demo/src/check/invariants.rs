//! What must hold between the two databases, whatever happened: counted by SQL.

use std::path::Path;

use aplomb_order_api::DATABASE as ORDERS;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::trouble::Trouble;

/// Both databases, seen through one connection that only reads.
pub(crate) struct Ledger {
    connection: SqliteConnection,
}

impl Ledger {
    pub(crate) async fn open(data: &Path) -> Result<Self, Trouble> {
        let path = data.join(INVENTORY);
        let options = SqliteConnectOptions::new().filename(&path);
        let mut connection = options.connect().await.map_err(unreadable)?;
        let orders = data.join(ORDERS);
        sqlx::query("ATTACH DATABASE ? AS orders_db")
            .bind(orders.display().to_string())
            .execute(&mut connection)
            .await
            .map_err(unreadable)?;
        sqlx::query("PRAGMA query_only = on").execute(&mut connection).await.map_err(unreadable)?;
        Ok(Self { connection })
    }

    /// Every invariant that does not hold, with how often.
    pub(crate) async fn broken(&mut self) -> Result<Vec<String>, Trouble> {
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
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn unreadable(error: sqlx::Error) -> Trouble {
    Trouble::new(format!("the databases cannot be read: {error}"))
}

/// Inventory's file in the data directory.
const INVENTORY: &str = "inventory.db";

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
