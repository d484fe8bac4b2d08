use std::io;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use aplomb_idempotency::StoreError;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};

use crate::error::undone;

/// A connection that goes back to its pool only when its answer has been read to the end.
///
/// One that failed, was cut off in the middle or never answered is closed: the pool would wait for
/// it, with a place of its own, for as long as the network does.
pub(super) struct Lent {
    connection: PoolConnection<Postgres>,
    is_idle: bool,
}

impl Lent {
    pub(super) async fn from(pool: &PgPool) -> Result<Self, StoreError> {
        let connection = pool.acquire().await.map_err(undone)?;
        Ok(Self { connection, is_idle: false })
    }

    pub(super) fn give_back(mut self) {
        self.is_idle = true;
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.is_idle {
            self.connection.close_on_drop();
        }
    }
}

/// Waits for an answer, within bounds. What a failure means, or no answer, `meaning` says.
pub(super) async fn answer<T>(
    answer: impl Future<Output = sqlx::Result<T>>,
    meaning: fn(sqlx::Error) -> StoreError,
) -> Result<T, StoreError> {
    let answer = tokio::time::timeout(ANSWER_MAX, answer).await;
    let answer = answer.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
    answer.map_err(meaning)
}

/// The server's own bounds are shorter: this is for one that is gone without a word.
const ANSWER_MAX: Duration = Duration::from_secs(15);
