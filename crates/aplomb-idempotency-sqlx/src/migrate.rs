use std::error::Error;
use std::fmt;

use aplomb_core::BoxError;

/// The store's tables could not be made or must not be used.
#[derive(Debug)]
pub struct MigrateError(BoxError);

impl MigrateError {
    pub(crate) fn new(message: &'static str) -> Self {
        Self(message.into())
    }
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

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "idempotency tables not ready: {}", self.0)
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
