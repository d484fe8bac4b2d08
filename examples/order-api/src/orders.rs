//! Where orders are written down.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aplomb_idempotency_sqlx::sqlite::Pools;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, SqliteConnection, Transaction};

use crate::order::{Hold, Line, Order, OrderId, Refusal, Status};

/// The table of orders.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pools: Pools,
}

impl Orders {
    /// The table in this database, made if it is not there.
    pub(crate) async fn open(pools: Pools) -> sqlx::Result<Self> {
        sqlx::raw_sql(include_str!("schema.sql")).execute(&pools.writer).await?;
        Ok(Self { pools })
    }

    /// Writes down a new order under its key, or finds the one that has the key already. Until
    /// `hold` is over, the reconciler leaves it to whoever places it.
    pub(crate) async fn place(
        &self,
        key: &str,
        order: Order,
        now: SystemTime,
        hold: Duration,
    ) -> sqlx::Result<Order> {
        let mut tx = self.write().await?;
        let placed = sqlx::query(
            "INSERT INTO orders (id, key, customer, status, created_at, updated_at, next_try_at)
             VALUES ($1, $2, $3, 'placing', $4, $4, $5) ON CONFLICT (key) DO NOTHING",
        )
        .bind(order.id.to_string())
        .bind(key)
        .bind(&order.customer)
        .bind(millis(now))
        .bind(millis(now + hold))
        .execute(&mut *tx)
        .await?;
        if placed.rows_affected() == 0 {
            let found = resume(&mut tx, key, millis(now + hold)).await?;
            tx.commit().await?;
            return Ok(found);
        }
        for line in &order.lines {
            insert_line(&mut tx, order.id, line).await?;
        }
        tx.commit().await?;
        Ok(order)
    }

    /// The order of this name.
    pub(crate) async fn find(&self, id: OrderId) -> sqlx::Result<Option<Order>> {
        let mut connection = self.pools.reader.acquire().await?;
        read(&mut connection, id).await
    }

    /// Writes down that an order is being refused, before anything it holds is given back. Answers
    /// whether that was news: not when the order has ended meanwhile.
    pub(crate) async fn refuse(&self, order: &Order, now: SystemTime) -> sqlx::Result<bool> {
        let Some(refusal) = order.refusal else {
            return Ok(false);
        };
        let mut tx = self.write().await?;
        let refused = sqlx::query(
            "UPDATE orders SET refusal = $1, updated_at = $2
             WHERE id = $3 AND next_try_at IS NOT NULL AND (refusal IS NULL OR refusal = $1)",
        )
        .bind(refusal.as_str())
        .bind(millis(now))
        .bind(order.id.to_string())
        .execute(&mut *tx)
        .await?;
        if refused.rows_affected() == 0 {
            return Ok(false);
        }
        save_lines(&mut tx, order).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Gives an order this status inside the caller's transaction. Answers whether it could: not
    /// when someone else ended it, or decided to refuse it, since it was read.
    pub(crate) async fn settle_in(
        connection: &mut SqliteConnection,
        order: &Order,
        status: Status,
        next_try: Option<SystemTime>,
        now: SystemTime,
    ) -> sqlx::Result<bool> {
        let settled = sqlx::query(
            "UPDATE orders SET status = $1, refusal = $2, tries = $3, next_try_at = $4,
                               updated_at = $5
             WHERE id = $6 AND next_try_at IS NOT NULL AND (refusal IS NULL OR refusal IS $2)",
        )
        .bind(status.as_str())
        .bind(order.refusal.map(Refusal::as_str))
        .bind(order.tries)
        .bind(next_try.map(millis))
        .bind(millis(now))
        .bind(order.id.to_string())
        .execute(&mut *connection)
        .await?;
        if settled.rows_affected() == 0 {
            return Ok(false);
        }
        save_lines(connection, order).await?;
        Ok(true)
    }

    /// Takes up to `most` orders that are due, and holds them until `hold` is over.
    pub(crate) async fn take_due(
        &self,
        most: usize,
        now: SystemTime,
        hold: Duration,
    ) -> sqlx::Result<Vec<OrderId>> {
        // Looked at without the write lock first: most of the time nothing is due.
        let due = "SELECT 1 FROM orders WHERE next_try_at <= $1 LIMIT 1";
        let any = sqlx::query(due).bind(millis(now)).fetch_optional(&self.pools.reader);
        if any.await?.is_none() {
            return Ok(Vec::new());
        }
        let mut tx = self.write().await?;
        let rows = sqlx::query(
            "UPDATE orders SET next_try_at = $1 WHERE id IN
             (SELECT id FROM orders WHERE next_try_at <= $2 ORDER BY next_try_at LIMIT $3)
             RETURNING id",
        )
        .bind(millis(now + hold))
        .bind(millis(now))
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        rows.iter().map(|row| id_of(row, "id")).collect()
    }

    /// How many orders there are of each kind.
    pub(crate) async fn tally(&self) -> sqlx::Result<Tally> {
        let row = sqlx::query(
            "SELECT count(*) FILTER (WHERE status = 'confirmed') AS confirmed,
                    count(*) FILTER (WHERE status LIKE 'rejected%') AS rejected,
                    count(*) FILTER (WHERE next_try_at IS NOT NULL) AS open
             FROM orders",
        )
        .fetch_one(&self.pools.reader)
        .await?;
        let count = |column| row.try_get(column).map(i64::unsigned_abs);
        Ok(Tally {
            confirmed: count("confirmed")?,
            rejected: count("rejected")?,
            open: count("open")?,
        })
    }

    /// A transaction that will write: it waits for the lock now, not halfway through.
    pub(crate) async fn write(&self) -> sqlx::Result<Transaction<'static, Sqlite>> {
        self.pools.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// Lets go of the database.
    pub(crate) async fn close(&self) {
        self.pools.reader.close().await;
        self.pools.writer.close().await;
    }

    /// Says whether the database answers.
    pub(crate) async fn ping(&self) -> sqlx::Result<()> {
        sqlx::query("SELECT 1").execute(&self.pools.reader).await.map(|_| ())
    }
}

/// How many orders there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Every line is reserved.
    pub confirmed: u64,
    /// Nothing is reserved.
    pub rejected: u64,
    /// Not ended yet.
    pub open: u64,
}

