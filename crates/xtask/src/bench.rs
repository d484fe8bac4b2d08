use std::collections::BTreeMap;
use std::process::Command;

use clap::ValueEnum;

use crate::needs::{self, Need, Source};
use crate::report::Report;
use crate::steps::{Line, Step};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure
    #[arg(value_enum, default_value = "layers")]
    what: What,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Every layer beside its peers: instructions, time, and whether the limits are kept
    Layers,
    /// Events a second of the lab's kernel on one core; 5 million is the goal
    Lab,
}

pub(crate) fn run(report: &mut Report, args: &Args) {
    match args.what {
        What::Layers => {
            needs::meet(report, NEEDS);
            gate(report, true);
        }
        What::Lab => {
            let line = Line::cargo(&["bench", "-p", "aplomb-lab", "--bench", "events"]);
            report.run(&Step::new("lab", [line]));
        }
    }
}

/// What counts instructions.
pub(crate) const NEEDS: &[Need] = &[Need {
    program: "valgrind",
    or: &[],
    source: Source::Debian("valgrind"),
    why: "its callgrind counts the instructions of a call, whatever else the machine is doing",
}];

/// Counts the instructions of every item and fails for one over its limit. Time is told, never
/// judged: the machine is noisy.
pub(crate) fn gate(report: &mut Report, timed: bool) {
    let build = Line::cargo(&["build", "--release", "--package", "aplomb-bench"]);
    report.run(&Step::new("build the benches", [build]));
    report.work("instructions beside the peers", || match measure(timed) {
        Ok(items) => judge(&items),
        Err(error) => vec![error],
    });
}

struct Item {
    name: String,
    bare: String,
    peer: String,
    limit: f64,
    goal: f64,
    instructions: f64,
    nanos: Option<String>,
}

fn measure(timed: bool) -> Result<Vec<Item>, String> {
    let times = if timed { times()? } else { BTreeMap::new() };
    let list = output(&built(), &["list"])?;
    let items = list.lines().map(|line| {
        let [name, bare, peer, limit, goal] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("`aplomb-bench list` printed {line}"));
        };
        let number = |text: &str| text.parse().map_err(|_| format!("{text} is no number"));
        Ok(Item {
            instructions: instructions(name)?,
            nanos: times.get(name).cloned(),
            limit: number(limit)?,
            goal: number(goal)?,
            name: name.into(),
            bare: bare.into(),
            peer: peer.into(),
        })
    });
    items.collect()
}

/// Instructions of one call: what a thousand more calls take, by a thousand.
fn instructions(item: &str) -> Result<f64, String> {
    let count = |calls: &str| {
        let arguments = ["--tool=callgrind", "--callgrind-out-file=/dev/null", &built()];
        let printed = output("valgrind", &[&arguments[..], &["run", item, calls]].concat())?;
        let collected = printed.lines().find_map(|line| line.split_once("Collected : "));
        let number = collected.and_then(|(_, number)| number.trim().parse::<f64>().ok());
        number.ok_or_else(|| format!("callgrind counted nothing for {item}: {printed}"))
    };
    Ok((count("2000")? - count("1000")?) / 1000.0)
}

fn times() -> Result<BTreeMap<String, String>, String> {
    let printed = output(&built(), &["time"])?;
    let lines = printed.lines().filter_map(|line| line.split_once(' '));
    Ok(lines.map(|(name, nanos)| (name.to_owned(), nanos.to_owned())).collect())
}

fn judge(items: &[Item]) -> Vec<String> {
    let added = |name: &str| {
        let item = items.iter().find(|item| item.name == name)?;
        let bare = items.iter().find(|bare| bare.name == item.bare)?;
        Some(item.instructions - bare.instructions)
    };
    println!("| item | ns | instructions | added | beside its peer | limit | goal |");
    println!("|---|---|---|---|---|---|---|");
    let mut mends = Vec::new();
    for item in items {
        let Item { name, peer, limit, goal, instructions, nanos, .. } = item;
        let (own, nanos) = (added(name).unwrap_or_default(), nanos.as_deref().unwrap_or("–"));
        let Some(theirs) = added(peer) else {
            println!("| {name} | {nanos} | {instructions:.0} | {own:.0} | | | |");
            continue;
        };
        let share = own / theirs;
        println!(
            "| {name} | {nanos} | {instructions:.0} | {own:.0} | {share:.2} × {peer} | {limit} | {goal} |"
        );
        if share > *limit {
            mends.push(format!("{name} adds {share:.2} of what {peer} adds; {limit} is allowed"));
        }
    }
    mends
}

fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program} did not start: {error}"))?;
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    if output.status.success() { Ok(printed) } else { Err(format!("{program} failed: {printed}")) }
}

/// What cargo built, wherever this machine lets it build.
fn built() -> String {
    let folder = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    format!("{folder}/release/aplomb-bench")
}
