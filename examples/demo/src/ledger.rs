//! What must hold between the three databases, whatever happened: counted by SQL.

use aplomb_inventory_service::Place;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::place::Ground;
use crate::trouble::Trouble;

/// The rows of all services, seen through one connection: `inventory`, `orders` and `warehouse` are
/// files that are attached, or schemas of one Postgres.
pub(crate) enum Ledger {
    Files(SqliteConnection),
    Server(PgConnection),
}

impl Ledger {
    /// Opens the databases that the services have made.
    pub(crate) async fn open(ground: &Ground) -> Result<Self, Trouble> {
        let opened = match ground.server() {
            Some(url) => PgConnection::connect(url).await.map(Self::Server),
            None => Self::attach(ground).await,
        };
        opened.map_err(unreadable)
    }

    async fn attach(ground: &Ground) -> sqlx::Result<Self> {
        // A database of no name is a temporary file, and what is attached to it is a file as well.
        let mut connection = SqliteConnectOptions::new().filename("").connect().await?;
        for (place, attach) in [
            (&ground.inventory, "ATTACH DATABASE ? AS inventory"),
            (&ground.orders, "ATTACH DATABASE ? AS orders"),
            (&ground.warehouse, "ATTACH DATABASE ? AS warehouse"),
        ] {
            if let Place::File(path) = place {
                let path = path.display().to_string();
                sqlx::query(attach).bind(path).execute(&mut connection).await?;
            }
        }
        sqlx::query("PRAGMA query_only = on").execute(&mut connection).await?;
        Ok(Self::Files(connection))
    }

    /// Every law, and how often it is broken.
    pub(crate) async fn counts(&mut self) -> Result<Vec<(&'static str, u64)>, Trouble> {
        let mut counts = Vec::new();
        for (law, breaches) in LAWS {
            counts.push((law, self.count(breaches).await?));
        }
        Ok(counts)
    }

    /// Every law that does not hold, with how often.
    pub(crate) async fn broken(&mut self) -> Result<Vec<String>, Trouble> {
        let broken = self.counts().await?.into_iter().filter(|(_, count)| *count > 0);
        Ok(broken.map(|(law, count)| format!("{law}: broken {count} times")).collect())
    }

    /// How many orders have not ended.
    pub(crate) async fn open_orders(&mut self) -> Result<u64, Trouble> {
        self.count("SELECT count(*) FROM orders.orders WHERE next_try_at IS NOT NULL").await
    }

    /// How many shipments are still to be made.
    pub(crate) async fn queued(&mut self) -> Result<u64, Trouble> {
        self.count("SELECT count(*) FROM orders.aplomb_outbox").await
    }

    /// How many letters somebody has to look at.
    pub(crate) async fn letters(&mut self) -> Result<u64, Trouble> {
        let dead = "SELECT count(*) FROM orders.aplomb_dead_letters
             WHERE state IN ('stored', 'redriving')";
        self.count(dead).await
    }

    /// How many orders there are, whatever became of them.
    pub(crate) async fn orders(&mut self) -> Result<u64, Trouble> {
        self.count("SELECT count(*) FROM orders.orders").await
    }

    pub(crate) async fn close(self) {
        // Nothing was written, so nothing can be lost.
        let _ = match self {
            Self::Files(connection) => connection.close().await,
            Self::Server(connection) => connection.close().await,
        };
    }

