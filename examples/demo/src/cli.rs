//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use http::Uri;

/// Designed failure, shown on two services that really fail.
///
/// Without a command: starts the Order API and the Inventory Service on this machine, tells the
/// story of the last item and the lost response with real requests, and serves until Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "aplomb-demo", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Port of the Order API; Inventory has the next one. 0 picks free ports and prints them as
    /// one line of JSON.
    #[arg(long, default_value_t = 7000, value_parser = clap::value_parser!(u16).range(0..=65_534))]
    pub(crate) port: u16,
    /// Where the databases lie [default: ./demo-data; for `check` a temporary directory].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl Cli {
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
    Serve(Serve),
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Check {
    /// Decides every die that can be decided.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// How long to run in all; the last scenario takes what the others leave.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Which service.
    pub(crate) role: Role,
    /// Address and port; port 0 picks a free one.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// Where Inventory is (for `orders`).
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7001", value_parser = base_url)]
    pub(crate) inventory_url: Uri,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// The Inventory Service; `INVENTORY_TOKENS` names its callers.
    Inventory,
    /// The Order API; `INVENTORY_TOKEN` is what Inventory knows it by.
    Orders,
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
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
