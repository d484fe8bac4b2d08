//! Drives the targets with random bytes, on any compiler.

use std::path::{Path, PathBuf};
use std::{fs, io};

use aplomb_core::time::Duration;
use aplomb_fuzz::{TARGETS, Target, drive, target};
use clap::Parser;

/// Gives random bytes to everything of ours that reads them
#[derive(Parser)]
struct Args {
    /// Only this target
    #[arg(long)]
    target: Option<String>,
    /// For how long, each
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Decides which bytes
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let targets: Vec<Target> = match &args.target {
        Some(name) => vec![target(name).ok_or_else(|| io::Error::other(known(name)))?],
        None => TARGETS.to_vec(),
    };
    for target in targets {
        let corpus = corpus(target.name)?;
        let lasts = Duration::from_secs(args.seconds);
        let inputs = drive(target, &corpus, args.seed, lasts, |input| {
            keep(target.name, input).unwrap_or_else(|error| eprintln!("{error}: {input:?}"));
        });
        println!("{:16} {inputs} inputs", target.name);
    }
    Ok(())
}

fn known(name: &str) -> String {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    format!("no target is called {name}; there are {}", names.join(", "))
}

/// What broke a target joins its corpus, which the tests replay.
fn keep(target: &str, input: &[u8]) -> io::Result<()> {
    let path = folder(target).join("found");
    fs::write(&path, input)?;
    eprintln!("the input that did it is {}: give it a name that says what it is", path.display());
    Ok(())
}

fn corpus(target: &str) -> io::Result<Vec<Vec<u8>>> {
    fs::read_dir(folder(target))?.map(|entry| fs::read(entry?.path())).collect()
}

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}
