//! Where rows lie: one file, or a Postgres that several processes share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aplomb_core::BoxError;
use aplomb_idempotency::{Claim, CompleteError, Recorded};
use aplomb_idempotency_sqlx::sqlite::{self, Pools};
use aplomb_idempotency_sqlx::{complete_and_commit, postgres};
use bytes::Bytes;
use http::Response;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, Transaction};

use crate::StartError;

/// Which database holds products, reservations and events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a demo's service, not a library")]
pub enum Place {
    /// A SQLite file, made when it is missing, as is its directory.
    File(PathBuf),
    /// The Postgres of this URL; its tables are made when they are missing.
    Postgres(String),
}

/// An open database. Clones share its connections.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "one for each database")]
pub enum Database {
    /// SQLite.
    Sqlite(Pools),
    /// Postgres.
    Postgres(PgPool),
}

impl Database {
    /// Opens it, and brings its tables to the newest version.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the directory cannot be written to, or the database is in use elsewhere,
    /// damaged or out of reach; it says what to do.
    pub async fn open(place: &Place, tables: &Tables) -> Result<Self, StartError> {
        match place {
            Place::File(path) => Self::open_file(path, &tables.sqlite).await,
            Place::Postgres(url) => {
                let opened = Self::connect(url, &tables.postgres).await;
                opened.map_err(|error| StartError::server(url, error))
            }
        }
    }

    async fn open_file(path: &Path, tables: &Migrator) -> Result<Self, StartError> {
        let directory = path.parent().unwrap_or(Path::new("."));
        let made = std::fs::create_dir_all(directory);
        made.map_err(|error| StartError::directory(directory, error))?;
        let opened = async {
            let pools = sqlite::connect(path).await?;
            migrate(&pools, tables).await?;
            Ok::<_, BoxError>(Self::Sqlite(pools))
        };
        opened.await.map_err(|error| StartError::database(path, error))
    }

    async fn connect(url: &str, tables: &Migrator) -> Result<Self, BoxError> {
        let pool = postgres::connect(url).await?;
        tables.run(&pool).await?;
        Ok(Self::Postgres(pool))
    }

    /// A transaction that may write from its first statement on. SQLite's never has to be
    /// upgraded, so it never meets another writer half-way.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn begin(&self) -> sqlx::Result<Tx> {
        Ok(match self {
            Self::Sqlite(pools) => Tx::Sqlite(pools.writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }

    /// A connection to read with.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn reader(&self) -> sqlx::Result<Connection> {
        Ok(match self {
            Self::Sqlite(pools) => Connection::Sqlite(pools.reader.acquire().await?),
            Self::Postgres(pool) => Connection::Postgres(pool.acquire().await?),
        })
    }

    /// A connection that writes single statements.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn writer(&self) -> sqlx::Result<Connection> {
        Ok(match self {
            Self::Sqlite(pools) => Connection::Sqlite(pools.writer.acquire().await?),
            Self::Postgres(pool) => Connection::Postgres(pool.acquire().await?),
        })
    }

    /// Closes its connections once they are given back.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pools) => {
                pools.writer.close().await;
                pools.reader.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// The tables of an application, by version.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "one for each database")]
pub struct Tables {
    /// On SQLite.
    pub sqlite: Migrator,
    /// On Postgres.
    pub postgres: Migrator,
}

/// Postgres lets one process after the other make its tables. On SQLite two that start at once may
/// both begin; whoever comes second fails, and finds them made when it looks again.
async fn migrate(pools: &Pools, tables: &Migrator) -> Result<(), MigrateError> {
    for _ in 1..MIGRATIONS_AT_ONCE {
        if tables.run(&pools.writer).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(MIGRATION).await;
    }
    tables.run(&pools.writer).await
}

/// A transaction. Dropping it rolls it back.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "one for each database")]
pub enum Tx {
    /// SQLite.
    Sqlite(Transaction<'static, Sqlite>),
    /// Postgres.
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    /// Where its statements run.
    pub fn at(&mut self) -> At<'_> {
        match self {
            Self::Sqlite(tx) => At::Sqlite(tx),
            Self::Postgres(tx) => At::Postgres(tx),
        }
    }

    /// Makes it last.
    ///
    /// # Errors
    ///
    /// When the database failed: then nobody knows whether it lasts.
    pub async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }

    /// Undoes it.
    ///
    /// # Errors
    ///
    /// When the database failed: then it is undone as well, a little later.
    pub async fn rollback(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await,
            Self::Postgres(tx) => tx.rollback().await,
        }
    }

    /// Commits with the record of the answer in it.
    ///
    /// # Errors
    ///
    /// As [`complete_and_commit`].
    pub async fn record(
        self,
        claim: &Claim,
        response: Response<Bytes>,
    ) -> Result<Recorded, CompleteError> {
        match self {
            Self::Sqlite(tx) => complete_and_commit(claim, tx, response).await,
            Self::Postgres(tx) => complete_and_commit(claim, tx, response).await,
        }
    }
}

/// A connection out of a pool.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "one for each database")]
pub enum Connection {
    /// SQLite.
    Sqlite(PoolConnection<Sqlite>),
    /// Postgres.
    Postgres(PoolConnection<Postgres>),
}

impl Connection {
    /// Where its statements run.
    pub fn at(&mut self) -> At<'_> {
        match self {
            Self::Sqlite(connection) => At::Sqlite(connection),
            Self::Postgres(connection) => At::Postgres(connection),
        }
    }
}

/// Where a statement runs, in a transaction or not.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "one for each database")]
pub enum At<'a> {
    /// SQLite.
    Sqlite(&'a mut SqliteConnection),
    /// Postgres.
    Postgres(&'a mut PgConnection),
}

impl At<'_> {
    /// The same place, for one statement of several.
    pub fn here(&mut self) -> At<'_> {
        match self {
            Self::Sqlite(connection) => At::Sqlite(connection),
            Self::Postgres(connection) => At::Postgres(connection),
        }
    }

    /// The statement for this database, where they differ.
    pub const fn pick(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite(_) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }
}

/// Runs one statement, which both databases understand, on whichever it is.
#[macro_export]
macro_rules! on {
    ($at:expr, $connection:ident => $work:expr) => {
        match $at {
            $crate::database::At::Sqlite($connection) => $work,
            $crate::database::At::Postgres($connection) => $work,
        }
    };
}
pub use crate::on;

/// The file's name in a data directory.
pub(crate) const FILE: &str = "inventory.db";
/// As many as may sensibly start at once on one file.
const MIGRATIONS_AT_ONCE: u32 = 8;
const MIGRATION: Duration = Duration::from_millis(100);
