//! Dead letters on SQLite or Postgres, in the transaction that removes their job.
//!
//! Between "the order is confirmed" and "its shipment is asked for" a process can die, and between
//! "it failed finally" and "its letter is stored" too. Where the jobs lie in the database of the
//! orders, and the letters beside the jobs, neither gap is there: an [`Outbox`] takes a job in the
//! transaction that asks for it, and exchanges it for a letter in another.
//!
//! ```
//! use std::time::Duration;
//! use aplomb_core::BoxError;
//! use aplomb_dead_letter::{DeadLetterLayer, Listing, Sink};
//! use aplomb_dead_letter_sqlx::{Outbox, Outgoing, Settled, SqlSink, sqlite};
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! # use bytes::Bytes; use http::{Request, Response}; use http_body_util::Full;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("shop.db");
//! let pool = sqlite::connect(&path).await?;
//! let outbox = Outbox::new(pool.clone());
//! outbox.migrate().await?;
//!
//! // The order is confirmed and its shipment is asked for, or neither.
//! let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
//! let shipment = http::Request::post("http://warehouse:7002/shipments")
//!     .header("idempotency-key", "order_123_shipment")
//!     .body(Bytes::from(r#"{"order_id": "123"}"#))?;
//! outbox.enqueue_in(&mut tx, &Outgoing::new(shipment, Duration::from_secs(24 * 3600))?).await?;
//! tx.commit().await?;
//!
//! // A worker, of as many as you like.
//! let mut client = ServiceBuilder::new()
//!     .layer(DeadLetterLayer::hand_over())
//!     // ... deadline, retry, breaker, what authenticates
//!     .service(service_fn(|_: Request<Full<Bytes>>| async {
//!         Ok::<_, std::io::Error>(Response::builder().status(422).body(()).expect("a status"))
//!     }));
//! for task in outbox.claim("worker-1", 8, Duration::from_secs(30)).await? {
//!     let answer = client.ready().await?.call(task.request()).await;
//!     let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
//!     match outbox.settle_in(&mut tx, &task, &answer).await? {
//!         Settled::Lost => continue, // Another worker has it; dropping `tx` rolls back.
//!         _done_or_dead => { /* ... say so in the order's row */ }
//!     }
//!     tx.commit().await?;
//! }
//!
//! // Operators see the letter, and redrive it with `aplomb_dead_letter::Redriver`.
//! let sink = SqlSink::new(pool);
//! assert_eq!(sink.list(&Listing::dead(10)).await?.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Who has a job
//!
//! [`claim`](Outbox::claim) takes jobs under a lease and a number, with `FOR UPDATE SKIP LOCKED` on
//! Postgres and `BEGIN IMMEDIATE` on SQLite. A worker that is killed loses its jobs to others when the
//! lease ends; they send the same key. One that was only stopped, and wakes late, is told
//! [`Settled::Lost`] and has changed nothing: its number is not the job's any more. A number is never
//! given twice, and grows.
//!
//! | a worker is killed | the job |
//! |---|---|
//! | before it sends | is taken again after the lease, and sent for the first time |
//! | while it sends, or after | is taken again after the lease, and sent under the same key |
//! | while it settles | is settled as asked, or taken again after the lease |
//!
//! A job that failed waits in its row and in nobody's slot. Leases, waits and horizons are judged by
//! the database's clock, whatever the workers' clocks say.
//!
//! # The tables
//!
//! `migrate` makes them, and several processes may call it at once. Who makes tables by hand finds
//! the statements in
#![cfg_attr(feature = "postgres", doc = "[`postgres::MIGRATIONS`]")]
#![cfg_attr(all(feature = "postgres", feature = "sqlite"), doc = "and")]
#![cfg_attr(feature = "sqlite", doc = "[`sqlite::MIGRATIONS`]")]
//! . Each says its version in `aplomb_dead_letter_schema`; the version table of sqlx's own migrations
//! belongs to the application.
//!
//! | table | holds |
//! |---|---|
//! | `aplomb_outbox` | jobs that are still to be done |
//! | `aplomb_dead_letters` | letters, and those that ended until [`sweep`](aplomb_dead_letter::Sink::sweep) |
//! | `aplomb_dead_letter_audit` | who did what to a letter, when, why, and how it ended |
//!
//! The features `sqlite` and `postgres`, both on by default, choose the databases.

// Without a database there is nobody to use what both of them share.
#![cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    allow(dead_code, unused_imports, unused_macros)
)]

mod backend;
mod columns;
mod error;
mod outbox;
mod outgoing;
#[cfg(feature = "postgres")]
pub mod postgres;
mod rows;
mod sink;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod statements;
mod steps;
mod task;

pub use backend::Backend;
pub use error::{MigrateError, OutboxError};
pub use outbox::{Outbox, Settled};
pub use outgoing::{NotOutgoing, Outgoing};
pub use sink::{SqlSink, bury_in};
pub use task::{Depth, Task};
