//! Letters and jobs in a SQLite file.

use std::path::Path;
use std::time::Duration;

use aplomb_core::time;
use aplomb_dead_letter::{AuditEntry, LetterId, Listing, Record, Reschedule, Timestamp, Which};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Pool, Sqlite, SqliteConnection, SqlitePool};

use crate::backend::{Backend, VERSION, missing, write};
use crate::columns;
use crate::error::{MigrateError, is_busy};
use crate::outgoing::Outgoing;
use crate::rows::rows;
use crate::statements::{Statements, listing, statements};
use crate::task::{Depth, Held, Taken};

/// Opens `path`, which is created if it is missing, for one writer: SQLite has one at a time, and
/// waiting for this connection is fair and prompt, which polling for SQLite's own lock is not.
/// Several processes may do so at once.
///
/// # Errors
///
/// When the file cannot be opened or made a database.
pub async fn connect(path: impl AsRef<Path>) -> Result<SqlitePool, sqlx::Error> {
    let options = options(path);
    patiently(|| {
        SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // SQLite itself rolls back when the disk is full. The driver then fails to do so,
            // believes for ever that the transaction is open, and refuses to begin another one.
            .before_acquire(|writer, _| {
                Box::pin(async move { Ok(!sqlx::Connection::is_in_transaction(writer)) })
            })
            .connect_with(options.clone())
    })
    .await
}

/// The options that a pool for letters needs: a write-ahead log, which is synced at each commit,
/// and five seconds of patience with other writers.
///
/// ```
/// use aplomb_dead_letter_sqlx::sqlite;
///
/// # async fn f() -> Result<(), sqlx::Error> {
/// let pool = sqlx::SqlitePool::connect_with(sqlite::options("letters.db")).await?;
/// # let _ = pool;
/// # Ok(()) }
/// ```
pub fn options(path: impl AsRef<Path>) -> SqliteConnectOptions {
    // In WAL mode a commit that is not synced can be lost when the power goes.
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
}

impl Backend for Sqlite {
    /// Takes the write lock at once: a transaction that reads first and writes later can be refused
    /// in between (`SQLITE_BUSY_SNAPSHOT`), however long it waits.
    const BEGIN: &'static str = "BEGIN IMMEDIATE";

    async fn migrate(pool: &Pool<Self>) -> Result<(), MigrateError> {
        let mut tx = patiently(|| write(pool)).await?;
        let made: bool = sqlx::query_scalar(HAS_SCHEMA).fetch_one(&mut *tx).await?;
        let applied: i64 =
            if made { sqlx::query_scalar(VERSION).fetch_one(&mut *tx).await? } else { 0 };
        for migration in missing(&MIGRATIONS, applied)? {
            sqlx::raw_sql(*migration).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        check_durability(pool).await
    }
}

async fn check_durability(pool: &SqlitePool) -> Result<(), MigrateError> {
    let mut writer = pool.acquire().await?;
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *writer).await?;
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *writer).await?;
    if journal != "wal" || synchronous < SYNCHRONOUS_FULL {
        return Err(MigrateError::new(
            "the pool needs journal_mode=WAL in a file and synchronous=FULL; \
             make it with sqlite::connect or sqlite::options",
        ));
    }
    Ok(())
}

/// Tries again while another connection is in the way. SQLite itself does not wait for everything:
/// when several processes open a new file, all but one may be refused its write-ahead log at once.
async fn patiently<T, F>(attempt: impl Fn() -> F) -> sqlx::Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    let until = time::now() + BUSY_TIMEOUT;
    loop {
        match attempt().await {
            Err(error) if is_busy(&error) && time::now() < until => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Draws a number for each of the jobs that are about to be taken.
async fn draw_fences(connection: &mut SqliteConnection, most: i64) -> sqlx::Result<()> {
    let draw = "UPDATE aplomb_dead_letter_fence SET last = last + $1";
    sqlx::query(draw).bind(most).execute(connection).await.map(|_| ())
}

static SQL: Statements = statements! {
    now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    next_fence: "UPDATE aplomb_dead_letter_fence SET last = last + 1 RETURNING last",
    fence_of_due: "(SELECT last FROM aplomb_dead_letter_fence) - $1 + row_number() OVER ()",
    held: "",
    skipped: "",
};

rows!(SqliteConnection, SQL, draw_fences);

/// The tables, for those who make them by hand: each migration once, in this order.
pub const MIGRATIONS: [&str; 1] = [include_str!("../migrations/sqlite/0001_letters.sql")];

const HAS_SCHEMA: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema \
     WHERE type = 'table' AND name = 'aplomb_dead_letter_schema')";
/// How long a statement waits for another writer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// How long a task waits for the connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// SQLite's number for it.
const SYNCHRONOUS_FULL: i64 = 2;
