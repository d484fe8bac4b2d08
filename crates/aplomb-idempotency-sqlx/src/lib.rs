//! Idempotency records on SQLite, committed in the caller's transaction.
//!
//! A record that is written after the effect can be lost between the two: the process dies, the
//! caller retries, and the effect happens twice. Here the record lies in the database that the
//! effect changes and is committed with it, so that there is either both or neither.
//!
//! ```
//! use aplomb_idempotency::{Claim, CompleteError, IdempotencyLayer, Recorded, Refusal};
//! use aplomb_idempotency_sqlx::{SqliteStore, complete_and_commit, sqlite};
//! use axum::{Router, extract::State, routing::post};
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
//! let app: Router = Router::new()
//!     .route("/reservations", post(reserve))
//!     .route_layer(IdempotencyLayer::new(store).transactional())
//!     .with_state(pools.writer);
//! # Ok(())
//! # }
//! ```
//!
//! [`complete_and_commit`] ends the transaction itself. Where the handler must do that,
//! [`complete_in`] writes the record and leaves the commit to it; the layer then reads the record
//! again before it lets a success out.

mod complete;
mod error;
pub mod sqlite;

pub use complete::{Recording, complete_and_commit, complete_in};
pub use sqlite::SqliteStore;
