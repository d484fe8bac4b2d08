//! The demo's command; see `aplomb-demo --help`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    aplomb_demo::run(std::env::args_os()).await
}
