use std::sync::Arc;

use aplomb_idempotency_sqlx::{MigrateError, PostgresStore, postgres};
use aplomb_testkit::servers;
use futures_util::future::join_all;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};

use super::{Shop, hex};

#[derive(Clone)]
pub(crate) struct PostgresShop {
    pub(crate) pool: PgPool,
    pub(crate) store: PostgresStore,
    pub(crate) database: Arc<servers::Postgres>,
}

impl PostgresShop {
    pub(crate) fn url(&self) -> &str {
        self.database.url()
    }

    /// Empty, with tables that these migrations made.
    pub(crate) async fn with_tables(migrations: &[&'static str]) -> Self {
        let database = Arc::new(servers::Postgres::start().unwrap());
        let pool = postgres::connect(database.url()).await.unwrap();
        sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
        for migration in migrations {
            sqlx::raw_sql(*migration).execute(&pool).await.unwrap();
        }
        let store = PostgresStore::new(pool.clone());
        Self { pool, store, database }
    }
}

impl Shop for PostgresShop {
    type Database = Postgres;
    type Store = PostgresStore;

    async fn open() -> Self {
        let shop = Self::with_tables(&[]).await;
        shop.store.migrate().await.unwrap();
        shop
    }

    fn store(&self) -> &PostgresStore {
        &self.store
    }

    async fn migrate(&self) -> Result<(), MigrateError> {
        self.store.migrate().await
    }

    async fn other_store(&self) -> PostgresStore {
        PostgresStore::new(self.pool.clone())
    }

    async fn reserve(&self, key: &str) -> sqlx::Result<Transaction<'static, Postgres>> {
        let mut tx = self.pool.begin().await?;
        let reserve = "INSERT INTO reservations (key) VALUES ($1)";
        sqlx::query(reserve).bind(key).execute(&mut *tx).await?;
        let take = "UPDATE stock SET available = available - 1";
        sqlx::query(take).execute(&mut *tx).await?;
        Ok(tx)
    }

    async fn take_all(&self) -> Vec<PoolConnection<Postgres>> {
        let all = self.pool.options().get_max_connections();
        join_all((0..all).map(|_| async { self.pool.acquire().await.unwrap() })).await
    }

    async fn close(&self) {
        self.store.close().await;
        self.pool.close().await;
    }

    async fn run(&self, sql: String) -> sqlx::Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.pool).await.map(|_| ())
    }

    async fn number(&self, sql: String) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.pool).await.unwrap()
    }

    fn bytes(bytes: &[u8]) -> String {
        format!("'\\x{}'::BYTEA", hex(bytes))
    }
}

const TABLES: &str = "
    CREATE TABLE stock (available BIGINT NOT NULL CHECK (available >= 0));
    CREATE TABLE reservations (key TEXT NOT NULL);
    INSERT INTO stock VALUES (1000);
";
