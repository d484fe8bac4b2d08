//! A shop in a database: its orders, their jobs, their letters.
#![allow(clippy::unwrap_used, reason = "a test may")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::any::Any;
use std::time::Duration;

use aplomb_dead_letter_sqlx::{Backend, Outbox, Outgoing, SqlSink, Task, sqlite};
use bytes::Bytes;
use http::Request;
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Pool, Postgres, Sqlite, SqlitePool};

pub(crate) struct Shop<D: Backend> {
    pub(crate) pool: Pool<D>,
    pub(crate) outbox: Outbox<D>,
    pub(crate) sink: SqlSink<D>,
    /// The file or the server.
    place: Box<dyn Any>,
}

impl<D: Backend> Shop<D> {
    async fn on(pool: Pool<D>, place: Box<dyn Any>) -> Self {
        let (outbox, sink) = (Outbox::new(pool.clone()), SqlSink::new(pool.clone()));
        outbox.migrate().await.unwrap();
        Self { pool, outbox, sink, place }
    }

    /// Takes all that is due, for a lease that has ended when it begins.
    pub(crate) async fn take_briefly(&self) -> Vec<Task> {
        self.outbox.claim("brief", 100, Duration::ZERO).await.unwrap()
    }

    pub(crate) async fn take_one(&self) -> Task {
        self.outbox.claim("worker", 1, LONG).await.unwrap().pop().unwrap()
    }

    /// Writes a job in a transaction of its own.
    pub(crate) async fn enqueue(&self, job: &Outgoing) -> bool {
        let mut tx = self.pool.begin().await.unwrap();
        let is_new = self.outbox.enqueue_in(&mut *tx, job).await.unwrap();
        tx.commit().await.unwrap();
        is_new
    }

    pub(crate) async fn jobs(&self) -> u64 {
        self.outbox.depth().await.unwrap().jobs
    }
}

pub(crate) async fn on_sqlite() -> Shop<Sqlite> {
    let directory = tempfile::tempdir().unwrap();
    let pool = sqlite::connect(directory.path().join("shop.db")).await.unwrap();
    Shop::on(pool, Box::new(directory)).await
}

pub(crate) async fn on_postgres() -> Shop<Postgres> {
    let server = postgres().await;
    let pool = PgPoolOptions::new().max_connections(16).connect(server.url()).await.unwrap();
    Shop::on(pool, Box::new(server)).await
}

pub(crate) async fn postgres() -> aplomb_testkit::servers::Postgres {
    let starting = tokio::task::spawn_blocking(aplomb_testkit::servers::Postgres::start);
    starting.await.unwrap().unwrap()
}

impl Shop<Sqlite> {
    /// Other connections to the same file, as another process has them.
    pub(crate) async fn again(&self) -> SqlitePool {
        let directory: &tempfile::TempDir = self.place.downcast_ref().unwrap();
        sqlite::connect(directory.path().join("shop.db")).await.unwrap()
    }
}

impl Shop<Postgres> {
    pub(crate) async fn again(&self) -> PgPool {
        let server: &aplomb_testkit::servers::Postgres = self.place.downcast_ref().unwrap();
        PgPoolOptions::new().max_connections(4).connect(server.url()).await.unwrap()
    }
}

pub(crate) fn shipment(key: &str) -> Outgoing {
    Outgoing::new(request(key), 24 * LONG).unwrap()
}

/// A job whose horizon ends at once.
pub(crate) fn hopeless(key: &str) -> Outgoing {
    Outgoing::new(request(key), Duration::ZERO).unwrap()
}

pub(crate) fn request(key: &str) -> Request<Bytes> {
    Request::post("http://me:secret@warehouse:7002/shipments")
        .header("authorization", "Bearer secret")
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(Bytes::from_static(b"{\"order\": 1}"))
        .unwrap()
}

/// The same test on each database.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                Box::pin(super::$name(super::common::on_sqlite().await)).await;
            })*
        }

        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                Box::pin(super::$name(super::common::on_postgres().await)).await;
            })*
        }
    };
}

pub(crate) use on_both;

/// Longer than any test.
pub(crate) const LONG: Duration = Duration::from_secs(3_600);
