//! A shop in a file: stock, reservations, and the records of their keys.
#![allow(clippy::unwrap_used, reason = "a test may")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::ops::Deref;

use aplomb_idempotency_sqlx::SqliteStore;
use aplomb_idempotency_sqlx::sqlite::{self, Pools};
use sqlx::SqlitePool;
use tempfile::TempDir;

pub(crate) struct Shop {
    pub(crate) pools: Pools,
    pub(crate) store: SqliteStore,
    directory: TempDir,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pools = sqlite::connect(directory.path().join("shop.db")).await.unwrap();
        sqlx::raw_sql(TABLES).execute(&pools.writer).await.unwrap();
        let store = SqliteStore::new(pools.writer.clone());
        store.migrate().await.unwrap();
        Self { pools, store, directory }
    }

    /// Other connections to the same file, as another process has them.
    pub(crate) async fn again(&self) -> Pools {
        sqlite::connect(self.directory.path().join("shop.db")).await.unwrap()
    }

    pub(crate) async fn available(&self) -> i64 {
        let available = sqlx::query_scalar("SELECT available FROM stock");
        available.fetch_one(&self.pools.reader).await.unwrap()
    }

    pub(crate) async fn reservations(&self) -> i64 {
        let rows = sqlx::query_scalar("SELECT count(*) FROM reservations");
        rows.fetch_one(&self.pools.reader).await.unwrap()
    }
}

impl Deref for Shop {
    type Target = SqliteStore;

    fn deref(&self) -> &SqliteStore {
        &self.store
    }
}

/// The effect of a reservation, in a transaction that is then somebody's to end.
pub(crate) async fn reserve(
    writer: &SqlitePool,
    key: &str,
) -> sqlx::Result<sqlx::Transaction<'static, sqlx::Sqlite>> {
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
    let take = "UPDATE stock SET available = available - 1";
    sqlx::query(take).execute(&mut *tx).await?;
    let reserve = "INSERT INTO reservations (key) VALUES (?)";
    sqlx::query(reserve).bind(key).execute(&mut *tx).await?;
    Ok(tx)
}

/// No UNIQUE key here: what keeps a reservation from being made twice is under test.
const TABLES: &str = "
    CREATE TABLE stock (available INTEGER NOT NULL CHECK (available >= 0)) STRICT;
    CREATE TABLE reservations (key TEXT NOT NULL) STRICT;
    INSERT INTO stock VALUES (1000);
";
