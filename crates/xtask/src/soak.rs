//! The demo under faults and kills for as long as there is time, with ceilings.
//!
//! The demo's own `check` makes the load, the faults and the kills, and counts effects and losses by
//! SQL. This watches from outside what all its processes take, which no test inside them would
//! notice: memory and descriptors that are never given back.

use std::collections::BTreeMap;
use std::io;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::report::Report;
use crate::steps::{Line, Step};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// For how long
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// How many processes there are of each service
    #[arg(long, default_value_t = 2)]
    processes: u64,
    /// Decides when what happens to whom
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

pub(crate) fn run(report: &mut Report, args: &Args) {
    if !std::path::Path::new("/proc/self/fd").exists() {
        report.fail(TITLE, vec!["this system has no /proc to read memory from".to_owned()]);
        return;
    }
    report.run(&Step::new("demo, built", [build()]));
    report.work(TITLE, || match watch(args) {
        Ok(mends) => mends,
        Err(error) => vec![error.to_string()],
    });
}

fn build() -> Line {
    Line::cargo(&["build", "--release", "--package", "aplomb-demo"])
}

/// What is run: everything at once, then kills, for half of the time each.
fn line(args: &Args) -> Line {
    let (seconds, processes) = ((args.minutes * 60).to_string(), args.processes.to_string());
    let seed = args.seed.to_string();
    let line = Line::cargo(&["run", "--release", "--package", "aplomb-demo", "--", "check"]);
    let options = ["--only", "mixed,kills", "--seconds", &seconds, "--processes", &processes];
    line.args(&options.map(str::to_owned)).args(&["--seed".to_owned(), seed])
}

/// Runs it, looks at its processes every second, says what went over a ceiling.
fn watch(args: &Args) -> io::Result<Vec<String>> {
    let line = line(args);
    println!("$ {line}");
    let mut command = line.command();
    let child = command.stdin(Stdio::null()).spawn()?;
    let (root, ended) = (child.id(), when_ended(child));
    let mut most = Most::default();
    let status = loop {
        match ended.recv_timeout(BETWEEN_LOOKS) {
            Ok(status) => break status?,
            Err(RecvTimeoutError::Timeout) => most.look(&processes(root)),
            Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::BrokenPipe.into()),
        }
    };
    println!("{most}");
    let mut mends = most.over();
    if !status.success() {
        mends.push(format!("an invariant broke; repeat it with: {line}"));
    }
    if most.looks == 0 {
        mends.push("it ended before it was looked at once".to_owned());
    }
    Ok(mends)
}

fn when_ended(mut child: Child) -> std::sync::mpsc::Receiver<io::Result<ExitStatus>> {
    let (tell, ended) = channel();
    thread::spawn(move || {
        // Whoever asked may have gone.
        _ = tell.send(child.wait());
    });
    ended
}

/// What one process takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Taken {
    kilobytes: u64,
    descriptors: u64,
}

/// The most that any process took, and all of them together.
#[derive(Debug, Default)]
struct Most {
    looks: u64,
    processes: usize,
    kilobytes: u64,
    descriptors: u64,
    kilobytes_in_all: u64,
}

impl Most {
    fn look(&mut self, taken: &BTreeMap<u32, Taken>) {
        self.looks += 1;
        self.processes = self.processes.max(taken.len());
        let most = |of: fn(&Taken) -> u64| taken.values().map(of).max().unwrap_or_default();
        self.kilobytes = self.kilobytes.max(most(|taken| taken.kilobytes));
        self.descriptors = self.descriptors.max(most(|taken| taken.descriptors));
        let in_all = taken.values().map(|taken| taken.kilobytes).sum();
        self.kilobytes_in_all = self.kilobytes_in_all.max(in_all);
    }

