//! How an order is fulfilled, as its rows say.

use std::time::{SystemTime, UNIX_EPOCH};

use aplomb_dead_letter::LetterId;
use aplomb_inventory_service::database::{At, on};
use serde::Serialize;

use crate::order::OrderId;

/// How far an order's shipment has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fulfilled {
    /// Nobody was asked: the order is not confirmed.
    #[default]
    None,
    /// The Warehouse is being asked.
    Queued,
    /// It is on its way.
    Shipped,
    /// Somebody has to look at it.
    DeadLettered,
}

impl Fulfilled {
    /// Reads the column of [`fulfilled!`].
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "none" => Self::None,
            "queued" => Self::Queued,
            "shipped" => Self::Shipped,
            "dead_lettered" => Self::DeadLettered,
            _ => return None,
        })
    }
}

/// The state as a column, of a fulfilment `f` and its letter `d`. A letter that arrived is a
/// shipment.
macro_rules! fulfilled {
    () => {
        "CASE WHEN f.order_id IS NULL THEN 'none'
              WHEN f.shipped_at IS NOT NULL OR d.state = 'delivered' THEN 'shipped'
              WHEN d.id IS NOT NULL THEN 'dead_lettered'
              ELSE 'queued' END"
    };
}

pub(crate) use fulfilled;

const TALLY: &str = concat!(
    "SELECT count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'shipped'),
            count(*) FILTER (WHERE state = 'dead_lettered'),
            count(*) FILTER (WHERE shipped_at IS NOT NULL AND is_dead),
            count(*) FILTER (WHERE status = 'confirmed' AND NOT has_anything),
            count(*) FILTER (WHERE has_task AND (status <> 'confirmed' OR state <> 'queued'))
     FROM (SELECT o.status, f.shipped_at, ",
    fulfilled!(),
    " AS state,
              d.id IS NOT NULL AND d.state <> 'delivered' AS is_dead,
              f.shipped_at IS NOT NULL OR d.id IS NOT NULL OR t.id IS NOT NULL AS has_anything,
              t.id IS NOT NULL AS has_task
           FROM orders o LEFT JOIN fulfilments f ON f.order_id = o.id
           LEFT JOIN aplomb_dead_letters d ON d.id = f.task
           LEFT JOIN aplomb_outbox t ON t.id = f.task) AS orders"
);

/// How many orders there are, by how they are fulfilled, counted by SQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FulfilmentTally {
    /// Their task is in the outbox.
    pub queued: u64,
    /// On their way.
    pub shipped: u64,
    /// Somebody has to look at them.
    pub dead_lettered: u64,
    /// Both shipped and dead-lettered: always none.
    pub both: u64,
    /// Confirmed, and neither queued nor shipped nor dead-lettered: always none.
    pub lost: u64,
    /// Queued although not confirmed, or although shipped or dead-lettered: always none.
    pub invented: u64,
}

pub(crate) async fn tally(at: At<'_>) -> sqlx::Result<FulfilmentTally> {
    let row: (i64, i64, i64, i64, i64, i64) =
        on!(at, c => sqlx::query_as(TALLY).fetch_one(c).await)?;
    let (queued, shipped, dead_lettered, both, lost, invented) = row;
    Ok(FulfilmentTally {
        queued: queued.unsigned_abs(),
        shipped: shipped.unsigned_abs(),
        dead_lettered: dead_lettered.unsigned_abs(),
        both: both.unsigned_abs(),
        lost: lost.unsigned_abs(),
        invented: invented.unsigned_abs(),
    })
}

/// Writes down that an order's shipment is asked for.
pub(crate) async fn queue_in(
    at: At<'_>,
    order: OrderId,
    task: LetterId,
    now: SystemTime,
) -> sqlx::Result<()> {
    let sql = "INSERT INTO fulfilments (order_id, task, queued_at) VALUES ($1, $2, $3)";
    let (order, task, now) = (order.to_string(), task.to_string(), millis(now));
    on!(at, c => {
        sqlx::query(sql).bind(order).bind(task).bind(now).execute(c).await.map(drop)
    })
}

/// Writes down that the order of this task is on its way.
pub(crate) async fn shipped_in(at: At<'_>, task: LetterId, now: SystemTime) -> sqlx::Result<()> {
    let sql = "UPDATE fulfilments SET shipped_at = $1 WHERE task = $2 AND shipped_at IS NULL";
    let (now, task) = (millis(now), task.to_string());
    on!(at, c => sqlx::query(sql).bind(now).bind(task).execute(c).await.map(drop))
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
