use std::time::{Duration, SystemTime};

use aplomb_inventory_service::database::{At, Database, Tx, on};

use super::Return;
use crate::order::{Hold, Line, OrderId, Status};
use crate::orders::{id_of, millis, small};

/// The table of returns.
#[derive(Clone, Debug)]
pub(crate) struct Returns {
    database: Database,
}

/// What came of an attempt to write a return down.
#[derive(Debug, PartialEq)]
pub(super) enum Written {
    /// It stands there, now or since an earlier attempt under the same key.
    Down(Return),
    UnknownOrder,
    UnknownLine,
    /// The order holds nothing for sure.
    NotConfirmed(Status),
    /// Another key returns this line.
    ByAnother,
    /// This key returns another line.
    KeyReused,
}

impl Returns {
    /// The table in this database.
    pub(crate) const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Writes a return down under its key, or finds it. Until `hold` is over, the reconciler leaves
    /// it to whoever asked for it.
    pub(super) async fn write_down(
        &self,
        key: &str,
        order: OrderId,
        line: u32,
        now: SystemTime,
        hold: Duration,
    ) -> sqlx::Result<Written> {
        let mut tx = self.write().await?;
        if let Some(found) = by_key(tx.at(), key, now + hold).await? {
            tx.commit().await?;
            let is_this = found.order == order && found.line.number == line;
            return Ok(if is_this { Written::Down(found) } else { Written::KeyReused });
        }
        let line = match confirmed(tx.at(), order, line).await? {
            Ok(line) => line,
            Err(refused) => return Ok(refused),
        };
        let sql = "INSERT INTO returns (order_id, line, key, created_at, next_try_at)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        let (id, number) = (order.to_string(), i64::from(line.number));
        let (now, held_until) = (millis(now), millis(now + hold));
        let written = on!(tx.at(), c => {
            let insert = sqlx::query(sql).bind(id).bind(number).bind(key).bind(now);
            insert.bind(held_until).execute(c).await.map(|done| done.rows_affected())
        })?;
        if written == 0 {
            return Ok(Written::ByAnother);
        }
        tx.commit().await?;
        Ok(Written::Down(Return { order, line, tries: 0, is_done: false }))
    }

    /// Notes inside the caller's transaction that Inventory has it back.
    pub(crate) async fn settle_in(
        at: At<'_>,
        returned: &Return,
        now: SystemTime,
    ) -> sqlx::Result<()> {
        let sql = "UPDATE returns SET returned_at = $1, next_try_at = NULL
             WHERE order_id = $2 AND line = $3 AND next_try_at IS NOT NULL";
        let (id, number) = (returned.order.to_string(), i64::from(returned.line.number));
        on!(at, c => {
            let update = sqlx::query(sql).bind(millis(now)).bind(id).bind(number);
            update.execute(c).await.map(drop)
        })
    }

    /// Leaves it to the reconciler, not before `next_try`. Not when it is done meanwhile.
    pub(crate) async fn postpone(
        &self,
        returned: &Return,
        next_try: SystemTime,
    ) -> sqlx::Result<()> {
        let sql = "UPDATE returns SET next_try_at = $1, tries = $2
             WHERE order_id = $3 AND line = $4 AND next_try_at IS NOT NULL";
        let (id, number) = (returned.order.to_string(), i64::from(returned.line.number));
        let (next_try, tries) = (millis(next_try), i64::from(returned.tries.saturating_add(1)));
        let mut writer = self.database.writer().await?;
        on!(writer.at(), c => {
            let update = sqlx::query(sql).bind(next_try).bind(tries).bind(id).bind(number);
            update.execute(c).await.map(drop)
        })
    }

