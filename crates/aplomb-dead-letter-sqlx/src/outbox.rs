use std::time::Duration;

use aplomb_core::BoxError;
use aplomb_dead_letter::{Fate, Letter, LetterId, Reschedule};
use http::Response;
use sqlx::{Database, Pool};

use crate::backend::{Backend, write};
use crate::error::{MigrateError, OutboxError};
use crate::outgoing::Outgoing;
use crate::rows::Rows;
use crate::steps;
use crate::task::{Depth, Task};

/// A queue of requests in the caller's own database, see the [crate's documentation](crate).
///
/// A job is written in the transaction of the change that asks for it, so none is lost and none is
/// invented. It is taken under a lease and a number: when the lease has ended, another worker takes
/// it under a greater one, and a worker that wakes late changes nothing. It is removed in the
/// transaction that stores its letter, so none is both.
///
/// # Cancellation
///
/// A dropped future has changed all of what it was asked or nothing. Every method may be called again
/// as it was.
#[derive(Debug)]
pub struct Outbox<D: Database> {
    pool: Pool<D>,
}

impl<D: Backend> Outbox<D> {
    /// The outbox in the database of `pool`. For SQLite, see
    /// [`sqlite::connect`](crate::sqlite::connect) for a good one.
    pub fn new(pool: Pool<D>) -> Self {
        Self { pool }
    }

