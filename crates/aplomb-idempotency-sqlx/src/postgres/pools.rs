use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool};

/// Opens a pool of ten connections for an application's own statements. A task waits five seconds
/// for one of them at most.
///
/// # Errors
///
/// When `url` is none, or no server answers there within that time.
pub async fn connect(url: &str) -> Result<PgPool, sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(10).acquire_timeout(ACQUIRE_TIMEOUT);
    pool.connect_with(options(url)?).await
}

/// The options of that pool's connections: a statement waits for another's lock for five seconds
/// at most, and a transaction that its owner left idle for a minute is rolled back.
///
/// ```
/// use aplomb_idempotency_sqlx::postgres;
///
/// let options = postgres::options("postgres://shop@localhost/shop")?.application_name("shop");
/// # let _ = options;
/// # Ok::<(), sqlx::Error>(())
/// ```
///
/// # Errors
///
/// When `url` is none.
pub fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?;
    Ok(options.options([("lock_timeout", "5s"), ("idle_in_transaction_session_timeout", "60s")]))
}

/// The connections that are a store's own, opened when they are used. Whatever the database's
/// defaults are, each statement sees what was committed before it, and waits for locks and
/// answers within bounds. All of them find their rows by a key, whatever that is, so one plan does.
pub(super) fn own(options: &PgConnectOptions, most: u32, patience: &str) -> PgPool {
    let options = options.clone().options([
        ("default_transaction_isolation", "read committed"),
        ("lock_timeout", patience),
        ("statement_timeout", "10s"),
        ("plan_cache_mode", "force_generic_plan"),
        ("idle_in_transaction_session_timeout", "20s"),
    ]);
    let named = options.get_application_name().is_some();
    let options = if named { options } else { options.application_name("aplomb-idempotency") };
    PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A round trip for each statement is too much to ask of a connection in steady use.
        .test_before_acquire(false)
        .before_acquire(|connection, used| {
            Box::pin(async move {
                if used.idle_for > TRUSTED_FOR {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// For how long an idle connection is taken to be alive.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
