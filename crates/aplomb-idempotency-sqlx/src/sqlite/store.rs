use std::error::Error;
use std::fmt;
use std::time::Duration;

use aplomb_core::BoxError;
use aplomb_idempotency::machine::{self, Step, Verdict};
use aplomb_idempotency::{
    Begin, Begun, Held, Record, RecordId, Settled, State, Store, StoreError, StoredAnswer,
    Timestamp,
};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Sqlite, SqlitePool, Transaction};

use super::pools::durable;
use super::row;
use crate::error::{in_doubt, undone};

/// Records in a SQLite file, in the file of the tables that keyed work changes.
///
/// Claims are taken and ended on the writer that it is given, so that they queue there with the
/// handlers' own transactions. Replays are read on connections of its own and queue behind nobody.
/// Renewals have one more connection to themselves: handlers that use up every other one cannot
/// starve them. A renewal waits while a handler's transaction holds SQLite's write lock; no handler
/// waits for a renewal.
///
/// A handler must not send a keyed request to its own service while it holds the writer: that
/// request would wait for the handler, and fail with 503 when its patience ends.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    reader: SqlitePool,
    renewals: SqlitePool,
}

impl SqliteStore {
    /// A store in the file that `writer` writes to: see [`connect`](super::connect) for a good one.
    /// It is not opened before it is used. Databases in memory do not work, because each
    /// connection would have one of its own.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn new(writer: SqlitePool) -> Self {
        let own = durable((*writer.connect_options()).clone());
        let lazily = |most| SqlitePoolOptions::new().max_connections(most);
        let reader = lazily(READERS_MAX).connect_lazy_with(own.clone().pragma("query_only", "on"));
        let renewals = lazily(1).connect_lazy_with(own);
        Self { writer, reader, renewals }
    }

    /// Makes the tables, or brings them up to date, and checks that the writer is durable.
    ///
    /// # Errors
    ///
    /// [`MigrateError`] when the database cannot be changed, was changed by a later version, or
    /// when the writer would lose commits in a power cut.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        let mut tx = self.writer.begin_with(IMMEDIATE).await?;
        let made: bool = sqlx::query_scalar(HAS_SCHEMA).fetch_one(&mut *tx).await?;
        let applied: i64 =
            if made { sqlx::query_scalar(VERSION).fetch_one(&mut *tx).await? } else { 0 };
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if applied > known {
            return Err(MigrateError::new("the tables were made by a later version; update"));
        }
        let done = usize::try_from(applied).unwrap_or_default();
        for migration in &MIGRATIONS[done..] {
            sqlx::raw_sql(*migration).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        self.check_durability().await
    }

    /// Closes the connections that are the store's own, once they are given back. The writer is its
    /// owner's to close.
    pub async fn close(&self) {
        self.reader.close().await;
        self.renewals.close().await;
    }

    async fn check_durability(&self) -> Result<(), MigrateError> {
        let mut writer = self.writer.acquire().await?;
        let journal: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *writer).await?;
        let synchronous: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *writer).await?;
        if journal != "wal" || synchronous < SYNCHRONOUS_FULL {
            return Err(MigrateError::new(
                "the writer needs journal_mode=WAL in a file and synchronous=FULL; \
                 make its pool with sqlite::connect or sqlite::options",
            ));
        }
        Ok(())
    }

    /// What can be answered without writing. Readers wait for nobody in WAL mode.
    async fn peek(&self, begin: &Begin) -> Result<Option<Begun>, StoreError> {
        let mut reader = self.reader.acquire().await.map_err(undone)?;
        let (record, now) = row::load(&mut reader, begin.identity.id()).await.map_err(undone)?;
        Ok(match machine::judge(record.as_ref(), begin, now) {
            Verdict::Answer(answer) => Some(answer),
            Verdict::Claim { .. } | Verdict::Doubt(_) => None,
        })
    }

    async fn begin_in(
        transaction: &mut Transaction<'_, Sqlite>,
        begin: &Begin,
    ) -> Result<Begun, sqlx::Error> {
        let (existing, now) = row::load(transaction, begin.identity.id()).await?;
        match machine::judge(existing.as_ref(), begin, now) {
            Verdict::Answer(answer) => Ok(answer),
            Verdict::Doubt(state) => {
                let (id, fence) = (begin.identity.id(), state.fence());
                row::end(transaction, Held { id, fence }, &state).await?;
                Ok(Begun::Unknown)
            }
            Verdict::Claim { attempt } => {
                let fence = row::next_fence(transaction).await?;
                let started = machine::started(begin, fence, attempt, now);
                let record = machine::record(existing.as_ref(), begin, started, now);
                row::claim(transaction, &record, started).await?;
                // Two for one: what has expired goes faster than new keys come.
                row::sweep(transaction, 2).await?;
                Ok(Begun::Claimed(started))
            }
        }
    }

    /// Ends a claim as `step` says.
    async fn change(
        &self,
        held: Held,
        step: impl FnOnce(Option<&State>, Timestamp) -> Step + Send,
    ) -> Result<Settled, StoreError> {
        let mut tx = self.writer.begin_with(IMMEDIATE).await.map_err(undone)?;
        let (record, now) = row::load(&mut tx, held.id).await.map_err(undone)?;
        let state = match step(record.as_ref().map(|record| &record.state), now) {
            Step::Stay(settled) => return Ok(settled),
            Step::To(state) => state,
        };
        let ended = row::end(&mut tx, held, &state).await.map_err(undone)?;
        debug_assert!(ended, "nobody comes between under the write lock");
        tx.commit().await.map_err(in_doubt)?;
        Ok(Settled::Done)
    }
}

