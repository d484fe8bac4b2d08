//! A private Postgres.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::UNIX_EPOCH;

use aplomb_core::time;

use super::process::{Directory, Guarded, NotStarted, Stop, User, find_program, finish, free_port};

/// An empty Postgres database.
///
/// The databases of one process lie on one server, which the first of them starts: the newest
/// that is installed, reachable from this machine alone and without a password, and as durable as
/// a real one (`fsync` is on). Where the environment names a running server in
/// `APLOMB_TEST_POSTGRES_URL`, the databases are made there, and dropped with this value.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    /// Where to drop it, if the server outlives us.
    drop_at: Option<String>,
    name: String,
    psql: PathBuf,
    /// A server that is this value's alone.
    own: Option<Guarded>,
}

impl Postgres {
    /// A new database. Blocks its thread while the server starts.
    ///
    /// # Errors
    ///
    /// When no server can be started: what to install, or the end of its log.
    pub fn start() -> Result<Self, NotStarted> {
        match std::env::var(URL) {
            Ok(server) => Self::made_at(&server, Some(server.clone()), None),
            Err(_) => Self::made_at(shared()?, None, None),
        }
    }

    /// A database on a server of its own, for tests that do it harm. The server is stopped with
    /// this value.
    ///
    /// # Errors
    ///
    /// When it cannot be started: what to install, or the end of its log.
    pub fn private() -> Result<Self, NotStarted> {
        let (server, url) = start_server()?;
        Self::made_at(&url, None, Some(server))
    }

    fn made_at(
        server: &str,
        drop_at: Option<String>,
        own: Option<Guarded>,
    ) -> Result<Self, NotStarted> {
        let psql = find_program("psql", &installed(), PACKAGE)?;
        let name = unused_name();
        run_sql(&psql, server, &format!("CREATE DATABASE {name}"))?;
        Ok(Self { url: in_database(server, &name), drop_at, name, psql, own })
    }

    /// How a client connects to it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The end of the log of a [private](Self::private) server.
    pub fn log(&self) -> String {
        self.own.as_ref().map(Guarded::log).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(server) = &self.drop_at {
            let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
            let _ = run_sql(&self.psql, server, &drop);
        }
    }
}

/// This process's own server, by the URL of its first database. It is never dropped: its guardian
/// stops it when the process ends.
fn shared() -> Result<&'static String, NotStarted> {
    static OWN: OnceLock<Result<(Guarded, String), NotStarted>> = OnceLock::new();
    match OWN.get_or_init(start_server) {
        Ok((_, url)) => Ok(url),
        Err(error) => Err(error.clone()),
    }
}

fn start_server() -> Result<(Guarded, String), NotStarted> {
    let mut failed = NotStarted::default();
    for _ in 0..STARTS_MAX {
        match start_once() {
            Ok(started) => return Ok(started),
            Err(error) => failed = error,
        }
        // Somebody else may have taken the port in the meantime; nothing else is worth a retry.
        if !failed.to_string().contains("could not bind") {
            break;
        }
    }
    Err(failed)
}

fn start_once() -> Result<(Guarded, String), NotStarted> {
    let installed = installed();
    let [initdb, postgres, pg_isready] = ["initdb", "postgres", "pg_isready"]
        .map(|program| find_program(program, &installed, PACKAGE));
    let (initdb, postgres, pg_isready) = (initdb?, postgres?, pg_isready?);
    let directory = Directory::new("postgres", User::unless_root("postgres")?)?;
    let data = directory.path().join("data");
    directory.run(&initdb, INITDB.iter().map(Path::new).chain([data.as_path()]))?;

    let port = free_port()?.to_string();
    let sockets = format!("unix_socket_directories={}", directory.path().display());
    let data = data.display().to_string();
    let args = ["-D", &data, "-p", &port, "-c", &sockets, "-c", "listen_addresses=127.0.0.1"];
    let args = args.into_iter().chain(SETTINGS).map(str::to_owned).collect::<Vec<_>>();
    // An immediate stop: nobody will ever read what it would still have written.
    let server = Guarded::spawn(&postgres, args, directory, Stop::Quit)?;
    let mut probe = Command::new(pg_isready);
    probe.args(["-q", "-h", "127.0.0.1", "-p", &port]).stdin(Stdio::null());
    server.until_ready(|| probe.status().is_ok_and(|status| status.success()))?;
    Ok((server, format!("postgres://postgres@127.0.0.1:{port}/postgres")))
}

/// The directories of the programs of every installed version, the newest first, as Debian and
/// its relatives lay them out.
fn installed() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())))
        .collect();
    versions.sort_unstable();
    versions.into_iter().rev().map(|(_, path)| path.join("bin")).collect()
}

fn run_sql(psql: &Path, url: &str, sql: &str) -> Result<(), NotStarted> {
    let mut command = Command::new(psql);
    command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]);
    finish(command.stdin(Stdio::null()))
}

/// A name that no other test has on a server that many may share.
fn unused_name() -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let since = time::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("aplomb_{}_{}_{number}", since.as_millis(), std::process::id())
}

/// The same server's other database: the path of a URL, before its query, names it.
fn in_database(url: &str, name: &str) -> String {
    let (rest, query) =
        url.split_once('?').map_or((url, None), |(rest, query)| (rest, Some(query)));
    let authority = rest.find("://").map_or(0, |scheme| scheme + 3);
    let path = rest[authority..].find('/').map_or(rest.len(), |path| authority + path);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &rest[..path])
}

const URL: &str = "APLOMB_TEST_POSTGRES_URL";
const PACKAGE: &str = "postgresql";
const STARTS_MAX: u32 = 5;
const INITDB: [&str; 7] = [
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
    "--no-instructions",
    "-D",
];
/// Room for tests with many pools; `fsync` and `synchronous_commit` stay on.
const SETTINGS: [&str; 2] = ["-c", "max_connections=300"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_makes_a_database_of_its_own_on_a_durable_server() {
        let (one, other) = (Postgres::start().unwrap(), Postgres::start().unwrap());
        run_sql(&one.psql, one.url(), "CREATE TABLE things (number INT)").unwrap();
        run_sql(&other.psql, other.url(), "CREATE TABLE things (number INT)").unwrap();
        let missing = run_sql(&one.psql, one.url(), "SELECT * FROM nothing").unwrap_err();
        assert!(missing.to_string().contains("does not exist"), "{missing}");
        // A division by zero unless both are on.
        let durable = "SELECT 1 / (count(*) / 2) FROM pg_settings \
             WHERE name IN ('fsync', 'synchronous_commit') AND setting = 'on'";
        run_sql(&one.psql, one.url(), durable).unwrap();
    }

    #[test]
    fn a_database_is_named_by_the_path_of_its_url() {
        let url = "postgres://me:pw@host:5432/postgres?sslmode=disable";
        assert_eq!(in_database(url, "x"), "postgres://me:pw@host:5432/x?sslmode=disable");
        assert_eq!(in_database("postgres://host", "x"), "postgres://host/x");
    }
}
