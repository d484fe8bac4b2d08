use std::path::Path;
use std::process::{Command, Stdio};

use crate::needs;
use crate::report::Report;
use crate::steps::{Line, Step};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// For how long, each target
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Only this target
    #[arg(long)]
    target: Option<String>,
    /// Decides the bytes where coverage does not guide
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// Everything that reads what anybody may send, with hostile bytes.
///
/// Guided by coverage under cargo-fuzz, where that is installed together with a nightly compiler;
/// else by seeded dice, which any compiler can do and which finds less.
pub(crate) fn run(report: &mut Report, args: &Args) {
    let missing = missing();
    if missing.is_empty() {
        let step = guided(args);
        if let Err(error) = make_room() {
            report.fail(step.title, vec![error.to_string()]);
            return;
        }
        report.run(&step);
        return;
    }
    println!("seeded bytes only; for bytes that coverage guides:");
    for missing in missing {
        println!("  {missing}");
    }
    report.run(&seeded(args));
}

/// What cargo-fuzz would need, each with the command that gets it.
fn missing() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if !needs::is_on_path("cargo-fuzz") {
        missing.push("cargo-fuzz is not installed: `cargo install cargo-fuzz`");
    }
    let mut nightly = Command::new("cargo");
    nightly.args(["+nightly", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !nightly.status().is_ok_and(|status| status.success()) {
        missing.push("there is no nightly compiler: `rustup toolchain install nightly`");
    }
    missing
}

fn seeded(args: &Args) -> Step {
    let line = Line::cargo(&["run", "--release", "--package", "aplomb-fuzz", "--"]);
    let seconds = [args.seconds.to_string(), "--seed".into(), args.seed.to_string()];
    let line = line.args(&["--seconds".to_owned()]).args(&seconds);
    let line = match &args.target {
        Some(target) => line.args(&["--target".to_owned(), target.clone()]),
        None => line,
    };
    Step::new("fuzz, seeded", [line])
}

fn guided(args: &Args) -> Step {
    let targets = args.target.clone().map_or_else(targets, |target| vec![target]);
    let lines = targets.into_iter().map(|target| {
        // A copy of the corpus grows, the committed one is chosen by hand.
        let committed = format!("{CORPUS}/{target}");
        let grown = format!("{GROWN}/{target}");
        let line = Line::cargo(&["+nightly", "fuzz", "run", "--fuzz-dir", "tests/fuzz/libfuzzer"]);
        let time = format!("-max_total_time={}", args.seconds);
        line.args(&["target".into(), grown, committed, "--".into(), time])
            .env("APLOMB_TARGET", target)
    });
    Step::new("fuzz, guided by coverage", lines)
}

/// Each target has a corpus of its name, which a test of theirs sees to.
fn targets() -> Vec<String> {
    let folders = std::fs::read_dir(Path::new(CORPUS)).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        folders.filter_map(|folder| folder.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// libFuzzer makes no folders.
fn make_room() -> std::io::Result<()> {
    targets().iter().try_for_each(|target| std::fs::create_dir_all(format!("{GROWN}/{target}")))
}

const GROWN: &str = "target/fuzz";
const CORPUS: &str = "tests/fuzz/corpus";

#[cfg(test)]
mod tests {
    use super::*;

    fn args(target: Option<&str>) -> Args {
        Args { seconds: 60, target: target.map(str::to_owned), seed: 9 }
    }

    #[test]
    fn without_cargo_fuzz_the_dice_are_seeded() {
        assert_eq!(
            seeded(&args(Some("policy"))).lines[0].to_string(),
            "cargo run --release --package aplomb-fuzz -- --seconds 60 --seed 9 --target policy"
        );
    }

    #[test]
    fn with_it_each_target_begins_with_its_committed_corpus() {
        let line = guided(&args(Some("policy"))).lines[0].to_string();
        assert!(line.starts_with("APLOMB_TARGET=policy cargo +nightly fuzz run "), "{line}");
        assert!(
            line.ends_with("target/fuzz/policy tests/fuzz/corpus/policy -- -max_total_time=60")
        );
    }
}