impl Store for SqliteStore {
    async fn begin(&self, begin: &Begin) -> Result<Begun, StoreError> {
        if let Some(answer) = self.peek(begin).await? {
            return Ok(answer);
        }
        let mut tx = self.writer.begin_with(IMMEDIATE).await.map_err(undone)?;
        let begun = Self::begin_in(&mut tx, begin).await.map_err(undone)?;
        tx.commit().await.map_err(in_doubt)?;
        Ok(begun)
    }

    async fn renew(&self, held: Held, lease: Duration) -> Result<Settled, StoreError> {
        let mut renewals = self.renewals.acquire().await.map_err(undone)?;
        let renewed = row::renew(&mut renewals, held, lease).await.map_err(in_doubt)?;
        Ok(if renewed { Settled::Done } else { Settled::Lost })
    }

    async fn complete(
        &self,
        held: Held,
        answer: &StoredAnswer,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        let answer = answer.clone();
        let step = move |state: Option<&State>, now| {
            machine::complete(state, held.fence, answer, keep, now)
        };
        self.change(held, step).await
    }

    async fn abandon(&self, held: Held, keep: Duration) -> Result<Settled, StoreError> {
        let step = move |state: Option<&State>, now| machine::abandon(state, held.fence, keep, now);
        self.change(held, step).await
    }

    async fn mark_unknown(&self, held: Held) -> Result<Settled, StoreError> {
        let step = move |state: Option<&State>, now| machine::mark_unknown(state, held.fence, now);
        self.change(held, step).await
    }

    async fn get(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        let mut reader = self.reader.acquire().await.map_err(undone)?;
        let (record, _) = row::load(&mut reader, id).await.map_err(undone)?;
        Ok(record)
    }

    async fn sweep(&self, most: usize) -> Result<usize, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut writer = self.writer.acquire().await.map_err(undone)?;
        let swept = row::sweep(&mut writer, most).await.map_err(in_doubt)?;
        Ok(usize::try_from(swept).unwrap_or(usize::MAX))
    }
}

/// The store's tables could not be made or must not be used.
#[derive(Debug)]
pub struct MigrateError(BoxError);

impl MigrateError {
    fn new(message: &'static str) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "idempotency tables not ready: {}", self.0)
    }
}

impl Error for MigrateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

impl From<sqlx::Error> for MigrateError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.into())
    }
}

/// The tables of the newest version, for those who make them by hand.
pub const SCHEMA: &str = include_str!("../../migrations/sqlite/0001_records.sql");

/// Each brings the tables from the version before to its own, and says so in their version table:
/// sqlx's own belongs to the application.
const MIGRATIONS: [&str; 1] = [SCHEMA];

/// Takes the write lock at once: a transaction that reads first and writes later can be refused in
/// between (`SQLITE_BUSY_SNAPSHOT`), however long it waits.
const IMMEDIATE: &str = "BEGIN IMMEDIATE";
const HAS_SCHEMA: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema \
     WHERE type = 'table' AND name = 'aplomb_idempotency_schema')";
const VERSION: &str = "SELECT coalesce(max(version), 0) FROM aplomb_idempotency_schema";
const READERS_MAX: u32 = 4;
/// SQLite's number for it.
const SYNCHRONOUS_FULL: i64 = 2;
