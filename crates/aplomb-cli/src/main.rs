//! The aplomb command.

mod failure;
mod init;
mod lab;
mod lint;
mod output;
mod paint;
mod policy;
mod progress;
mod run;
mod setup;

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
    /// Writes a policy file: asks the six questions for one operation of one dependency
    Init(Box<init::Args>),
    /// Checks a policy file, and prints its decision sheets
    #[command(after_help = lint::EXIT_CODES)]
    Lint(lint::Args),
    /// What would this policy do with ten thousand clients?
    Lab {
        #[command(subcommand)]
        command: lab::Command,
    },
}

fn main() -> ExitCode {
    let result = match Aplomb::parse().command {
        Command::Init(args) => init::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Lab { command } => lab::run(&command),
    };
    match result {
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
