use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use super::measure::Item;
use super::table::Table;

/// What the items cost when they were looked at last.
pub(super) struct Baseline(BTreeMap<String, Row>);

struct Row {
    instructions: f64,
    allocations: u64,
}

impl Baseline {
    pub(super) fn read() -> Result<Self, String> {
        let text =
            fs::read_to_string(FILE).map_err(|error| format!("no {FILE}: {error}; {BLESS}"))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let rows = text.lines().map(|line| {
            let unreadable = || format!("{FILE} has the line {line}; {BLESS}");
            let [name, instructions, allocations] = line.split(' ').collect::<Vec<_>>()[..] else {
                return Err(unreadable());
            };
            let instructions = instructions.parse().map_err(|_| unreadable())?;
            let allocations = allocations.parse().map_err(|_| unreadable())?;
            Ok((name.to_owned(), Row { instructions, allocations }))
        });
        rows.collect::<Result<_, _>>().map(Self)
    }

    /// What has become dearer, and which peers are no longer beaten as they must be.
    pub(super) fn complaints(&self, items: &[Item]) -> Vec<String> {
        let dearer = items.iter().filter_map(|item| self.complaint(item, items));
        dearer.chain(items.iter().filter_map(|item| self.overtaken(item, items))).collect()
    }

    fn complaint(&self, item: &Item, items: &[Item]) -> Option<String> {
        let Item { name, instructions, allocations, .. } = item;
        let Some(row) = self.0.get(name) else {
            return Some(format!("{name} is not in {FILE}; {BLESS}"));
        };
        // Only what is ours has a peer to be compared with; a peer's own cost is no concern.
        item.beside.as_ref()?;
        if *allocations > row.allocations {
            let before = row.allocations;
            return Some(format!("{name} allocates {allocations} times, not {before}; {BLESS}"));
        }
        let most = row.instructions * self.machine(item, items) * TOLERANCE + SLACK;
        (*instructions > most).then(|| {
            let before = row.instructions;
            format!("{name} takes {instructions:.0} instructions, not {before:.0}; {BLESS}")
        })
    }

    /// How the bare call stands to what it took where the baseline was written: another processor
    /// copies memory with other instructions.
    fn machine(&self, item: &Item, items: &[Item]) -> f64 {
        let now = items.iter().find(|bare| bare.name == item.bare);
        let then = self.0.get(&item.bare);
        now.zip(then).map_or(1.0, |(now, then)| now.instructions / then.instructions)
    }

    /// A must that was met is kept.
    fn overtaken(&self, item: &Item, items: &[Item]) -> Option<String> {
        let beside = item.beside.as_ref()?;
        let before: Vec<Item> = items.iter().filter_map(|item| self.then(item)).collect();
        let must = beside.must?;
        let most = must * TOLERANCE;
        let was = Table(&before).share(&self.then(item)?, beside)?;
        let is = Table(items).share(item, beside)?;
        (was <= most && is > most).then(|| {
            let name = &item.name;
            format!("{name} takes {is:.2} of what {} takes; {must} is allowed", beside.peer)
        })
    }

    fn then(&self, item: &Item) -> Option<Item> {
        let Row { instructions, allocations } = *self.0.get(&item.name)?;
        Some(Item { instructions, allocations, ..item.clone() })
    }
}

/// Writes what the items cost now.
pub(super) fn write(items: &[Item]) -> Result<(), String> {
    let mut text = String::new();
    for Item { name, instructions, allocations, .. } in items {
        let _ = writeln!(text, "{name} {instructions:.0} {allocations}");
    }
    fs::write(FILE, text).map_err(|error| format!("{FILE} cannot be written: {error}"))
}

const FILE: &str = "crates/aplomb-bench/baseline.txt";
const BLESS: &str = "if that is meant, `cargo xtask bench --bless` writes it down";
const TOLERANCE: f64 = 1.03;
/// Three per cent of very little is less than an instruction.
const SLACK: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::super::measure::Beside;
    use super::*;

    #[test]
    fn what_costs_as_much_as_before_is_well() {
        assert_eq!(complaints(200.0, 0), [""; 0]);
        assert_eq!(complaints(205.0, 0), [""; 0], "within the tolerance");
    }

    #[test]
    fn an_instruction_too_many_is_told() {
        let told = complaints(220.0, 0);
        assert!(told[0].starts_with("own takes 220 instructions, not 200;"), "{told:?}");
    }

    #[test]
    fn an_allocation_too_many_is_told() {
        let told = complaints(200.0, 1);
        assert!(told[0].starts_with("own allocates 1 times, not 0;"), "{told:?}");
    }

    #[test]
    fn a_must_that_was_met_is_kept() {
        let told = complaints(260.0, 0);
        assert_eq!(told.last().unwrap(), "own takes 0.80 of what peer takes; 0.6 is allowed");
    }

    #[test]
    fn an_item_that_nobody_blessed_is_told() {
        let baseline = Baseline::parse("bare 100 0").unwrap();
        let told = baseline.complaints(&[item("own", 200.0, 0)]);
        assert!(told[0].starts_with("own is not in "), "{told:?}");
    }

    fn complaints(own: f64, allocations: u64) -> Vec<String> {
        let baseline = Baseline::parse("bare 100 0\npeer 300 0\nown 200 0").unwrap();
        let items = [item("bare", 100.0, 0), item("peer", 300.0, 0), item("own", own, allocations)];
        baseline.complaints(&items)
    }

    fn item(name: &str, instructions: f64, allocations: u64) -> Item {
        let (must, goal) = (Some(0.6), Some(0.1));
        let beside = Beside { peer: "peer".into(), measure: "added".into(), must, goal };
        Item {
            name: name.into(),
            bare: if name == "bare" { "-".into() } else { "bare".into() },
            beside: (name == "own").then_some(beside),
            instructions,
            allocations,
            nanos: None,
        }
    }
}
