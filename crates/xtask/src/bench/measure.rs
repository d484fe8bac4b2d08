use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What was measured of an item.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) bare: String,
    pub(super) beside: Option<Beside>,
    pub(super) instructions: f64,
    pub(super) allocations: u64,
    pub(super) nanos: Option<f64>,
}

/// How it is to stand beside a peer.
#[derive(Clone, Debug)]
pub(super) struct Beside {
    pub(super) peer: String,
    pub(super) measure: String,
    /// What is asked of the share, if anything.
    pub(super) must: Option<f64>,
    pub(super) goal: Option<f64>,
}

/// Measures all items.
pub(super) fn items(timed: bool) -> Result<Vec<Item>, String> {
    let list = output(&built("aplomb-bench"), &["list"])?;
    let mut items = list.lines().map(listed).collect::<Result<Vec<_>, _>>()?;
    let allocations = pairs(&output(&built("allocations"), &[])?)?;
    let times =
        if timed { pairs(&output(&built("aplomb-bench"), &["time"])?)? } else { BTreeMap::new() };
    let counted = instructions(&items)?;
    for (item, counted) in items.iter_mut().zip(counted) {
        item.instructions = counted;
        item.nanos = times.get(&item.name).copied();
        let made = allocations.get(&item.name).copied().unwrap_or_default();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small count"
        )]
        let made = made as u64;
        item.allocations = made;
    }
    Ok(items)
}

/// A line of `aplomb-bench list`.
fn listed(line: &str) -> Result<Item, String> {
    let [name, bare, peer, measure, must, goal] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Err(format!("`aplomb-bench list` printed {line}"));
    };
    let beside = match peer {
        "-" => None,
        _ => Some(Beside {
            peer: peer.into(),
            measure: measure.into(),
            must: bound(must)?,
            goal: bound(goal)?,
        }),
    };
    let (name, bare) = (name.to_owned(), bare.to_owned());
    Ok(Item { name, bare, beside, instructions: 0.0, allocations: 0, nanos: None })
}

/// Instructions of one call of each item, counted on as many cores as there are.
fn instructions(items: &[Item]) -> Result<Vec<f64>, String> {
    let next = AtomicUsize::new(0);
    let counted = Mutex::new(vec![Err("never counted".to_owned()); items.len()]);
    let work = || {
        while let Some(at) =
            Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < items.len())
        {
            let count = count(&items[at].name);
            counted.lock().expect("nothing panics under this lock")[at] = count;
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
    counted.into_inner().expect("nothing panics under this lock").into_iter().collect()
}

/// Instructions of one call: what so many more calls take, by their number.
///
/// What an item does before its calls falls out of that, as far as it takes as much each time. Filling
/// a map that is hashed by a seed of its own does not: millions of instructions come and go, which only
/// many more calls outweigh.
fn count(item: &str) -> Result<f64, String> {
    let more =
        if item.starts_with("idempotent") && item.ends_with("-10k") { 20_000 } else { 1_000 };
    let count = |calls: u32| {
        let calls = calls.to_string();
        let arguments =
            ["--tool=callgrind", "--callgrind-out-file=/dev/null", &built("aplomb-bench")];
        let printed = output("valgrind", &[&arguments[..], &["run", item, &calls]].concat())?;
        let collected = printed.lines().find_map(|line| line.split_once("Collected : "));
        let number = collected.and_then(|(_, number)| number.trim().parse::<f64>().ok());
        number.ok_or_else(|| format!("callgrind counted nothing for {item}: {printed}"))
    };
    Ok((count(1_000 + more)? - count(1_000)?) / f64::from(more))
}

/// Lines of a name and a number.
pub(super) fn pairs(text: &str) -> Result<BTreeMap<String, f64>, String> {
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(name, value)| Ok((name.to_owned(), number(value)?))).collect()
}

fn bound(text: &str) -> Result<Option<f64>, String> {
    if text == "-" { Ok(None) } else { number(text).map(Some) }
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program} did not start: {error}"))?;
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    if output.status.success() { Ok(printed) } else { Err(format!("{program} failed: {printed}")) }
}

/// What cargo built, wherever this machine lets it build.
pub(super) fn built(program: &str) -> String {
    let folder = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    format!("{folder}/release/{program}")
}
