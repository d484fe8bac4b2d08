//! What a database's failures mean.

use std::error::Error;
use std::fmt;

use aplomb_core::BoxError;
use aplomb_dead_letter::SinkError;

/// The outbox could not do what it was asked.
#[derive(Debug)]
pub struct OutboxError {
    is_uncertain: bool,
    source: sqlx::Error,
}

impl OutboxError {
    /// A failure before anything was committed.
    pub(crate) fn undone(source: sqlx::Error) -> Self {
        Self { is_uncertain: false, source }
    }

    /// A failure at a commit, or at a statement that is a transaction by itself.
    pub(crate) fn in_doubt(source: sqlx::Error) -> Self {
        Self { is_uncertain: is_doubtful(&source), source }
    }

    /// Whether what was asked may have been done. All that is asked of an outbox may be asked again.
    pub fn is_uncertain(&self) -> bool {
        self.is_uncertain
    }
}

impl fmt::Display for OutboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_uncertain {
            "the outbox's answer was lost; ask it again"
        } else {
            "the outbox's database failed; nothing was changed"
        })
    }
}

impl Error for OutboxError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// The tables could not be made or must not be used.
#[derive(Debug)]
pub struct MigrateError(BoxError);

impl MigrateError {
    pub(crate) fn new(message: &'static str) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dead-letter tables not ready: {}", self.0)
    }
}

impl Error for MigrateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

impl From<sqlx::Error> for MigrateError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.into())
    }
}

/// A failure before anything was committed: the transaction is rolled back.
pub(crate) fn undone(error: sqlx::Error) -> SinkError {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => SinkError::corrupt(error),
        error => SinkError::unavailable(error),
    }
}

/// A failure at a commit: unless the database said that it did nothing, nobody knows.
pub(crate) fn in_doubt(error: sqlx::Error) -> SinkError {
    if is_doubtful(&error) { SinkError::uncertain(error) } else { undone(error) }
}

/// Whether SQLite found another connection at work.
#[cfg(feature = "sqlite")]
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == SQLITE_BUSY)
}

fn is_doubtful(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(refusal) => !is_refusal(refusal.code().as_deref()),
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_) => false,
        _ => true,
    }
}

/// Whether a database that fails with this code has done nothing.
///
/// SQLite's codes are numbers: of those that a commit can fail with, `SQLITE_BUSY` (5) and
/// `SQLITE_CONSTRAINT` (19) leave the transaction open, to be rolled back. Postgres' have five
/// characters; a server that stops (57P..), breaks (58.., F0.., XX..) or loses the connection
/// (08..) may do so after the commit.
fn is_refusal(code: Option<&str>) -> bool {
    match code {
        Some(code) if code.len() == 5 => {
            !["08", "57P", "58", "F0", "XX"].iter().any(|class| code.starts_with(class))
        }
        Some(code) => {
            let primary = code.parse::<u32>().map(|code| code & 0xff);
            matches!(primary, Ok(SQLITE_BUSY | SQLITE_CONSTRAINT))
        }
        None => false,
    }
}

const SQLITE_BUSY: u32 = 5;
const SQLITE_CONSTRAINT: u32 = 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_stops_leaves_a_doubt_and_one_that_refuses_does_not() {
        for refused in ["55P03", "40001", "23505", "25P02", "57014", "5", "517", "2067"] {
            assert!(is_refusal(Some(refused)), "{refused}");
        }
        for doubtful in [Some("57P01"), Some("57P02"), Some("XX000"), Some("10"), Some("13"), None]
        {
            assert!(!is_refusal(doubtful), "{doubtful:?}");
        }
    }
}
