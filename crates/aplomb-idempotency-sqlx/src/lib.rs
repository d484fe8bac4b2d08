//! Idempotency records in a SQL database, committed in the caller's transaction.
//!
//! A record that is written after the effect can be lost between the two: the process dies, the
//! caller retries, and the effect happens twice. Here the record lies in the database that the
//! effect changes and is committed with it, so that there is either both or neither.
//!
//! # On SQLite
//!
//! ```
//! use aplomb_idempotency::{Claim, IdempotencyLayer, Recorded, Refusal};
//! use aplomb_idempotency_sqlx::{SqliteStore, complete_and_commit, sqlite};
//! use axum::{Router, extract::State};
//! use bytes::Bytes;
//! use sqlx::SqlitePool;
//!
//! async fn reserve(claim: Claim, State(writer): State<SqlitePool>) -> Result<Recorded, Refusal> {
//!     let mut tx = writer.begin_with("BEGIN IMMEDIATE").await.map_err(sqlite::failed)?;
//!     sqlx::query("UPDATE stock SET available = available - 1 WHERE sku = 'mug'")
//!         .execute(&mut *tx)
//!         .await
//!         .map_err(sqlite::failed)?;
//!     let response = http::Response::new(Bytes::from("reserved"));
//!     Ok(complete_and_commit(&claim, tx, response).await?)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("shop.db");
//! let pools = sqlite::connect(&path).await?;
//! let store = SqliteStore::new(pools.writer.clone());
//! store.migrate().await?;
//! let keys = IdempotencyLayer::new(store).transactional();
//! let app: Router =
//!     Router::new().route("/reservations", keys.post(reserve)).with_state(pools.writer);
//! # Ok(())
//! # }
//! ```
//!
//! # On Postgres
//!
//! ```no_run
//! # use aplomb_idempotency::{Claim, IdempotencyLayer, Recorded, Refusal};
//! # use axum::{Router, extract::State};
//! # use bytes::Bytes;
//! use aplomb_idempotency_sqlx::{PostgresStore, complete_and_commit, postgres};
//! use sqlx::PgPool;
//!
//! async fn reserve(claim: Claim, State(pool): State<PgPool>) -> Result<Recorded, Refusal> {
//!     let mut tx = pool.begin().await.map_err(postgres::failed)?;
//!     sqlx::query("UPDATE stock SET available = available - 1 WHERE sku = 'mug'")
//!         .execute(&mut *tx)
//!         .await
//!         .map_err(postgres::failed)?;
//!     let response = http::Response::new(Bytes::from("reserved"));
//!     Ok(complete_and_commit(&claim, tx, response).await?)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = postgres::connect("postgres://shop@localhost/shop").await?;
//! let store = PostgresStore::new(pool.clone());
//! store.migrate().await?;
//! let keys = IdempotencyLayer::new(store).transactional();
//! let app: Router = Router::new().route("/reservations", keys.post(reserve)).with_state(pool);
//! # Ok(())
//! # }
//! ```
//!
//! [`complete_and_commit`] ends the transaction itself. Where the handler must do that,
//! [`complete_in`] writes the record and leaves the commit to it; the layer then reads the record
//! again before it lets a success out. [`Recording`] shows how another driver writes the record,
//! in a transaction of its own.
//!
//! # Defaults
//!
//! | what | SQLite | Postgres |
//! |---|---|---|
//! | waits for a connection | 10 s | 5 s |
//! | waits for a lock | 5 s | 5 s, a renewal 1 s |
//! | waits for an answer | as long as the file takes | 10 s, 15 s for a server that is gone |
//! | connections of a store's own | 4 to read, 1 for renewals | as many as the application's pool, 2 for renewals |
//! | new keys sweep what has expired | two each | no: call `sweep` now and then |
//! | closes within | 3 s | 3 s |
//!
//! # Price
//!
//! SQLite: a read for each request; a write before the handler and one in its transaction, or after
//! it. Requests that wait for the writer at the same time share their commits. Postgres: a round
//! trip before the handler, which is a write unless the key is known, and one in its transaction.
//!
//! # Cancellation
//!
//! A step whose future is dropped may have been done or not, as one whose answer was lost. It may
//! be repeated as it was.
//!
//! # Tables
//!
//! `migrate` makes them and brings them up to date. Who would rather do that by hand finds the
//! statements in `sqlite::MIGRATIONS` and `postgres::MIGRATIONS`.
//!
//! The features `sqlite` and `postgres`, both on by default, say which databases there are.
#![cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    allow(
        dead_code,
        unreachable_pub,
        unused_imports,
        reason = "without a database there is little to do"
    )
)]

mod columns;
mod complete;
mod error;
mod migrate;
mod pools;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod steps;

pub use complete::{Completion, Recording, complete_and_commit, complete_in};
pub use migrate::MigrateError;
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
