//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use aplomb_inventory_service::{Keys, Place};
use aplomb_order_api::Policies;
use clap::{Args, Parser, Subcommand, ValueEnum};
use http::Uri;

use crate::place::{Records, Rows};
use crate::storm::Storm;

/// Designed failure, shown on two services that really fail.
///
/// Without a command: starts the Order API and the Inventory Service on this machine, tells the
/// story of the last item and the lost response with real requests, and serves until Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "aplomb-demo", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Port of the Order API; Inventory and the Warehouse have the next two. 0 picks free ports and prints them as
    /// one line of JSON.
    #[arg(long, default_value_t = 7000, value_parser = clap::value_parser!(u16).range(0..=65_533))]
    pub(crate) port: u16,
    /// What may be tried, how often and for how long: a policy file, read again whenever it changes
    /// (for the demo, `check` and `serve`) [default: the demo's own].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Places no orders by itself: only the worker and the reconciler are at work.
    #[arg(long)]
    pub(crate) no_traffic: bool,
    /// Where the databases lie [default: ./demo-data; for `check` a temporary directory].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl Cli {
    /// What is in force.
    pub(crate) fn policies(&self) -> Policies {
        self.policy.as_ref().map_or_else(Policies::default, Policies::watched)
    }

    /// Where the databases of services that go on living lie.
    pub(crate) fn lasting_data(&self) -> PathBuf {
        let chosen = self.data_dir.clone();
        chosen.unwrap_or_else(|| PathBuf::from("demo-data"))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run every scenario headless and count the invariants. Exits 0 when they hold, 1 when one
    /// broke, 2 on wrong usage, 3 when this machine does not let it run.
    Check(Check),
    /// Run one service alone. The first line on stdout is JSON with its URL.
    Serve(Box<Serve>),
    /// Send dead letters once more, or show those that wait. Exits 0 when each that was asked for is
    /// shipped, 1 when one is not, 3 when the Order API does not answer.
    Redrive(Redrive),
    /// Run the lab's scenario `article`, scaled down, over real sockets beside what the lab predicts for
    /// it. Exits 0, or 1 when they are further apart than `--within` allows.
    Storm(Storm),
    /// Photograph the dashboard with a headless Chromium: light, dark, on a phone.
    #[cfg(unix)]
    Pictures {
        /// Where the pictures go.
        folder: PathBuf,
    },
    /// Kill, stop and repeat Inventory processes at random, and count the effects. Exits as
    /// `check` does.
    #[cfg(unix)]
    Torture(Torture),
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Torture {
    /// Where the idempotency records lie.
    #[arg(long)]
    pub(crate) store: Store,
    /// How many requests to begin.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) steps: u64,
    /// Decides what befalls each request.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    /// Beside the rows, in one SQLite file that two processes share.
    Sqlite,
    /// Beside the rows, on a Postgres that three processes share.
    Postgres,
    /// On a Redis that two processes share, the rows in SQLite.
    Redis,
    /// In the memory of one process, the rows in SQLite.
    Memory,
}

impl Store {
    /// Whether a record commits with its effect.
    pub(crate) const fn is_transactional(self) -> bool {
        matches!(self, Self::Sqlite | Self::Postgres)
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Memory => "memory",
        }
    }
}

