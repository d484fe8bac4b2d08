//! Where the idempotency records lie.

use std::time::Duration;

use aplomb_core::BoxError;
use aplomb_idempotency::operator::{AuditEntry, Listing, Note, Purge, Resolution};
use aplomb_idempotency::{
    Begin, Begun, Held, Keep, MemoryStore, Record, RecordId, Settled, Store, StoreError,
    StoredAnswer,
};
use aplomb_idempotency_redis::RedisStore;
use aplomb_idempotency_sqlx::{PostgresStore, SqliteStore};

use crate::StartError;
use crate::database::Database;

/// Which store holds the idempotency records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a demo's service, not a library")]
pub enum Keys {
    /// The database of the business rows: the record commits with the effect.
    #[default]
    Database,
    /// The Redis of this URL: a record may be lost, then the business key stands behind it.
    Redis(String),
    /// This process's memory: a restart forgets them, then the business key stands behind it.
    Memory,
}

impl Keys {
    /// Whether a record commits in the transaction of its effect.
    pub(crate) fn are_transactional(&self) -> bool {
        *self == Self::Database
    }
}

/// One of the four stores.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "one for each store")]
pub enum Records {
    /// On SQLite, beside the rows.
    Sqlite(SqliteStore),
    /// On Postgres, beside the rows.
    Postgres(PostgresStore),
    /// On Redis.
    Redis(Box<RedisStore>),
    /// In memory.
    Memory(MemoryStore),
}

impl Records {
    /// Opens the store of these keys.
    ///
    /// # Errors
    ///
    /// [`StartError`] when it cannot be used; it says what to do.
    pub async fn open(keys: &Keys, database: &Database) -> Result<Self, StartError> {
        match keys {
            Keys::Database => {
                let opened = Self::beside(database).await;
                opened.map_err(|error| {
                    StartError::setting(
                        "the idempotency tables are not ready",
                        "look at the database's log and the rights of its user",
                        error,
                    )
                })
            }
            Keys::Redis(url) => {
                let store = RedisStore::connect(url.as_str()).await.map_err(|error| {
                    StartError::setting(
                        "the idempotency store on Redis cannot be used",
                        "start a Redis with maxmemory-policy noeviction, or choose another \
                         --idempotency-store",
                        error,
                    )
                })?;
                Ok(Self::Redis(Box::new(store)))
            }
            Keys::Memory => Ok(Self::Memory(MemoryStore::new())),
        }
    }

    async fn beside(database: &Database) -> Result<Self, BoxError> {
        Ok(match database {
            Database::Sqlite(pools) => {
                let store = SqliteStore::new(pools.writer.clone());
                store.migrate().await?;
                Self::Sqlite(store)
            }
            Database::Postgres(pool) => {
                let store = PostgresStore::new(pool.clone());
                store.migrate().await?;
                Self::Postgres(store)
            }
        })
    }

    /// Closes the connections that are its own.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
            Self::Redis(_) | Self::Memory(_) => {}
        }
    }
}

/// Asks whichever store it is.
macro_rules! ask {
    ($records:expr, $store:ident => $question:expr) => {
        match $records {
            Records::Sqlite($store) => $question.await,
            Records::Postgres($store) => $question.await,
            Records::Redis($store) => $question.await,
            Records::Memory($store) => $question.await,
        }
    };
}

impl Store for Records {
    async fn begin(&self, begin: &Begin) -> Result<Begun, StoreError> {
        ask!(self, store => store.begin(begin))
    }

    async fn renew(&self, held: Held, lease: Duration) -> Result<Settled, StoreError> {
        ask!(self, store => store.renew(held, lease))
    }

    async fn complete(
        &self,
        held: Held,
        answer: &StoredAnswer,
        keep: Keep,
    ) -> Result<Settled, StoreError> {
        ask!(self, store => store.complete(held, answer, keep))
    }

    async fn abandon(&self, held: Held, keep: Duration) -> Result<Settled, StoreError> {
        ask!(self, store => store.abandon(held, keep))
    }

    async fn mark_unknown(&self, held: Held) -> Result<Settled, StoreError> {
        ask!(self, store => store.mark_unknown(held))
    }

    async fn get(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        ask!(self, store => store.get(id))
    }

    async fn sweep(&self, most: usize) -> Result<usize, StoreError> {
        ask!(self, store => store.sweep(most))
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>, StoreError> {
        ask!(self, store => store.list(listing))
    }

    async fn resolve(
        &self,
        held: Held,
        resolution: &Resolution,
        note: &Note,
    ) -> Result<Settled, StoreError> {
        ask!(self, store => store.resolve(held, resolution, note))
    }

    async fn purge(&self, purge: &Purge, note: &Note, most: usize) -> Result<usize, StoreError> {
        ask!(self, store => store.purge(purge, note, most))
    }

    async fn audit(
        &self,
        of: Option<RecordId>,
        most: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        ask!(self, store => store.audit(of, most))
    }
}