    async fn count(&mut self, sql: &'static str) -> Result<u64, Trouble> {
        let count: sqlx::Result<i64> = match self {
            Self::Files(connection) => sqlx::query_scalar(sql).fetch_one(connection).await,
            Self::Server(connection) => sqlx::query_scalar(sql).fetch_one(connection).await,
        };
        // Fewer than there should be is as wrong as more.
        Ok(count.map_err(unreadable)?.unsigned_abs())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn unreadable(error: sqlx::Error) -> Trouble {
    Trouble::new(format!("the databases cannot be read: {error}"))
}

/// What must hold once all is calm, and a query that counts where it does not.
const LAWS: [(&str, &str); 12] = [
    (
        "initial stock = available + reserved, for every sku",
        "SELECT count(*) FROM inventory.products p WHERE initial <> available + (
            SELECT coalesce(sum(quantity), 0) FROM inventory.all_reservations r
            WHERE r.sku = p.sku AND r.status = 'reserved')",
    ),
    (
        "reservations = distinct keys",
        "SELECT (SELECT count(*) FROM inventory.reservations) - (SELECT count(*) FROM
            (SELECT DISTINCT caller, idempotency_key FROM inventory.reservations) AS keys)",
    ),
    (
        "every confirmed order has exactly its reservations",
        // Each line its own one, and no reservation beside them.
        "SELECT (SELECT count(*) FROM orders.orders o
                 JOIN orders.order_lines l ON l.order_id = o.id
                 LEFT JOIN inventory.reservations r ON r.id = l.reservation_id
                    AND r.order_id = o.id AND r.line = l.line AND r.sku = l.sku
                    AND r.quantity = l.quantity AND r.status = 'reserved'
                 WHERE o.status = 'confirmed' AND r.id IS NULL AND NOT EXISTS (
                    SELECT 1 FROM orders.returns b
                    WHERE b.order_id = l.order_id AND b.line = l.line))
              + (SELECT count(*) FROM inventory.reservations r
                 JOIN orders.orders o ON o.id = r.order_id
                 LEFT JOIN orders.order_lines l
                    ON l.order_id = o.id AND l.reservation_id = r.id
                 WHERE o.status = 'confirmed' AND l.line IS NULL)",
    ),
    (
        "no order is rejected while it holds an item",
        "SELECT count(*) FROM orders.orders o
         JOIN inventory.reservations r ON r.order_id = o.id
         WHERE o.status LIKE 'rejected%' AND r.status = 'reserved'",
    ),
    (
        "no reservation without an order",
        "SELECT count(*) FROM inventory.reservations r
         WHERE r.caller = 'order-api' AND NOT EXISTS (
            SELECT 1 FROM orders.orders o WHERE o.id = r.order_id)",
    ),
    (
        "every order has ended",
        "SELECT count(*) FROM orders.orders
         WHERE status IN ('placing', 'pending_inventory_confirmation')",
    ),
    (
        "no order is shipped twice",
        "SELECT count(*) - count(DISTINCT order_id) FROM warehouse.shipments",
    ),
    (
        "only confirmed orders are shipped",
        "SELECT count(*) FROM warehouse.shipments s WHERE NOT EXISTS (
            SELECT 1 FROM orders.orders o WHERE o.id = s.order_id AND o.status = 'confirmed')",
    ),
    (
        "nothing is both dead-lettered and shipped",
        "SELECT count(*) FROM orders.fulfilments f
         JOIN orders.aplomb_dead_letters d ON d.id = f.task AND d.state <> 'delivered'
         LEFT JOIN warehouse.shipments s ON s.order_id = f.order_id
         WHERE f.shipped_at IS NOT NULL OR s.id IS NOT NULL",
    ),
    (
        "what is called shipped was shipped",
        "SELECT count(*) FROM orders.fulfilments f
         LEFT JOIN orders.aplomb_dead_letters d ON d.id = f.task AND d.state = 'delivered'
         WHERE (f.shipped_at IS NOT NULL OR d.id IS NOT NULL) AND NOT EXISTS (
            SELECT 1 FROM warehouse.shipments s WHERE s.order_id = f.order_id)",
    ),
    (
        "every confirmed order has a task, a shipment or a letter",
        "SELECT count(*) FROM orders.orders o
         LEFT JOIN orders.fulfilments f ON f.order_id = o.id
         WHERE o.status = 'confirmed' AND f.shipped_at IS NULL
            AND NOT EXISTS (SELECT 1 FROM orders.aplomb_outbox t WHERE t.id = f.task)
            AND NOT EXISTS (SELECT 1 FROM orders.aplomb_dead_letters d WHERE d.id = f.task)",
    ),
    (
        "no task for what is not to be shipped",
        "SELECT count(*) FROM orders.aplomb_outbox t
         LEFT JOIN orders.fulfilments f ON f.task = t.id
         LEFT JOIN orders.orders o ON o.id = f.order_id
         WHERE o.id IS NULL OR o.status <> 'confirmed' OR f.shipped_at IS NOT NULL
            OR EXISTS (SELECT 1 FROM orders.aplomb_dead_letters d WHERE d.id = t.id)",
    ),
];
