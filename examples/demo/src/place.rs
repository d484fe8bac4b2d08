//! Where the services' rows and the records of Inventory's keys lie.

use std::path::Path;

use aplomb_inventory_service::{Keys, Place};
use aplomb_testkit::servers::{NotStarted, Postgres, Redis};
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::cli::Role;
use crate::trouble::Trouble;

/// A database for each service and a store of keys, with the private servers that they run on.
pub(crate) struct Ground {
    pub(crate) inventory: Place,
    pub(crate) orders: Place,
    pub(crate) warehouse: Place,
    pub(crate) keys: Keys,
    /// The Postgres that all of them are schemas of, if they are.
    server: Option<String>,
    /// Kept running for as long as this is kept.
    _postgres: Option<Postgres>,
    _redis: Option<Redis>,
}

/// The database that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Files in the data directory.
    #[default]
    Data,
    /// This one: Inventory's own file, or a Postgres for all.
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
        let file = |role: Role| Place::File(data.join(format!("{}.db", role.schema())));
        let (inventory, server) = match rows {
            Rows::Data => (file(Role::Inventory), None),
            Rows::At(Place::Postgres(url)) => (schema(&url, Role::Inventory), Some(url)),
            Rows::At(place) => (place, None),
            Rows::Private => {
                let server = blocking(Postgres::start).await?;
                let url = server.url().to_owned();
                postgres = Some(server);
                (schema(&url, Role::Inventory), Some(url))
            }
        };
        if let Some(url) = &server {
            make_schemas(url).await?;
        }
        let other = |role| server.as_deref().map_or_else(|| file(role), |url| schema(url, role));
        let keys = match records {
            Records::At(keys) => keys,
            Records::Private => {
                let server = blocking(Redis::start).await?;
                let url = server.url().to_owned();
                redis = Some(server);
                Keys::Redis(url)
            }
        };
        let (orders, warehouse) = (other(Role::Orders), other(Role::Warehouse));
        Ok(Self { inventory, orders, warehouse, keys, server, _postgres: postgres, _redis: redis })
    }

    /// The Postgres that has a schema for each service, if the rows lie on one.
    pub(crate) fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// How a process that serves this role is told where its rows lie.
    pub(crate) fn arguments(&self, role: Role) -> Vec<String> {
        let place = match role {
            Role::Inventory => &self.inventory,
            Role::Orders | Role::Worker => &self.orders,
            Role::Warehouse => &self.warehouse,
        };
        let database = match place {
            Place::Postgres(url) => url.clone(),
            Place::File(path) => format!("sqlite:{}", path.display()),
        };
        let words = ["serve", role.as_str(), "--listen", "127.0.0.1:0", "--database", &database];
        let mut words = words.map(str::to_owned).to_vec();
        if role == Role::Inventory {
            let store = match &self.keys {
                Keys::Redis(url) => url,
                Keys::Memory => "memory",
                Keys::Database => "database",
            };
            words.extend(["--idempotency-store".to_owned(), store.to_owned()]);
        }
        words
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

impl Role {
    /// What its tables are found under. A worker works on the orders.
    const fn schema(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Orders | Self::Worker => "orders",
            Self::Warehouse => "warehouse",
        }
    }
}

/// The same server, where unqualified names are those of the role's own tables.
fn schema(url: &str, role: Role) -> Place {
    let mark = if url.contains('?') { '&' } else { '?' };
    Place::Postgres(format!("{url}{mark}options=-c%20search_path%3D{}", role.schema()))
}

async fn make_schemas(url: &str) -> Result<(), Trouble> {
    let made = async {
        let mut server = PgConnection::connect(url).await?;
        sqlx::raw_sql(SCHEMAS).execute(&mut server).await?;
        server.close().await
    };
    made.await.map_err(|error: sqlx::Error| {
        Trouble::new(format!(
            "no schemas can be made on the Postgres: {error}; start it, or let its user make them"
        ))
    })
}

async fn blocking<T>(start: fn() -> Result<T, NotStarted>) -> Result<T, Trouble>
where
    T: Send + 'static,
{
    let started = tokio::task::spawn_blocking(start).await;
    let started = started.map_err(|error| Trouble::new(format!("a start died: {error}")))?;
    started.map_err(|error| Trouble::new(error.to_string()))
}

/// One for each service, so that none finds the tables of another.
const SCHEMAS: &str = "CREATE SCHEMA IF NOT EXISTS inventory;
     CREATE SCHEMA IF NOT EXISTS orders;
     CREATE SCHEMA IF NOT EXISTS warehouse;";
