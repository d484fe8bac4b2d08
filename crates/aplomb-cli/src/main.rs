//! The aplomb command.

mod failure;
mod lab;
mod output;
mod progress;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Designed failure between HTTP services
#[derive(Parser)]
#[command(name = "aplomb", version)]
struct Aplomb {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What would this policy do with ten thousand clients?
    Lab {
        #[command(subcommand)]
        command: lab::Command,
    },
}

fn main() -> ExitCode {
    let Command::Lab { command } = Aplomb::parse().command;
    match lab::run(&command) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Aplomb::command().debug_assert();
    }
}
