//! Where orders are written down.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aplomb_inventory_service::database::{At, Database, Tx, on};

use crate::fulfilment::{Fulfilled, fulfilled};
use crate::order::{Hold, Line, Order, OrderId, Refusal, Status};

/// The table of orders.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    database: Database,
}

impl Orders {
    /// The table in this database.
    pub(crate) const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Where it is.
    pub(crate) fn database(&self) -> Database {
        self.database.clone()
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
        let sql = "INSERT INTO orders
               (id, key, customer, status, created_at, updated_at, next_try_at)
             VALUES ($1, $2, $3, 'placing', $4, $4, $5) ON CONFLICT (key) DO NOTHING";
        let (id, customer) = (order.id.to_string(), &order.customer);
        let (now, held_until) = (millis(now), millis(now + hold));
        let placed = on!(tx.at(), c => {
            let insert = sqlx::query(sql).bind(id).bind(key).bind(customer);
            insert.bind(now).bind(held_until).execute(c).await.map(|done| done.rows_affected())
        })?;
        if placed == 0 {
            let found = resume(tx.at(), key, held_until).await?;
            tx.commit().await?;
            return Ok(found);
        }
        for line in &order.lines {
            insert_line(tx.at(), order.id, line).await?;
        }
        tx.commit().await?;
        Ok(order)
    }

    /// The order of this name.
    pub(crate) async fn find(&self, id: OrderId) -> sqlx::Result<Option<Order>> {
        let mut reader = self.database.reader().await?;
        read(reader.at(), id).await
    }

