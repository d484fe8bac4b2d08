//! Opens the database, keeps it small.

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use aplomb_core::BoxError;
use aplomb_idempotency::Store;
use aplomb_idempotency_sqlx::SqliteStore;
use aplomb_idempotency_sqlx::sqlite::{self, Pools};

use crate::StartError;

/// The service's own tables and the idempotency records in one file, so that one transaction
/// covers both.
pub(crate) async fn open(directory: &Path) -> Result<(Pools, SqliteStore), StartError> {
    std::fs::create_dir_all(directory).map_err(|error| StartError::directory(directory, error))?;
    let path = directory.join(FILE);
    let opened = connect(&path).await;
    opened.map_err(|error| StartError::database(&path, error))
}

async fn connect(path: &Path) -> Result<(Pools, SqliteStore), BoxError> {
    let pools = sqlite::connect(path).await?;
    sqlx::migrate!().run(&pools.writer).await?;
    let store = SqliteStore::new(pools.writer.clone());
    store.migrate().await?;
    Ok((pools, store))
}

/// Forgets expired keys, for ever.
pub(crate) async fn sweep(store: &SqliteStore) -> Infallible {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        if let Err(error) = store.sweep(SWEEP_MOST).await {
            tracing::warn!(%error, "expired keys could not be swept");
        }
    }
}

const FILE: &str = "inventory.db";
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Few enough that a sweep holds the writer for milliseconds.
const SWEEP_MOST: usize = 500;
