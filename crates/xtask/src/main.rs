//! The project's own chores.
//!
//! One chore, one module: `cargo xtask test` is `test.rs`. A new chore is a module with a `run`,
//! a variant of [`Chore`] that documents it, one arm in [`main`]. A chore describes its work as
//! [`Step`](steps::Step)s; the [`Report`] runs them, times them, tells what failed.

mod bench;
mod book;
mod ci;
mod deny;
mod docs;
mod figures;
mod fuzz;
mod loom;
mod minimal;
mod mutants;
mod needs;
mod outside;
mod package;
mod readmes;
mod report;
mod semver;
mod simulate;
mod soak;
mod steps;
mod test;
mod toolchain;
mod torture;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::report::Report;

/// The project's own chores
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Chore {
    /// Makes this machine ready for the tests and runs them all
    Test(test::Args),
    /// Measures speed
    Bench(bench::Args),
    /// Builds the book, then walks its links
    Book,
    /// Everything that must hold before a change lands; CI runs this and nothing else
    Ci,
    /// Builds the documentation, or says what of it is missing
    Docs(docs::Args),
    /// Makes the tables that stand in the docs, with the lab
    Figures(figures::Args),
    /// Gives hostile bytes to everything of ours that reads them
    Fuzz(fuzz::Args),
    /// Makes the READMEs of the crates from their documentation
    Readmes(readmes::Args),
    /// Checks every interleaving of two threads on the lock-free cores
    Loom,
    /// Compiles every published crate with the oldest versions that its manifest allows
    MinimalVersions,
    /// Puts deliberate faults into a copy and sees that the suites catch them
    Mutants(mutants::Args),
    /// Runs the shop on a simulated network, in whatever trouble the seeds make
    Simulate(simulate::Args),
    /// Packs every published crate as a registry would get it
    Package,
    /// Says what would break whoever depends on the published crates
    Semver(semver::Args),
    /// Runs the demo under faults and kills, with ceilings for memory and descriptors
    Soak(soak::Args),
    /// Kills, stops and repeats real processes at random, and counts the effects
    Torture(torture::Args),
    /// Looks our dependencies up in the database of known vulnerabilities (needs a network)
    Advisories,
}

fn main() -> ExitCode {
    let chore = Chore::parse();
    if let Err(error) = std::env::set_current_dir(workspace()) {
        eprintln!("cannot enter the workspace: {error}; start this with `cargo xtask`");
        return ExitCode::FAILURE;
    }
    let mut report = Report::default();
    match chore {
        Chore::Test(args) => test::run(&mut report, &args),
        Chore::Bench(args) => bench::run(&mut report, &args),
        Chore::Book => book::run(&mut report),
        Chore::Ci => ci::run(&mut report),
        Chore::Docs(args) => docs::run(&mut report, &args),
        Chore::Figures(args) => figures::run(&mut report, &args),
        Chore::Fuzz(args) => fuzz::run(&mut report, &args),
        Chore::Readmes(args) => readmes::run(&mut report, &args),
        Chore::Loom => loom::run(&mut report),
        Chore::MinimalVersions => minimal::run(&mut report),
        Chore::Mutants(args) => mutants::run(&mut report, &args),
        Chore::Simulate(args) => simulate::run(&mut report, &args),
        Chore::Package => package::run(&mut report),
        Chore::Semver(args) => semver::run(&mut report, &args),
        Chore::Soak(args) => soak::run(&mut report, &args),
        Chore::Torture(args) => torture::run(&mut report, &args),
        Chore::Advisories => deny::advisories(&mut report),
    }
    report.conclude()
}

/// Where the workspace lies: cargo tells the folder of the package that it runs.
///
/// A program started without cargo falls back to the folder it stands in.
fn workspace() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from("."), |here| PathBuf::from(here).join("../.."))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Chore::command().debug_assert();
    }

    #[test]
    fn what_stands_behind_the_dashes_reaches_the_test_runner() {
        let chore = Chore::try_parse_from(["xtask", "test", "--", "a_probe", "--no-capture"]);
        let Ok(Chore::Test(args)) = chore else { panic!("`test` takes arguments for the runner") };
        assert_eq!(args.runner, ["a_probe", "--no-capture"]);
    }
}
