//! Where Inventory's rows and the records of its keys lie.

use std::path::Path;

use aplomb_inventory_service::{Keys, Place};
use aplomb_testkit::servers::{NotStarted, Postgres, Redis};

use crate::trouble::Trouble;

/// A database and a store, with the private servers that they run on.
pub(crate) struct Ground {
    pub(crate) place: Place,
    pub(crate) keys: Keys,
    /// Kept running for as long as this is kept.
    _postgres: Option<Postgres>,
    _redis: Option<Redis>,
}

/// The database that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rows {
    /// A file in the data directory.
    #[default]
    Data,
    /// This one.
    At(Place),
    /// A Postgres that is started for this run.
    Private,
}

/// The store that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Records {
    /// This one.
    At(Keys),
    /// A Redis that is started for this run.
    Private,
}

impl Ground {
    /// Starts what has to be started.
    pub(crate) async fn prepare(
        rows: Rows,
        records: Records,
        data: &Path,
    ) -> Result<Self, Trouble> {
        let (mut postgres, mut redis) = (None, None);
        let place = match rows {
            Rows::Data => Place::File(data.join("inventory.db")),
            Rows::At(place) => place,
            Rows::Private => {
                let server = blocking(Postgres::start).await?;
                let url = server.url().to_owned();
                postgres = Some(server);
                Place::Postgres(url)
            }
        };
        let keys = match records {
            Records::At(keys) => keys,
            Records::Private => {
                let server = blocking(Redis::start).await?;
                let url = server.url().to_owned();
                redis = Some(server);
                Keys::Redis(url)
            }
        };
        Ok(Self { place, keys, _postgres: postgres, _redis: redis })
    }

    /// How a process of `serve inventory` is told.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let database = match &self.place {
            Place::Postgres(url) => url.clone(),
            Place::File(path) => format!("sqlite:{}", path.display()),
        };
        let store = match &self.keys {
            Keys::Redis(url) => url.clone(),
            Keys::Memory => "memory".to_owned(),
            Keys::Database => "database".to_owned(),
        };
        let words = ["serve", "inventory", "--listen", "127.0.0.1:0", "--database"];
        let words = words.map(str::to_owned).into_iter();
        words.chain([database, "--idempotency-store".to_owned(), store]).collect()
    }

    /// What keeps an effect from happening twice.
    pub(crate) fn guarantee(&self) -> &'static str {
        match self.keys {
            Keys::Redis(_) => {
                "weaker: a record does not commit with its effect; after a crash the business key is asked"
            }
            Keys::Memory => {
                "weaker: records die with their process; after a crash the business key is asked"
            }
            Keys::Database => "every record commits with its effect",
        }
    }
}

async fn blocking<T>(start: fn() -> Result<T, NotStarted>) -> Result<T, Trouble>
where
    T: Send + 'static,
{
    let started = tokio::task::spawn_blocking(start).await;
    let started = started.map_err(|error| Trouble::new(format!("a start died: {error}")))?;
    started.map_err(|error| Trouble::new(error.to_string()))
}
