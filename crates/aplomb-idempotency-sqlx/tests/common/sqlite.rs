use std::path::PathBuf;
use std::sync::Arc;

use aplomb_idempotency_sqlx::sqlite::{self, Pools};
use aplomb_idempotency_sqlx::{MigrateError, SqliteStore};
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Sqlite, Transaction};
use tempfile::TempDir;

use super::{Shop, hex};

#[derive(Clone)]
pub(crate) struct SqliteShop {
    pub(crate) pools: Pools,
    pub(crate) store: SqliteStore,
    pub(crate) directory: Arc<TempDir>,
}

impl SqliteShop {
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("shop.db")
    }

    /// Empty, with tables that these migrations made.
    pub(crate) async fn with_tables(migrations: &[&'static str]) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let pools = sqlite::connect(directory.path().join("shop.db")).await.unwrap();
        sqlx::raw_sql(TABLES).execute(&pools.writer).await.unwrap();
        for migration in migrations {
            sqlx::raw_sql(*migration).execute(&pools.writer).await.unwrap();
        }
        let store = SqliteStore::new(pools.writer.clone());
        Self { pools, store, directory }
    }

    /// Other connections to the same file, as another process has them.
    pub(crate) async fn again(&self) -> Pools {
        sqlite::connect(self.path()).await.unwrap()
    }
}

impl Shop for SqliteShop {
    type Database = Sqlite;
    type Store = SqliteStore;

    async fn open() -> Self {
        let shop = Self::with_tables(&[]).await;
        shop.store.migrate().await.unwrap();
        shop
    }

    fn store(&self) -> &SqliteStore {
        &self.store
    }

    async fn migrate(&self) -> Result<(), MigrateError> {
        self.store.migrate().await
    }

    async fn other_store(&self) -> SqliteStore {
        SqliteStore::new(self.again().await.writer)
    }

    async fn reserve(&self, key: &str) -> sqlx::Result<Transaction<'static, Sqlite>> {
        let mut tx = self.pools.writer.begin_with("BEGIN IMMEDIATE").await?;
        let take = "UPDATE stock SET available = available - 1";
        sqlx::query(take).execute(&mut *tx).await?;
        let reserve = "INSERT INTO reservations (key) VALUES (?)";
        sqlx::query(reserve).bind(key).execute(&mut *tx).await?;
        Ok(tx)
    }

    async fn take_all(&self) -> Vec<PoolConnection<Sqlite>> {
        vec![self.pools.writer.acquire().await.unwrap()]
    }

    async fn close(&self) {
        self.store.close().await;
        self.pools.writer.close().await;
        self.pools.reader.close().await;
    }

    async fn run(&self, sql: String) -> sqlx::Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.pools.writer).await.map(|_| ())
    }

    async fn number(&self, sql: String) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.pools.reader).await.unwrap()
    }

    fn bytes(bytes: &[u8]) -> String {
        format!("x'{}'", hex(bytes))
    }
}

const TABLES: &str = "
    CREATE TABLE stock (available INTEGER NOT NULL CHECK (available >= 0)) STRICT;
    CREATE TABLE reservations (key TEXT NOT NULL) STRICT;
    INSERT INTO stock VALUES (1000);
";
