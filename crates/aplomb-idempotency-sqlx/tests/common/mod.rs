//! A shop: stock, reservations, and the records of their keys, in either database.
#![allow(clippy::unwrap_used, reason = "a test may")]
#![allow(dead_code, reason = "each test file uses its part")]

mod postgres;
pub(crate) mod proxy;
mod sqlite;

use std::time::Duration;

use aplomb_idempotency::record::millis;
use aplomb_idempotency::{Held, RecordId, Store};
use aplomb_idempotency_sqlx::{MigrateError, Recording};
use sqlx::pool::PoolConnection;
use sqlx::{Database, Transaction};

pub(crate) use postgres::PostgresShop;
pub(crate) use sqlite::SqliteShop;

/// Clones share their connections.
pub(crate) trait Shop: Clone + Send + Sync + 'static {
    type Database: Database<Connection: Recording>;
    type Store: Store + Clone;

    /// Empty, with a thousand things in stock.
    fn open() -> impl Future<Output = Self> + Send;

    fn store(&self) -> &Self::Store;

    /// Makes the store's tables, or brings them up to date.
    fn migrate(&self) -> impl Future<Output = Result<(), MigrateError>> + Send;

    /// A store with connections of its own, as another process has one.
    fn other_store(&self) -> impl Future<Output = Self::Store> + Send;

    /// The effect of a reservation, in a transaction that is then somebody's to end. There is no
    /// UNIQUE key: what keeps a reservation from being made twice is under test.
    fn reserve(
        &self,
        key: &str,
    ) -> impl Future<Output = sqlx::Result<Transaction<'static, Self::Database>>> + Send;

    /// Every connection that handlers can have, until this is dropped.
    fn take_all(&self) -> impl Future<Output = Vec<PoolConnection<Self::Database>>> + Send;

    /// Ends the store's connections, and the handlers'.
    fn close(&self) -> impl Future<Output = ()> + Send;

    /// Executes a statement.
    fn run(&self, sql: String) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// The number that a statement selects.
    fn number(&self, sql: String) -> impl Future<Output = i64> + Send;

    /// The literal of some bytes.
    fn bytes(bytes: &[u8]) -> String;

    fn available(&self) -> impl Future<Output = i64> + Send {
        self.number("SELECT available FROM stock".into())
    }

    fn reservations(&self) -> impl Future<Output = i64> + Send {
        self.number("SELECT count(*) FROM reservations".into())
    }

    fn records(&self) -> impl Future<Output = i64> + Send {
        self.number("SELECT count(*) FROM aplomb_idempotency_records".into())
    }

    /// Lets time pass for one record.
    fn age(&self, held: Held, time: Duration) -> impl Future<Output = ()> + Send {
        let (time, id) = (millis(time), Self::id(held.id));
        async move {
            let age = format!(
                "UPDATE aplomb_idempotency_records SET lease_until = lease_until - {time}, \
                 expires_at = expires_at - {time}, retired_until = retired_until - {time} \
                 WHERE id = {id}"
            );
            self.run(age).await.unwrap();
        }
    }

    fn id(id: RecordId) -> String {
        Self::bytes(id.as_bytes())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut hex = String::new();
    for byte in bytes {
        write!(hex, "{byte:02x}").unwrap();
    }
    hex
}

/// Runs each test on both databases, under the database's name.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                super::$test::<crate::common::SqliteShop>().await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                super::$test::<crate::common::PostgresShop>().await;
            })*
        }
    };
}
pub(crate) use on_both;
