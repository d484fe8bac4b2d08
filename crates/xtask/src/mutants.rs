//! Whether the suites catch what they are there to catch.
//!
//! Each deliberate fault is a line of the code put in another way, in a copy of the repository:
//! nothing of it lies in what ships. A suite must be green without the fault, and red with it.

mod faults;
mod machines;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use cargo_metadata::MetadataCommand;

use crate::report::Report;
use crate::steps::Line;
use crate::tree;
use faults::{FAULTS, Fault, Suite};

const TITLE: &str = "deliberate faults";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only the faults whose name has this word; of the machines, only the files
    #[arg(long)]
    only: Option<String>,
    /// Instead, changes every decision of the pure machines, one at a time (takes hours)
    #[arg(long)]
    machines: bool,
}

pub(crate) fn run(report: &mut Report, args: &Args) {
    if args.machines {
        machines::run(report, args.only.as_deref());
        return;
    }
    let is_meant = |fault: &&Fault| args.only.as_ref().is_none_or(|word| fault.name.contains(word));
    let faults: Vec<&Fault> = FAULTS.iter().filter(is_meant).collect();
    report.work(TITLE, || match Tree::copy().and_then(|tree| try_all(&tree, &faults)) {
        Ok(missed) => missed,
        Err(error) => vec![error.to_string()],
    });
}

/// Tries each fault, prints the table, says which were missed.
fn try_all(tree: &Tree, faults: &[&Fault]) -> io::Result<Vec<String>> {
    let mut suites: Vec<Suite> = Vec::new();
    suites.extend(faults.iter().map(|fault| fault.suite));
    suites.sort_unstable();
    suites.dedup();
    for suite in suites {
        if tree.judge(suite)? != Verdict::Green {
            return Ok(vec![format!("{suite:?} is not green to begin with")]);
        }
    }
    let mut rows = Vec::new();
    for fault in faults {
        rows.push((*fault, tree.try_one(fault)?));
    }
    println!("\n| fault | the suite that catches it | |\n|---|---|---|");
    for (fault, verdict) in &rows {
        println!("| {} | `{}` | {} |", fault.name, fault.suite.said(), verdict.word());
    }
    let missed = rows.iter().filter(|(_, verdict)| *verdict != Verdict::Red);
    Ok(missed.map(|(fault, verdict)| format!("{}: {}", fault.name, verdict.word())).collect())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Green,
    Red,
    /// The fault is no program.
    Unbuilt,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Red => "caught",
            Self::Green => "MISSED",
            Self::Unbuilt => "does not compile",
        }
    }
}

/// A copy of the repository.
struct Tree {
    folder: PathBuf,
    /// Our own, where what all of it depends on is built already.
    target: String,
}

impl Tree {
    fn copy() -> io::Result<Self> {
        let metadata = MetadataCommand::new().no_deps().exec().map_err(io::Error::other)?;
        let (root, target) = (metadata.workspace_root, metadata.target_directory);
        let folder = target.join("mutants").into_std_path_buf();
        tree::copy(root.as_std_path(), &folder, |_, bytes| bytes)?;
        Ok(Self { folder, target: target.into_string() })
    }

    fn try_one(&self, fault: &Fault) -> io::Result<Verdict> {
        println!("\n-- {}", fault.name);
        let file = self.folder.join(fault.file);
        let sound = fs::read_to_string(&file)?;
        fs::write(&file, fault.put_into(&sound).map_err(io::Error::other)?)?;
        let verdict = self.judge(fault.suite);
        fs::write(&file, sound)?;
        verdict
    }

    /// Builds the suite, then runs it: what does not compile was not caught.
    fn judge(&self, suite: Suite) -> io::Result<Verdict> {
        if !self.cargo(suite, &["--no-run"], &[])? {
            return Ok(Verdict::Unbuilt);
        }
        let is_green = self.cargo(suite, &[], suite.tests)?;
        Ok(if is_green { Verdict::Green } else { Verdict::Red })
    }

    fn cargo(&self, suite: Suite, options: &[&str], tests: &[&str]) -> io::Result<bool> {
        let mut cargo = Command::new("cargo");
        cargo.args(["test", "--quiet", "--target-dir", &self.target]).args(suite.target());
        cargo.args(options).arg("--").args(tests).current_dir(&self.folder);
        // A caught fault is loud.
        cargo.envs(suite.env.iter().copied()).stdout(Stdio::null()).stderr(Stdio::null());
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_cargos_own(name)) {
            cargo.env_remove(name);
        }
        println!("$ {}", Line::cargo(&suite.target()));
        Ok(cargo.status()?.success())
    }
}

fn is_cargos_own(name: &std::ffi::OsString) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Faults are found by the code around them, which moves on.
    #[test]
    fn every_fault_still_has_its_place() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for fault in FAULTS {
            let source = fs::read_to_string(root.join(fault.file)).unwrap();
            let faulty = fault.put_into(&source).unwrap();
            assert_ne!(faulty, source, "{}", fault.name);
        }
    }

    #[test]
    fn a_fault_whose_place_is_gone_says_so() {
        let error = FAULTS[0].put_into("fn nothing() {}").unwrap_err();
        assert!(error.contains(FAULTS[0].name), "{error}");
    }
}
