//! The demo: both services on this machine, a story told with real requests, and a check.
//!
//! `cargo demo` starts everything; `cargo demo -- --help` says what else there is.

mod balancer;
#[cfg(unix)]
pub mod browser;
mod check;
mod cli;
mod client;
mod fleet;
mod lanes;
mod ledger;
mod live;
mod out;
mod page;
mod paint;
mod place;
mod process;
mod redrive;
mod replicas;
mod role;
mod services;
mod shutdown;
mod stand;
mod storm;
mod story;
mod timeline;
#[cfg(unix)]
mod torture;
mod trouble;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

use aplomb_core::time;
use clap::Parser;
use tracing_subscriber::EnvFilter;

pub use trouble::Trouble;

use crate::cli::{Cli, Command};

/// Runs the command line `args`, its first one the program's name.
///
/// Answers 0 when all went well, 1 when an invariant broke, 2 on wrong usage, 3 when this machine
/// does not let it run; the last two say on stderr what to do.
pub async fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to stdout, mistakes to stderr; a closed pipe is nobody's concern.
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()) * USAGE);
        }
    };
    listen_to_logs();
    match obey(cli).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(BROKEN),
        Err(trouble) => {
            eprintln!("aplomb-demo: {trouble}");
            ExitCode::from(ENVIRONMENT)
        }
    }
}

/// Whether every invariant held that was looked at.
async fn obey(cli: Cli) -> Result<bool, Trouble> {
    match cli.command {
        None => live::run(cli.port, &cli.lasting_data(), !cli.no_traffic, cli.policies())
            .await
            .map(|()| true),
        Some(Command::Check(ref check)) => {
            check::run(check, cli.data_dir.as_deref(), cli.policy.as_deref()).await
        }
        Some(Command::Redrive(redrive)) => redrive::run(&redrive).await,
        Some(Command::Storm(storm)) => storm::run(&storm).await,
        #[cfg(unix)]
        Some(Command::Pictures { folder }) => {
            let taken = tokio::task::spawn_blocking(move || page::pictures::take(&folder)).await;
            let died = |error| Trouble::new(format!("the pictures were not taken: {error}"));
            taken.map_err(died)?.map(|()| true)
        }
        #[cfg(unix)]
        Some(Command::Torture(torture)) => torture::run(torture, cli.data_dir.as_deref()).await,
        Some(Command::Serve(ref serve)) => {
            role::run(serve, &cli.lasting_data(), cli.policies()).await.map(|()| true)
        }
    }
}

/// Quiet unless `RUST_LOG` asks for more.
fn listen_to_logs() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    // A test that runs two commands in one process has a subscriber already.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// A name that no earlier run in the same data directory had: the time in base 36.
pub(crate) fn fresh_name() -> String {
    let since = time::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut rest = since.as_millis();
    let mut name = Vec::new();
    while rest > 0 {
        let digit = u32::try_from(rest % 36).unwrap_or_default();
        name.extend(char::from_digit(digit, 36));
        rest /= 36;
    }
    name.iter().rev().collect()
}

const BROKEN: u8 = 1;
const USAGE: u8 = 2;
const ENVIRONMENT: u8 = 3;