/// What a check can play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Story {
    /// The last item, and a response that is lost.
    LastItem,
    /// More orders than items, at once.
    Rush,
    /// The customer clicks again.
    Clicks,
    /// What nobody should send.
    BadInput,
    /// What is shown of the stock while Inventory is down.
    Shown,
    /// Poison, dead letter, redrive.
    Poison,
    /// A database that takes no dead letters.
    NoRoom,
    /// Inventory takes three seconds.
    Slow,
    /// Three in ten requests fail.
    Flaky,
    /// Three lanes while answers are lost.
    Storm,
    /// Three times what Inventory can do, with doors in front of it and without.
    Overload,
    /// Outage, breaker, recovery.
    Outage,
    /// Every process is replaced under load (needs processes).
    Rolling,
    /// Processes are killed at random (needs processes).
    Kills,
    /// Everything at once.
    Mixed,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Check {
    /// Decides every die that can be decided.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// About how long to run: each story takes what it needs, the last ones what is left.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Play these stories alone.
    #[arg(long, value_name = "STORY", value_delimiter = ',')]
    pub(crate) only: Vec<Story>,
    /// Where the rows lie: `postgres://…` with a schema for each service, `postgres` for a private
    /// server that is started for this run, or `sqlite:PATH` for Inventory's own file [default:
    /// SQLite files in the data directory].
    #[arg(long, value_name = "URL", value_parser = rows, default_value = "data", hide_default_value = true)]
    pub(crate) database: Rows,
    /// Where the records of Inventory's keys lie: `database`, `memory`, `redis://…`, or `redis`
    /// for a private server.
    #[arg(long, value_name = "STORE", value_parser = records, default_value = "database")]
    pub(crate) idempotency_store: Records,
    /// How many processes there are of each role: inventory, orders, warehouse, worker. 0 runs all
    /// in this process, which is quicker; what needs processes to kill or to restart is skipped.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=8))]
    pub(crate) processes: u64,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Redrive {
    /// Where the Order API is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7000", value_parser = base_url)]
    pub(crate) orders: Uri,
    /// The letter to send; without one, and without `--all`, the letters are shown.
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Send all that wait.
    #[arg(long, conflicts_with = "id")]
    pub(crate) all: bool,
    /// Who does it, for the audit.
    #[arg(long, value_name = "NAME", default_value = "operator")]
    pub(crate) by: String,
    /// Why, for the audit.
    #[arg(long, value_name = "REASON", default_value = "")]
    pub(crate) why: String,
}

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Serve {
    /// Which service.
    pub(crate) role: Role,
    /// Address and port; port 0 picks a free one.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// Where Inventory is (for `orders`).
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7001", value_parser = base_url)]
    pub(crate) inventory_url: Uri,
    /// Where the Warehouse is (for `orders` and `worker`).
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7002", value_parser = base_url)]
    pub(crate) warehouse_url: Uri,
    /// Where the rows lie: `sqlite:PATH` or `postgres://…` [default: a SQLite file in the data
    /// directory].
    #[arg(long, value_name = "URL", value_parser = place)]
    pub(crate) database: Option<Place>,
    /// Where the idempotency records lie: `database`, `redis://…` or `memory` (for `inventory`).
    #[arg(long, value_name = "STORE", default_value = "database", value_parser = keys)]
    pub(crate) idempotency_store: Keys,
    /// How long a claim on a key (for `inventory` and `orders`) or on a task (for `worker`) holds
    /// unless it is renewed, in milliseconds [default: 2000; of a task 10000].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub(crate) lease_ms: Option<u64>,
    /// How long connections are still taken after the order to stop, in milliseconds, so that
    /// whoever watches `/readyz` can look elsewhere.
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(0..=600_000))]
    pub(crate) notice_ms: u64,
    /// Decides every die that can be decided [default: nobody can foretell them].
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Makes the waits between the rounds of a shipment seconds instead of minutes, for somebody
    /// who watches (for `orders` and `worker`).
    #[arg(long)]
    pub(crate) hurry: bool,
    /// Also takes reservations without a key at `/legacy/reservations`, as the demo's naive
    /// customers make them (for `inventory`).
    #[arg(long)]
    pub(crate) legacy: bool,
    /// Stop when standard input ends.
    #[arg(long, hide = true)]
    pub(crate) with_parent: bool,
    /// Die or stop where a request's `x-torture` header says so.
    #[arg(long, hide = true)]
    pub(crate) obey_torture: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// The Inventory Service; `INVENTORY_TOKENS` names its callers.
    Inventory,
    /// The Order API; `INVENTORY_TOKEN` is what Inventory knows it by.
    Orders,
    /// The Warehouse.
    Warehouse,
    /// What ships confirmed orders, on the Order API's database.
    Worker,
}

impl Role {
    pub(crate) const ALL: [Self; 4] =
        [Self::Inventory, Self::Orders, Self::Warehouse, Self::Worker];

    /// As it is said on the command line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Orders => "orders",
            Self::Warehouse => "warehouse",
            Self::Worker => "worker",
        }
    }
}

fn place(text: &str) -> Result<Place, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Ok(Place::Postgres(text.to_owned()));
    }
    match text.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(Place::File(path.into())),
        _ => Err("give sqlite:PATH or postgres://…".to_owned()),
    }
}

fn rows(text: &str) -> Result<Rows, String> {
    match text {
        "data" => Ok(Rows::Data),
        "postgres" => Ok(Rows::Private),
        _ => place(text).map(Rows::At),
    }
}

fn records(text: &str) -> Result<Records, String> {
    match text {
        "redis" => Ok(Records::Private),
        _ => keys(text).map(Records::At),
    }
}

fn keys(text: &str) -> Result<Keys, String> {
    match text {
        "database" => Ok(Keys::Database),
        "memory" => Ok(Keys::Memory),
        _ if text.starts_with("redis://") => Ok(Keys::Redis(text.to_owned())),
        _ => Err("give database, redis://… or memory".to_owned()),
    }
}

fn base_url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
    let is_base = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
    if uri.authority().is_none() || !is_base {
        return Err("give http://host:port without a path".to_owned());
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_plain_http_without_a_path() {
        assert!(base_url("http://127.0.0.1:7001").is_ok());
        assert!(base_url("http://stock/").is_ok());
        for wrong in ["127.0.0.1:7001", "https://stock", "http://stock/x", "/x", ""] {
            assert!(base_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn places_and_stores_are_told_by_how_they_begin() {
        assert!(matches!(place("sqlite:a/b.db"), Ok(Place::File(path)) if path.ends_with("b.db")));
        assert!(matches!(place("postgres://h/db"), Ok(Place::Postgres(_))));
        assert_eq!(keys("database"), Ok(Keys::Database));
        assert_eq!(keys("redis://h:1"), Ok(Keys::Redis("redis://h:1".into())));
        for wrong in ["", "sqlite:", "mysql://h/db", "a.db"] {
            assert!(place(wrong).is_err(), "{wrong}");
            assert!(keys(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
