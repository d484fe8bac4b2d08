use std::path::Path;
use std::time::Duration;

use aplomb_core::time;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqlitePool};

use crate::error::is_busy;

/// The pools of one database file.
///
/// ```
/// use aplomb_idempotency_sqlx::sqlite::{self, Pools};
/// use aplomb_idempotency_sqlx::{MigrateError, SqliteStore};
///
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let Pools { writer, reader, .. } = sqlite::connect("shop.db").await?;
/// let store = SqliteStore::new(writer.clone());
/// let ready: Result<(), MigrateError> = store.migrate().await;
/// ready?;
/// let options = sqlite::options("shop.db"); // for a pool of one's own
/// # let _ = (reader, options);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pools {
    /// One connection. SQLite has one writer at a time, and waiting for this connection is fair
    /// and prompt, which polling for SQLite's own lock is not. Begin with `BEGIN IMMEDIATE`.
    pub writer: SqlitePool,
    /// Four connections that refuse to write.
    pub reader: SqlitePool,
}

/// Opens `path`, which is created if it is missing. Several processes may do so at once.
///
/// # Errors
///
/// When the file cannot be opened or made a database.
pub async fn connect(path: impl AsRef<Path>) -> Result<Pools, sqlx::Error> {
    let options = options(path);
    let writer = patiently(|| {
        SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // SQLite itself rolls back when the disk is full. The driver then fails to do so,
            // believes for ever that the transaction is open, and refuses to begin another one.
            .before_acquire(|writer, _| Box::pin(async move { Ok(!writer.is_in_transaction()) }))
            .connect_with(options.clone())
    })
    .await?;
    let reader = patiently(|| {
        SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.clone().pragma("query_only", "on"))
    })
    .await?;
    Ok(Pools { writer, reader })
}

/// The options that a pool for records needs: a write-ahead log, which is synced at each commit,
/// and five seconds of patience with other writers.
pub fn options(path: impl AsRef<Path>) -> SqliteConnectOptions {
    durable(SqliteConnectOptions::new().filename(path)).create_if_missing(true)
}

/// In WAL mode a commit that is not synced can be lost when the power goes: "success means
/// durable" needs FULL.
pub(super) fn durable(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
}

/// The connections that are a store's own, opened when they are used.
pub(super) fn lazily(most: u32, options: SqliteConnectOptions) -> SqlitePool {
    let pool = SqlitePoolOptions::new().max_connections(most).acquire_timeout(ACQUIRE_TIMEOUT);
    // A file does not hang up.
    pool.test_before_acquire(false).connect_lazy_with(options)
}

/// Tries again while another connection is in the way. SQLite itself does not wait for everything:
/// when several processes open a new file, all but one may be refused its write-ahead log at once.
pub(super) async fn patiently<T, F>(attempt: impl Fn() -> F) -> sqlx::Result<T>
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

/// How long a statement waits for another writer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// How long a task waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const READERS_MAX: u32 = 4;