    /// Writes down that an order is being refused, before anything it holds is given back. Answers
    /// whether that was news: not when the order has ended meanwhile.
    pub(crate) async fn refuse(&self, order: &Order, now: SystemTime) -> sqlx::Result<bool> {
        let Some(refusal) = order.refusal else {
            return Ok(false);
        };
        let mut tx = self.write().await?;
        let sql = "UPDATE orders SET refusal = $1, updated_at = $2
             WHERE id = $3 AND next_try_at IS NOT NULL AND (refusal IS NULL OR refusal = $1)";
        let (word, now, id) = (refusal.as_str(), millis(now), order.id.to_string());
        let refused = on!(tx.at(), c => {
            let update = sqlx::query(sql).bind(word).bind(now).bind(id);
            update.execute(c).await.map(|done| done.rows_affected())
        })?;
        if refused == 0 {
            return Ok(false);
        }
        save_lines(tx.at(), order).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Gives an order this status inside the caller's transaction. Answers whether it could: not
    /// when someone else ended it, or decided to refuse it, since it was read.
    pub(crate) async fn settle_in(
        mut at: At<'_>,
        order: &Order,
        status: Status,
        next_try: Option<SystemTime>,
        now: SystemTime,
    ) -> sqlx::Result<bool> {
        let sql = "UPDATE orders SET status = $1, refusal = $2, tries = $3, next_try_at = $4,
                               updated_at = $5
             WHERE id = $6 AND next_try_at IS NOT NULL
               AND (refusal IS NULL OR refusal IS NOT DISTINCT FROM $2)";
        let (refusal, id) = (order.refusal.map(Refusal::as_str), order.id.to_string());
        let (tries, next_try, now) = (i64::from(order.tries), next_try.map(millis), millis(now));
        let settled = on!(at.here(), c => {
            let update = sqlx::query(sql).bind(status.as_str()).bind(refusal).bind(tries);
            let update = update.bind(next_try).bind(now).bind(id).execute(c).await;
            update.map(|done| done.rows_affected())
        })?;
        if settled == 0 {
            return Ok(false);
        }
        save_lines(at, order).await?;
        Ok(true)
    }

    /// Takes up to `most` orders that are due, and holds them until `hold` is over.
    pub(crate) async fn take_due(
        &self,
        most: usize,
        now: SystemTime,
        hold: Duration,
    ) -> sqlx::Result<Vec<OrderId>> {
        let (now, held_until) = (millis(now), millis(now + hold));
        // Looked at without the write lock first: most of the time nothing is due.
        let mut reader = self.database.reader().await?;
        let sql = "SELECT id FROM orders WHERE next_try_at <= $1 LIMIT 1";
        let any: Option<(String,)> =
            on!(reader.at(), c => sqlx::query_as(sql).bind(now).fetch_optional(c).await)?;
        drop(reader);
        if any.is_none() {
            return Ok(Vec::new());
        }
        let mut tx = self.write().await?;
        // Of several processes each takes what no other is taking.
        let sql = tx.at().pick(
            "UPDATE orders SET next_try_at = $1 WHERE id IN
             (SELECT id FROM orders WHERE next_try_at <= $2 ORDER BY next_try_at LIMIT $3)
             RETURNING id",
            "UPDATE orders SET next_try_at = $1 WHERE id IN
             (SELECT id FROM orders WHERE next_try_at <= $2 ORDER BY next_try_at LIMIT $3
              FOR UPDATE SKIP LOCKED)
             RETURNING id",
        );
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let taken: Vec<(String,)> = on!(tx.at(), c => {
            sqlx::query_as(sql).bind(held_until).bind(now).bind(most).fetch_all(c).await
        })?;
        tx.commit().await?;
        taken.iter().map(|(id,)| id_of(id)).collect()
    }

    /// How many orders there are of each kind.
    pub(crate) async fn tally(&self) -> sqlx::Result<Tally> {
        let sql = "SELECT count(*) FILTER (WHERE status = 'confirmed'),
                    count(*) FILTER (WHERE status LIKE 'rejected%'),
                    count(*) FILTER (WHERE next_try_at IS NOT NULL)
             FROM orders";
        let mut reader = self.database.reader().await?;
        let (confirmed, rejected, open): (i64, i64, i64) =
            on!(reader.at(), c => sqlx::query_as(sql).fetch_one(c).await)?;
        Ok(Tally {
            confirmed: confirmed.unsigned_abs(),
            rejected: rejected.unsigned_abs(),
            open: open.unsigned_abs(),
        })
    }

    /// A transaction that will write.
    pub(crate) async fn write(&self) -> sqlx::Result<Tx> {
        self.database.begin().await
    }

    /// Lets go of the database.
    pub(crate) async fn close(&self) {
        self.database.close().await;
    }

    /// Says whether the database answers.
    pub(crate) async fn ping(&self) -> sqlx::Result<()> {
        let mut reader = self.database.reader().await?;
        on!(reader.at(), c => sqlx::query("SELECT 1").execute(c).await.map(drop))
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

async fn resume(mut at: At<'_>, key: &str, held_until: i64) -> sqlx::Result<Order> {
    let sql = "UPDATE orders SET next_try_at = $1 WHERE key = $2 AND next_try_at IS NOT NULL";
    on!(at.here(), c => sqlx::query(sql).bind(held_until).bind(key).execute(c).await.map(drop))?;
    let sql = "SELECT id FROM orders WHERE key = $1";
    let (id,): (String,) = on!(at.here(), c => sqlx::query_as(sql).bind(key).fetch_one(c).await)?;
    read(at, id_of(&id)?).await?.ok_or(sqlx::Error::RowNotFound)
}

async fn read(at: At<'_>, id: OrderId) -> sqlx::Result<Option<Order>> {
    // One statement, so that status and lines are of one moment.
    let sql = concat!(
        "SELECT ",
        fulfilled!(),
        ", o.customer, o.status, o.refusal, o.tries, l.line, l.sku, l.quantity,
                l.reservation_id, l.released
         FROM orders o JOIN order_lines l ON l.order_id = o.id
         LEFT JOIN fulfilments f ON f.order_id = o.id
         LEFT JOIN aplomb_dead_letters d ON d.id = f.task
         WHERE o.id = $1 ORDER BY l.line"
    );
    let name = id.to_string();
    let rows: Vec<OrderRow> = on!(at, c => sqlx::query_as(sql).bind(name).fetch_all(c).await)?;
    let Some((fulfilled, customer, status, refusal, tries, ..)) = rows.first() else {
        return Ok(None);
    };
    Ok(Some(Order {
        id,
        customer: customer.clone(),
        status: Status::parse(status).ok_or_else(|| unreadable("status"))?,
        refusal: refusal.as_deref().and_then(Refusal::parse),
        tries: small(*tries, "tries")?,
        fulfilled: Fulfilled::parse(fulfilled).ok_or_else(|| unreadable("fulfilment"))?,
        lines: rows.into_iter().map(line_of).collect::<Result<_, _>>()?,
    }))
}

/// An order's own columns, then those of one of its lines.
type OrderRow =
    (String, String, String, Option<String>, i64, i64, String, i64, Option<String>, i64);

fn line_of(row: OrderRow) -> sqlx::Result<Line> {
    let (.., line, sku, quantity, reservation, released) = row;
    Ok(Line {
        number: small(line, "line")?,
        sku,
        quantity: small(quantity, "quantity")?,
        hold: match reservation {
            None => Hold::None,
            Some(id) if released == 1 => Hold::Released(id),
            Some(id) => Hold::Reserved(id),
        },
    })
}

pub(crate) fn id_of(text: &str) -> sqlx::Result<OrderId> {
    OrderId::parse(text).ok_or_else(|| unreadable("id"))
}

pub(crate) fn small(number: i64, column: &str) -> sqlx::Result<u32> {
    u32::try_from(number).map_err(|_| unreadable(column))
}

fn unreadable(column: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.into(), source: "written by another version".into() }
}

async fn insert_line(at: At<'_>, id: OrderId, line: &Line) -> sqlx::Result<()> {
    let sql = "INSERT INTO order_lines (order_id, line, sku, quantity) VALUES ($1, $2, $3, $4)";
    let (id, number, quantity) = (id.to_string(), i64::from(line.number), i64::from(line.quantity));
    on!(at, c => {
        let insert = sqlx::query(sql).bind(id).bind(number).bind(&line.sku).bind(quantity);
        insert.execute(c).await.map(drop)
    })
}

/// What is known of a line only grows: nobody who knew less overwrites it.
async fn save_lines(mut at: At<'_>, order: &Order) -> sqlx::Result<()> {
    let sql = "UPDATE order_lines SET reservation_id = $1,
               released = CASE WHEN released = 1 THEN 1 ELSE $2 END
             WHERE order_id = $3 AND line = $4";
    for line in &order.lines {
        let Some(reservation) = line.hold.reservation() else {
            continue;
        };
        let released = i64::from(matches!(line.hold, Hold::Released(_)));
        let (id, number) = (order.id.to_string(), i64::from(line.number));
        on!(at.here(), c => {
            let update = sqlx::query(sql).bind(reservation).bind(released).bind(id).bind(number);
            update.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

pub(crate) fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
