//! Letters and jobs in a Postgres database.
//!
//! The pool is the application's own. Give it a `lock_timeout`, so that a letter which somebody's
//! open transaction holds is waited for within bounds.

use std::future::ready;
use std::time::Duration;

use aplomb_dead_letter::{AuditEntry, LetterId, Listing, Record, Reschedule, Timestamp, Which};
use sqlx::{PgConnection, Pool, Postgres};

use crate::backend::{Backend, VERSION, missing, write};
use crate::columns;
use crate::error::MigrateError;
use crate::outgoing::Outgoing;
use crate::rows::rows;
use crate::statements::{Statements, listing, statements};
use crate::task::{Depth, Held, Taken};

impl Backend for Postgres {
    /// Whatever the database's default is: a statement sees what was committed before it, and a
    /// worker that wakes late changes no row.
    const BEGIN: &'static str = "BEGIN ISOLATION LEVEL READ COMMITTED";

    async fn migrate(pool: &Pool<Self>) -> Result<(), MigrateError> {
        let mut tx = write(pool).await?;
        // `CREATE TABLE IF NOT EXISTS` is not safe against itself: one process after the other.
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
        let made: bool = sqlx::query_scalar(HAS_SCHEMA).fetch_one(&mut *tx).await?;
        let applied: i64 =
            if made { sqlx::query_scalar(VERSION).fetch_one(&mut *tx).await? } else { 0 };
        for migration in missing(&MIGRATIONS, applied)? {
            sqlx::raw_sql(*migration).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// The statement that takes jobs draws their numbers itself.
fn draw_none(_: &mut PgConnection, _: i64) -> impl Future<Output = sqlx::Result<()>> + use<> {
    ready(Ok(()))
}

static SQL: Statements = statements! {
    now: "(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT",
    next_fence: "SELECT nextval('aplomb_dead_letter_fence')",
    fence_of_due: "nextval('aplomb_dead_letter_fence')",
    held: " FOR UPDATE",
    skipped: " FOR UPDATE SKIP LOCKED",
};

rows!(PgConnection, SQL, draw_none);

/// The tables, for those who make them by hand: each migration once, in this order.
pub const MIGRATIONS: [&str; 1] = [include_str!("../migrations/postgres/0001_letters.sql")];

const HAS_SCHEMA: &str = "SELECT to_regclass('aplomb_dead_letter_schema') IS NOT NULL";
/// The letters `aplombdl` as a number, which no other program is likely to lock.
const LOCK: i64 = 0x6170_6c6f_6d62_646c;
