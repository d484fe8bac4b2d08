use std::sync::Arc;
use std::time::Duration;

use aplomb_idempotency::machine;
use aplomb_idempotency::operator::{AuditEntry, Listing, Note, Purge, Resolution};
use aplomb_idempotency::{
    Begin, Begun, Held, Keep, Record, RecordId, Settled, State, Store, StoreError, StoredAnswer,
};
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqlitePool, Transaction};

use super::group::Group;
use super::pools::{durable, lazily, patiently};
use super::row;
use crate::error::{in_doubt, undone};
use crate::migrate::{MigrateError, missing};
use crate::steps::{self, Rows};

/// Records in a SQLite file, in the file of the tables that keyed work changes.
///
/// Claims are taken and ended on the writer that it is given, so that they queue there with the
/// handlers' own transactions. Those that wait there at the same time share one commit. Replays are read on connections of its own and queue behind nobody.
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
    group: Arc<Group>,
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
        let reader = lazily(READERS_MAX, own.clone().pragma("query_only", "on"));
        let group = Group::new(writer.clone());
        Self { writer, reader, renewals: lazily(1, own), group }
    }

    /// Makes the tables, or brings them up to date, and checks that the writer is durable. Several
    /// processes may do so at once.
    ///
    /// # Errors
    ///
    /// [`MigrateError`] when the database cannot be changed, was changed by a later version, or
    /// when the writer would lose commits in a power cut.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        let mut tx = patiently(|| self.writer.begin_with(IMMEDIATE)).await?;
        let made: bool = sqlx::query_scalar(HAS_SCHEMA).fetch_one(&mut *tx).await?;
        let applied: i64 =
            if made { sqlx::query_scalar(VERSION).fetch_one(&mut *tx).await? } else { 0 };
        for migration in missing(&MIGRATIONS, applied)? {
            sqlx::raw_sql(*migration).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        self.check_durability().await
    }

    /// Closes the connections that are the store's own, within some seconds. The writer is its
    /// owner's to close.
    pub async fn close(&self) {
        crate::pools::close([&self.reader, &self.renewals]).await;
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
        let mut reader = self.read().await?;
        let found = reader.load(begin.identity.id()).await.map_err(undone)?;
        Ok(steps::peek(found, begin))
    }

    async fn read(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        patiently(|| self.reader.acquire()).await.map_err(undone)
    }

    async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.writer.begin_with(IMMEDIATE).await.map_err(undone)
    }
}

impl Store for SqliteStore {
    async fn begin(&self, begin: &Begin) -> Result<Begun, StoreError> {
        if let Some(answer) = self.peek(begin).await? {
            return Ok(answer);
        }
        self.group.begin(begin).await
    }

    async fn renew(&self, held: Held, lease: Duration) -> Result<Settled, StoreError> {
        let mut renewals = patiently(|| self.renewals.acquire()).await.map_err(undone)?;
        let renewed = row::renew(&mut renewals, held, lease).await.map_err(in_doubt)?;
        Ok(if renewed { Settled::Done } else { Settled::Lost })
    }

    async fn complete(
        &self,
        held: Held,
        answer: &StoredAnswer,
        keep: Keep,
    ) -> Result<Settled, StoreError> {
        self.group.complete(held, answer, keep).await
    }

    async fn abandon(&self, held: Held, keep: Duration) -> Result<Settled, StoreError> {
        let step = move |state: Option<&State>, now| machine::abandon(state, held.fence, keep, now);
        self.group.change(held.id, Box::new(step)).await
    }

    async fn mark_unknown(&self, held: Held) -> Result<Settled, StoreError> {
        let step = move |state: Option<&State>, now| machine::mark_unknown(state, held.fence, now);
        self.group.change(held.id, Box::new(step)).await
    }

    async fn get(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        row::get(&mut *self.read().await?, id).await.map_err(undone)
    }

    async fn sweep(&self, most: usize) -> Result<usize, StoreError> {
        let mut tx = self.write().await?;
        let swept = steps::sweep(&mut *tx, most).await.map_err(undone)?;
        tx.commit().await.map_err(in_doubt)?;
        Ok(swept)
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>, StoreError> {
        row::list(&mut *self.read().await?, listing).await.map_err(undone)
    }

    async fn resolve(
        &self,
        held: Held,
        resolution: &Resolution,
        note: &Note,
    ) -> Result<Settled, StoreError> {
        let mut tx = self.write().await?;
        let settled = steps::resolve(&mut *tx, held, resolution, note).await.map_err(undone)?;
        tx.commit().await.map_err(in_doubt)?;
        Ok(settled)
    }

    async fn purge(&self, purge: &Purge, note: &Note, most: usize) -> Result<usize, StoreError> {
        let mut tx = self.write().await?;
        let purged = steps::purge(&mut *tx, purge, note, most).await.map_err(undone)?;
        tx.commit().await.map_err(in_doubt)?;
        Ok(purged)
    }

    async fn audit(
        &self,
        of: Option<RecordId>,
        most: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        row::audit(&mut *self.read().await?, of, most).await.map_err(undone)
    }
}

/// The tables, for those who make them by hand: each migration once, in this order.
pub const MIGRATIONS: [&str; 2] = [
    include_str!("../../migrations/sqlite/0001_records.sql"),
    include_str!("../../migrations/sqlite/0002_operators.sql"),
];

/// Takes the write lock at once: a transaction that reads first and writes later can be refused in
/// between (`SQLITE_BUSY_SNAPSHOT`), however long it waits.
pub(super) const IMMEDIATE: &str = "BEGIN IMMEDIATE";
const HAS_SCHEMA: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema \
     WHERE type = 'table' AND name = 'aplomb_idempotency_schema')";
const VERSION: &str = "SELECT coalesce(max(version), 0) FROM aplomb_idempotency_schema";
const READERS_MAX: u32 = 4;
/// SQLite's number for it.
const SYNCHRONOUS_FULL: i64 = 2;