    /// Takes up to `most` returns that are due, and holds them until `hold` is over.
    pub(crate) async fn take_due(
        &self,
        most: usize,
        now: SystemTime,
        hold: Duration,
    ) -> sqlx::Result<Vec<Return>> {
        let (now, held_until) = (millis(now), millis(now + hold));
        // Looked at without the write lock first: most of the time nothing is due.
        let mut reader = self.database.reader().await?;
        let sql = "SELECT line FROM returns WHERE next_try_at <= $1 LIMIT 1";
        let any: Option<(i64,)> =
            on!(reader.at(), c => sqlx::query_as(sql).bind(now).fetch_optional(c).await)?;
        drop(reader);
        if any.is_none() {
            return Ok(Vec::new());
        }
        let mut tx = self.write().await?;
        // Of several processes each takes what no other is taking.
        let sql = tx.at().pick(
            "UPDATE returns SET next_try_at = $1 WHERE (order_id, line) IN
             (SELECT order_id, line FROM returns WHERE next_try_at <= $2
              ORDER BY next_try_at LIMIT $3)
             RETURNING key",
            "UPDATE returns SET next_try_at = $1 WHERE (order_id, line) IN
             (SELECT order_id, line FROM returns WHERE next_try_at <= $2
              ORDER BY next_try_at LIMIT $3 FOR UPDATE SKIP LOCKED)
             RETURNING key",
        );
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let keys: Vec<(String,)> = on!(tx.at(), c => {
            sqlx::query_as(sql).bind(held_until).bind(now).bind(most).fetch_all(c).await
        })?;
        let mut taken = Vec::with_capacity(keys.len());
        for (key,) in keys {
            taken.extend(find(tx.at(), &key).await?);
        }
        tx.commit().await?;
        Ok(taken)
    }

    /// A transaction that will write.
    pub(crate) async fn write(&self) -> sqlx::Result<Tx> {
        self.database.begin().await
    }
}

/// The return of this key, which whoever asks again has to itself for a while.
async fn by_key(mut at: At<'_>, key: &str, held_until: SystemTime) -> sqlx::Result<Option<Return>> {
    let sql = "UPDATE returns SET next_try_at = $1 WHERE key = $2 AND next_try_at IS NOT NULL";
    let held_until = millis(held_until);
    on!(at.here(), c => sqlx::query(sql).bind(held_until).bind(key).execute(c).await.map(drop))?;
    find(at, key).await
}

async fn find(at: At<'_>, key: &str) -> sqlx::Result<Option<Return>> {
    let sql =
        "SELECT r.order_id, r.line, l.sku, l.quantity, l.reservation_id, r.tries, r.returned_at
         FROM returns r JOIN order_lines l ON l.order_id = r.order_id AND l.line = r.line
         WHERE r.key = $1";
    let row: Option<ReturnRow> =
        on!(at, c => sqlx::query_as(sql).bind(key).fetch_optional(c).await)?;
    let Some((order, line, sku, quantity, reservation, tries, returned_at)) = row else {
        return Ok(None);
    };
    Ok(Some(Return {
        order: id_of(&order)?,
        line: line_of(line, sku, quantity, reservation)?,
        tries: small(tries, "tries")?,
        is_done: returned_at.is_some(),
    }))
}

type ReturnRow = (String, i64, String, i64, String, i64, Option<i64>);

/// The line to be returned, if there is anything to return.
async fn confirmed(at: At<'_>, order: OrderId, line: u32) -> sqlx::Result<Result<Line, Written>> {
    // A confirmed order never changes again, so what is read here stays true.
    let sql = "SELECT o.status, l.sku, l.quantity, l.reservation_id
         FROM orders o LEFT JOIN order_lines l ON l.order_id = o.id AND l.line = $2
         WHERE o.id = $1";
    let (id, number) = (order.to_string(), i64::from(line));
    let row: Option<OrderRow> =
        on!(at, c => sqlx::query_as(sql).bind(id).bind(number).fetch_optional(c).await)?;
    Ok(match row {
        None => Err(Written::UnknownOrder),
        Some((_, None, ..) | (_, _, None, _)) => Err(Written::UnknownLine),
        Some((status, Some(sku), Some(quantity), reservation)) => {
            match (Status::parse(&status), reservation) {
                (Some(Status::Confirmed), Some(id)) => Ok(line_of(number, sku, quantity, id)?),
                (status, _) => Err(Written::NotConfirmed(status.unwrap_or(Status::Placing))),
            }
        }
    })
}

type OrderRow = (String, Option<String>, Option<i64>, Option<String>);

fn line_of(number: i64, sku: String, quantity: i64, reservation: String) -> sqlx::Result<Line> {
    Ok(Line {
        number: small(number, "line")?,
        sku,
        quantity: small(quantity, "quantity")?,
        hold: Hold::Reserved(reservation),
    })
}