    fn over(&self) -> Vec<String> {
        let mut mends = Vec::new();
        if self.kilobytes > KILOBYTES_MAX {
            mends.push(format!("a process took {} KB, over {KILOBYTES_MAX}", self.kilobytes));
        }
        if self.descriptors > DESCRIPTORS_MAX {
            let taken = self.descriptors;
            mends.push(format!("a process had {taken} descriptors, over {DESCRIPTORS_MAX}"));
        }
        mends
    }
}

impl std::fmt::Display for Most {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { looks, processes, kilobytes, descriptors, kilobytes_in_all } = self;
        write!(
            f,
            "in {looks} looks at up to {processes} processes: {} MB in one and {} MB in all, \
             {descriptors} descriptors in one, at most",
            kilobytes / 1024,
            kilobytes_in_all / 1024
        )
    }
}

/// What every descendant of a process takes now. One that ends meanwhile is left out.
fn processes(root: u32) -> BTreeMap<u32, Taken> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: BTreeMap<u32, u32> =
        pids.filter_map(|pid| Some((pid, parent(&read(pid, "stat")?)?))).collect();
    let descends = |&pid: &u32| ancestors(&parents, pid).any(|ancestor| ancestor == root);
    let ours = parents.keys().copied().filter(descends);
    ours.filter_map(|pid| Some((pid, taken(pid)?))).collect()
}

fn ancestors(parents: &BTreeMap<u32, u32>, pid: u32) -> impl Iterator<Item = u32> {
    // A family is not as deep as this; a table that changed while it was read may go in circles.
    std::iter::successors(Some(pid), |pid| parents.get(pid).copied()).skip(1).take(64)
}

fn taken(pid: u32) -> Option<Taken> {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    let kilobytes = resident(&read(pid, "status")?)?;
    Some(Taken { kilobytes, descriptors: u64::try_from(descriptors).ok()? })
}

fn read(pid: u32, file: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()
}

/// The second field behind the name, which may itself hold spaces and brackets (proc(5)).
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

const TITLE: &str = "soak";
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// A service takes some tens of megabytes; a fifth of a gigabyte is what was not given back.
const KILOBYTES_MAX: u64 = 200 * 1024;
/// As many as a process may have on most systems unless somebody raised it.
const DESCRIPTORS_MAX: u64 = 1_024;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_parent_is_found_behind_a_name_with_brackets() {
        assert_eq!(parent("41 (a) b (c)) S 7 41 41 0"), Some(7));
        assert_eq!(parent("no process"), None);
    }

    #[test]
    fn what_is_resident_is_read_in_kilobytes() {
        assert_eq!(resident("Name:\tdemo\nVmRSS:\t   12345 kB\nThreads: 2\n"), Some(12345));
        assert_eq!(resident("Name:\ta thread of the kernel\n"), None);
    }

    #[test]
    fn a_family_is_found_and_strangers_are_not() {
        let parents = BTreeMap::from([(2, 1), (3, 2), (4, 3), (9, 1)]);
        assert_eq!(ancestors(&parents, 4).collect::<Vec<_>>(), [3, 2, 1]);
        assert!(!ancestors(&parents, 9).any(|pid| pid == 2));
    }

    #[test]
    fn a_child_of_ours_is_seen_with_what_it_takes() {
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let seen = processes(std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(seen[&child.id()].descriptors >= 1, "{seen:?}");
    }

    #[test]
    fn what_goes_over_a_ceiling_is_told() {
        let mut most = Most::default();
        most.look(&BTreeMap::from([(7, Taken { kilobytes: 1_000, descriptors: 20 })]));
        assert!(most.over().is_empty());
        most.look(&BTreeMap::from([(7, Taken { kilobytes: 1_000, descriptors: 2_000 })]));
        assert_eq!(most.over(), ["a process had 2000 descriptors, over 1024"]);
    }

    #[test]
    fn it_runs_the_demos_own_check() {
        let typed = line(&Args { minutes: 2, processes: 3, seed: 9 }).to_string();
        assert_eq!(
            typed,
            "cargo run --release --package aplomb-demo -- check --only mixed,kills --seconds 120 \
             --processes 3 --seed 9"
        );
    }
}
