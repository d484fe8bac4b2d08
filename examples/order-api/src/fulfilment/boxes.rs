//! The outbox, on whichever database it is.

use std::time::Duration;

use aplomb_core::BoxError;
use aplomb_dead_letter_sqlx::{MigrateError, Outbox, OutboxError, Outgoing, Settled, Task};
use aplomb_inventory_service::StartError;
use aplomb_inventory_service::database::{At, Database};
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use sqlx::{Postgres, Sqlite};

/// The outbox of shipments, in the database of the orders.
#[derive(Clone, Debug)]
pub(crate) enum Boxes {
    Sqlite(Outbox<Sqlite>),
    Postgres(Outbox<Postgres>),
}

/// Runs `$work` on the outbox and on a connection of its database.
macro_rules! inside {
    ($boxes:expr, $at:expr, ($outbox:ident, $connection:ident) => $work:expr) => {
        match ($boxes, $at) {
            (Boxes::Sqlite($outbox), At::Sqlite($connection)) => $work.await,
            (Boxes::Postgres($outbox), At::Postgres($connection)) => $work.await,
            _ => unreachable!("an outbox is used in transactions of its own database"),
        }
    };
}

impl Boxes {
    /// Makes the tables of tasks and letters.
    pub(crate) async fn open(database: &Database) -> Result<Self, StartError> {
        let opened = match database {
            Database::Sqlite(pools) => {
                let outbox = Outbox::new(pools.writer.clone());
                outbox.migrate().await.map(|()| Self::Sqlite(outbox))
            }
            Database::Postgres(pool) => {
                let outbox = Outbox::new(pool.clone());
                outbox.migrate().await.map(|()| Self::Postgres(outbox))
            }
        };
        opened.map_err(|error: MigrateError| {
            let mend = "look at the database's log and the rights of its user";
            StartError::setting("the outbox is not ready", mend, error)
        })
    }

    /// Writes a task in the caller's transaction.
    pub(crate) async fn enqueue_in(&self, at: At<'_>, job: &Outgoing) -> sqlx::Result<()> {
        let queued = inside!(self, at, (outbox, c) => outbox.enqueue_in(c, job));
        queued.map(drop).map_err(failed)
    }

    /// Takes up to `most` tasks that are due.
    pub(crate) async fn claim(
        &self,
        worker: &str,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<Task>, OutboxError> {
        match self {
            Self::Sqlite(outbox) => outbox.claim(worker, most, lease).await,
            Self::Postgres(outbox) => outbox.claim(worker, most, lease).await,
        }
    }

    /// Does what the answer asks for, in the caller's transaction.
    pub(crate) async fn settle_in(
        &self,
        at: At<'_>,
        task: &Task,
        answer: &Result<Response<Full<Bytes>>, BoxError>,
    ) -> sqlx::Result<Settled> {
        let settled = inside!(self, at, (outbox, c) => outbox.settle_in(c, task, answer));
        settled.map_err(failed)
    }
}

/// As a failure of the database, which it is.
fn failed(error: OutboxError) -> sqlx::Error {
    sqlx::Error::AnyDriverError(error.into())
}
