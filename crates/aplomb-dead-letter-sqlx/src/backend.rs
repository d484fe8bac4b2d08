use sqlx::{Database, Pool, Transaction};

use crate::error::MigrateError;
use crate::rows::Rows;

/// A database that holds letters and jobs: [`Sqlite`](sqlx::Sqlite), [`Postgres`](sqlx::Postgres).
///
/// ```
/// use aplomb_dead_letter_sqlx::{Backend, Outbox};
///
/// fn outbox<D: Backend>(pool: sqlx::Pool<D>) -> Outbox<D> {
///     Outbox::new(pool)
/// }
/// # let _ = outbox::<sqlx::Sqlite>;
/// ```
pub trait Backend: Database<Connection: Rows> + Sized {
    /// How a transaction begins that will write.
    #[doc(hidden)]
    const BEGIN: &'static str;

    /// Makes the tables, or brings them up to date.
    #[doc(hidden)]
    fn migrate(pool: &Pool<Self>) -> impl Future<Output = Result<(), MigrateError>> + Send;
}

/// A transaction that will write: it waits for its locks now, not halfway through.
pub(crate) async fn write<D: Backend>(pool: &Pool<D>) -> sqlx::Result<Transaction<'static, D>> {
    pool.begin_with(D::BEGIN).await
}

/// The migrations that bring tables of the version `applied` up to date. Each brings them from the
/// version before to its own, and says so in their version table: sqlx's own belongs to the
/// application.
pub(crate) fn missing(
    migrations: &'static [&'static str],
    applied: i64,
) -> Result<&'static [&'static str], MigrateError> {
    let applied = usize::try_from(applied).unwrap_or_default();
    let missing = migrations.get(applied..);
    missing.ok_or_else(|| MigrateError::new("the tables were made by a later version; update"))
}

/// The version of the tables that are there.
pub(crate) const VERSION: &str =
    "SELECT CAST(coalesce(max(version), 0) AS BIGINT) FROM aplomb_dead_letter_schema";
