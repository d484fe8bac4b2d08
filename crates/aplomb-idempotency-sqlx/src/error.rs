//! What a database's failures mean for a record.

use std::borrow::Cow;

use aplomb_idempotency::{CompleteError, Refusal, StoreError};

/// A failure before anything was committed: the transaction is rolled back.
pub(crate) fn undone(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::corrupt(error),
        error => StoreError::unavailable(error),
    }
}

/// A failure at a commit, or at a statement that is a transaction by itself: unless the database
/// said that it did nothing, nobody knows until the record is read again.
pub(crate) fn in_doubt(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => StoreError::unavailable(error),
        sqlx::Error::Database(_) if is_refusal(code(&error).as_deref()) => {
            StoreError::unavailable(error)
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::corrupt(error),
        _ => StoreError::uncertain(error),
    }
}

/// A handler's refusal when the database failed before the commit: 503, and the key is given back.
pub fn failed(error: sqlx::Error) -> Refusal {
    CompleteError::Store(StoreError::unavailable(error)).into()
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

/// Whether SQLite found another connection at work.
#[cfg(feature = "sqlite")]
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    let code = code(error).and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == SQLITE_BUSY)
}

/// Whether Postgres refuses a transaction above READ COMMITTED to change what was changed since it
/// began.
#[cfg(feature = "postgres")]
pub(crate) fn is_overtaken(error: &sqlx::Error) -> bool {
    code(error).as_deref() == Some("40001")
}

fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
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