    /// Makes the tables, or brings them up to date: those of the letters too. Several processes may
    /// do so at once.
    ///
    /// # Errors
    ///
    /// [`MigrateError`] when the database cannot be changed, was changed by a later version, or
    /// would lose commits in a power cut.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        D::migrate(&self.pool).await
    }

    /// Writes a job in a transaction that the caller then commits. Answers `false` when the same
    /// work is in the outbox already, and leaves that as it is.
    ///
    /// # Errors
    ///
    /// When the database fails: roll back.
    pub async fn enqueue_in(
        &self,
        transaction: &mut D::Connection,
        job: &Outgoing,
    ) -> Result<bool, OutboxError> {
        transaction.enqueue(job).await.map_err(OutboxError::undone)
    }

    /// Takes up to `most` jobs that are due, for `lease` each, the longest due first. Workers of
    /// several processes never take the same one, and on Postgres never wait for each other.
    ///
    /// The lease must outlast the worker's send: then each job is worked on by one worker at a time.
    ///
    /// # Errors
    ///
    /// When the database fails. Jobs that were taken nevertheless are due again when the lease ends.
    pub async fn claim(
        &self,
        worker: &str,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<Task>, OutboxError> {
        // Looked at without a lock first: most of the time nothing is due.
        let mut connection = self.pool.acquire().await.map_err(OutboxError::undone)?;
        let any_due = connection.any_due().await.map_err(OutboxError::undone)?;
        drop(connection);
        if !any_due || most == 0 {
            return Ok(Vec::new());
        }
        let mut tx = write(&self.pool).await.map_err(OutboxError::undone)?;
        let taken = tx.claim(worker, most.min(CLAIM_MAX), lease).await;
        let taken = taken.map_err(OutboxError::undone)?;
        tx.commit().await.map_err(OutboxError::in_doubt)?;
        Ok(taken.into_iter().map(Task::new).collect())
    }

    /// Holds a job for `lease` from now.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn renew(&self, task: &Task, lease: Duration) -> Result<Settled, OutboxError> {
        let mut tx = write(&self.pool).await.map_err(OutboxError::undone)?;
        let held = tx.renew(task.held(), lease).await.map_err(OutboxError::undone)?;
        tx.commit().await.map_err(OutboxError::in_doubt)?;
        Ok(if held { Settled::Done } else { Settled::Lost })
    }

    /// Puts a job back, to wait for as long as it says.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn reschedule(
        &self,
        task: &Task,
        later: &Reschedule,
    ) -> Result<Settled, OutboxError> {
        let mut tx = write(&self.pool).await.map_err(OutboxError::undone)?;
        let settled = self.reschedule_in(&mut tx, task, later).await?;
        tx.commit().await.map_err(OutboxError::in_doubt)?;
        Ok(settled)
    }

    /// The same, in a transaction that the caller then commits.
    ///
    /// # Errors
    ///
    /// When the database fails: roll back.
    pub async fn reschedule_in(
        &self,
        transaction: &mut D::Connection,
        task: &Task,
        later: &Reschedule,
    ) -> Result<Settled, OutboxError> {
        let held = transaction.reschedule(task.held(), later).await;
        let held = held.map_err(OutboxError::undone)?;
        Ok(if held { Settled::Rescheduled } else { Settled::Lost })
    }

    /// Removes a job that is done.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn done(&self, task: &Task) -> Result<Settled, OutboxError> {
        let mut tx = write(&self.pool).await.map_err(OutboxError::undone)?;
        let settled = self.done_in(&mut tx, task).await?;
        tx.commit().await.map_err(OutboxError::in_doubt)?;
        Ok(settled)
    }

    /// The same, in a transaction that the caller then commits.
    ///
    /// # Errors
    ///
    /// When the database fails: roll back.
    pub async fn done_in(
        &self,
        transaction: &mut D::Connection,
        task: &Task,
    ) -> Result<Settled, OutboxError> {
        let held = transaction.remove(task.held()).await.map_err(OutboxError::undone)?;
        Ok(if held { Settled::Done } else { Settled::Lost })
    }

    /// Removes a job and stores its letter.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn bury(&self, task: &Task, letter: &Letter) -> Result<Settled, OutboxError> {
        let mut tx = write(&self.pool).await.map_err(OutboxError::undone)?;
        let settled = self.bury_in(&mut tx, task, letter).await?;
        tx.commit().await.map_err(OutboxError::in_doubt)?;
        Ok(settled)
    }

    /// The same, in a transaction that the caller then commits.
    ///
    /// # Errors
    ///
    /// When the database fails: roll back.
    pub async fn bury_in(
        &self,
        transaction: &mut D::Connection,
        task: &Task,
        letter: &Letter,
    ) -> Result<Settled, OutboxError> {
        if !transaction.remove(task.held()).await.map_err(OutboxError::undone)? {
            return Ok(Settled::Lost);
        }
        steps::store(transaction, letter).await.map_err(OutboxError::undone)?;
        Ok(Settled::Buried(letter.id))
    }

    /// Does what the answer of a [`DeadLetterLayer`](aplomb_dead_letter::DeadLetterLayer) asks for.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn settle<R>(
        &self,
        task: &Task,
        answer: &Result<Response<R>, BoxError>,
    ) -> Result<Settled, OutboxError> {
        let mut tx = write(&self.pool).await.map_err(OutboxError::undone)?;
        let settled = self.settle_in(&mut tx, task, answer).await?;
        tx.commit().await.map_err(OutboxError::in_doubt)?;
        Ok(settled)
    }

    /// The same, in a transaction that the caller then commits: with a row of its own that says
    /// shipped, or dead. [`Settled::Lost`] means that another worker has the job: roll back.
    ///
    /// # Errors
    ///
    /// When the database fails: roll back.
    pub async fn settle_in<R>(
        &self,
        transaction: &mut D::Connection,
        task: &Task,
        answer: &Result<Response<R>, BoxError>,
    ) -> Result<Settled, OutboxError> {
        match Fate::of(answer) {
            Some(Fate::Reschedule(later) | Fate::NotStored(later)) => {
                self.reschedule_in(transaction, task, &later).await
            }
            Some(Fate::HandedOver(letter)) => self.bury_in(transaction, task, &letter).await,
            Some(Fate::Buried(id)) => Ok(match self.done_in(transaction, task).await? {
                Settled::Done => Settled::Buried(id),
                settled => settled,
            }),
            Some(Fate::Delivered) => self.done_in(transaction, task).await,
            None if is_success(answer) => self.done_in(transaction, task).await,
            // No layer has judged it: the job stays taken, and is due again when its lease ends.
            _ => Ok(Settled::Unjudged),
        }
    }

    /// How many jobs there are.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn depth(&self) -> Result<Depth, OutboxError> {
        let mut connection = self.pool.acquire().await.map_err(OutboxError::undone)?;
        connection.depth().await.map_err(OutboxError::undone)
    }
}

impl<D: Database> Clone for Outbox<D> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone() }
    }
}

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// As asked: it is removed, or held for longer.
    Done,
    /// It waits in the outbox.
    Rescheduled,
    /// It is removed, and its letter is stored.
    Buried(LetterId),
    /// Nothing was changed: its lease had ended and another worker took it, or it is gone.
    Lost,
    /// Nothing was changed: the answer failed and did not come through a dead-letter layer. Put one
    /// around the client.
    Unjudged,
}

fn is_success<R>(answer: &Result<Response<R>, BoxError>) -> bool {
    let status = answer.as_ref().map(Response::status);
    status.is_ok_and(|status| !status.is_client_error() && !status.is_server_error())
}

/// How many jobs are taken together at most.
const CLAIM_MAX: usize = 1_000;