async fn resume(
    connection: &mut SqliteConnection,
    key: &str,
    held_until: i64,
) -> sqlx::Result<Order> {
    sqlx::query("UPDATE orders SET next_try_at = $1 WHERE key = $2 AND next_try_at IS NOT NULL")
        .bind(held_until)
        .bind(key)
        .execute(&mut *connection)
        .await?;
    let row = sqlx::query("SELECT id FROM orders WHERE key = $1")
        .bind(key)
        .fetch_one(&mut *connection)
        .await?;
    let id = id_of(&row, "id")?;
    read(connection, id).await?.ok_or(sqlx::Error::RowNotFound)
}

async fn read(connection: &mut SqliteConnection, id: OrderId) -> sqlx::Result<Option<Order>> {
    // One statement, so that status and lines are of one moment.
    let rows = sqlx::query(
        "SELECT o.customer, o.status, o.refusal, o.tries, l.line, l.sku, l.quantity,
                l.reservation_id, l.released
         FROM orders o JOIN order_lines l ON l.order_id = o.id WHERE o.id = $1 ORDER BY l.line",
    )
    .bind(id.to_string())
    .fetch_all(connection)
    .await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let status: String = first.try_get("status")?;
    let refusal: Option<String> = first.try_get("refusal")?;
    Ok(Some(Order {
        id,
        customer: first.try_get("customer")?,
        status: Status::parse(&status).ok_or_else(|| unreadable("status"))?,
        refusal: refusal.as_deref().and_then(Refusal::parse),
        lines: rows.iter().map(line_of).collect::<Result<_, _>>()?,
        tries: first.try_get("tries")?,
    }))
}

fn line_of(row: &SqliteRow) -> sqlx::Result<Line> {
    let reservation: Option<String> = row.try_get("reservation_id")?;
    let released: bool = row.try_get("released")?;
    Ok(Line {
        number: row.try_get("line")?,
        sku: row.try_get("sku")?,
        quantity: row.try_get("quantity")?,
        hold: match reservation {
            None => Hold::None,
            Some(id) if released => Hold::Released(id),
            Some(id) => Hold::Reserved(id),
        },
    })
}

fn id_of(row: &SqliteRow, column: &'static str) -> sqlx::Result<OrderId> {
    let text: String = row.try_get(column)?;
    OrderId::parse(&text).ok_or_else(|| unreadable(column))
}

fn unreadable(column: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.into(), source: "written by another version".into() }
}

async fn insert_line(
    connection: &mut SqliteConnection,
    id: OrderId,
    line: &Line,
) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO order_lines (order_id, line, sku, quantity) VALUES ($1, $2, $3, $4)")
        .bind(id.to_string())
        .bind(line.number)
        .bind(&line.sku)
        .bind(line.quantity)
        .execute(connection)
        .await
        .map(|_| ())
}

/// What is known of a line only grows: nobody who knew less overwrites it.
async fn save_lines(connection: &mut SqliteConnection, order: &Order) -> sqlx::Result<()> {
    for line in &order.lines {
        let Some(reservation) = line.hold.reservation() else {
            continue;
        };
        sqlx::query(
            "UPDATE order_lines SET reservation_id = $1, released = max(released, $2)
             WHERE order_id = $3 AND line = $4",
        )
        .bind(reservation)
        .bind(matches!(line.hold, Hold::Released(_)))
        .bind(order.id.to_string())
        .bind(line.number)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
