use std::time::Duration;

use aplomb_dead_letter::machine::Step;
use aplomb_dead_letter::{
    AuditEntry, Letter, LetterId, Listing, Record, Sink, SinkError, StepError, Stored,
};
use sqlx::{Database, Pool};

use crate::backend::{Backend, write};
use crate::error::{MigrateError, in_doubt, undone};
use crate::rows::Rows;
use crate::steps;

/// Letters in a database: beside the caller's own rows, and as durable as those.
///
/// Every change is a transaction of its own, under the database's clock. To store a letter in a
/// transaction of the caller's, there are [`bury_in`] and the [`Outbox`](crate::Outbox).
#[derive(Debug)]
pub struct SqlSink<D: Database> {
    pool: Pool<D>,
}

impl<D: Backend> SqlSink<D> {
    /// Letters in the database of `pool`. For SQLite, see [`sqlite::connect`](crate::sqlite::connect)
    /// for a good one.
    pub fn new(pool: Pool<D>) -> Self {
        Self { pool }
    }

    /// Makes the tables, or brings them up to date: those of the outbox too. Several processes may do
    /// so at once.
    ///
    /// # Errors
    ///
    /// [`MigrateError`] when the database cannot be changed, was changed by a later version, or
    /// would lose commits in a power cut.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        D::migrate(&self.pool).await
    }
}

impl<D: Backend> Sink for SqlSink<D> {
    async fn store(&self, letter: &Letter) -> Result<Stored, SinkError> {
        let mut tx = write(&self.pool).await.map_err(undone)?;
        let stored = steps::store(&mut *tx, letter).await.map_err(undone)?;
        tx.commit().await.map_err(in_doubt)?;
        Ok(stored)
    }

    async fn step(&self, id: LetterId, step: &Step) -> Result<Record, StepError> {
        let mut tx = write(&self.pool).await.map_err(undone)?;
        let record = steps::step(&mut *tx, id, step).await.map_err(undone)??;
        tx.commit().await.map_err(in_doubt)?;
        Ok(record)
    }

    async fn get(&self, id: LetterId) -> Result<Option<Record>, SinkError> {
        let mut connection = self.pool.acquire().await.map_err(undone)?;
        connection.get(id).await.map_err(undone)
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>, SinkError> {
        let mut connection = self.pool.acquire().await.map_err(undone)?;
        connection.list(listing).await.map_err(undone)
    }

    async fn audit(&self, of: Option<LetterId>, most: usize) -> Result<Vec<AuditEntry>, SinkError> {
        let mut connection = self.pool.acquire().await.map_err(undone)?;
        connection.audit(of, most).await.map_err(undone)
    }

    async fn sweep(&self, keep: Duration, most: usize) -> Result<usize, SinkError> {
        let mut tx = write(&self.pool).await.map_err(undone)?;
        let swept = tx.sweep(keep, most).await.map_err(undone)?;
        tx.commit().await.map_err(in_doubt)?;
        Ok(swept)
    }
}

impl<D: Database> Clone for SqlSink<D> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone() }
    }
}

/// Stores a letter in a transaction that the caller then commits, with whatever else it changes:
/// both, or neither. Call it with `&mut *transaction`.
///
/// ```
/// use aplomb_dead_letter::{Letter, SinkError};
/// use aplomb_dead_letter_sqlx::bury_in;
///
/// /// Removes a job of one's own queue, and keeps its letter, or neither.
/// async fn hand_over(pool: &sqlx::SqlitePool, job: i64, letter: &Letter) -> Result<(), SinkError> {
///     let mut transaction = pool.begin().await.map_err(SinkError::unavailable)?;
///     sqlx::query("DELETE FROM jobs WHERE id = ?")
///         .bind(job)
///         .execute(&mut *transaction)
///         .await
///         .map_err(SinkError::unavailable)?;
///     bury_in(&mut *transaction, letter).await?;
///     transaction.commit().await.map_err(SinkError::uncertain)
/// }
/// # let _ = hand_over;
/// ```
///
/// # Errors
///
/// When the database fails: roll back, which dropping the transaction does, and keep the request.
///
/// # Cancellation
///
/// A dropped future leaves the transaction to its owner, whose drop rolls it back.
pub async fn bury_in<C: Rows>(transaction: &mut C, letter: &Letter) -> Result<Stored, SinkError> {
    steps::store(transaction, letter).await.map_err(undone)
}
