use std::fmt::{self, Write as _};

use super::measure::{Beside, Item};
use super::page::{self, Section};

/// All items, a row each.
pub(super) struct Table<'a>(pub(super) &'a [Item]);

impl Table<'_> {
    fn named(&self, name: &str) -> Option<&Item> {
        self.0.iter().find(|item| item.name == name)
    }

    /// Instructions beyond those of the bare call.
    fn added(&self, item: &Item) -> f64 {
        item.instructions - self.named(&item.bare).map_or(0.0, |bare| bare.instructions)
    }

    /// The share of its peer's that it takes.
    pub(super) fn share(&self, item: &Item, beside: &Beside) -> Option<f64> {
        let peer = self.named(&beside.peer)?;
        Some(match beside.measure.as_str() {
            "whole" => item.instructions / peer.instructions,
            _ => self.added(item) / self.added(peer),
        })
    }

    fn row(&self, item: &Item, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Item { name, allocations, instructions, nanos, .. } = item;
        let nanos = nanos.map_or("–".to_owned(), |nanos| format!("{nanos:.0}"));
        let added = self.added(item);
        write!(f, "| {name} | {nanos} | {instructions:.0} | {added:.0} | {allocations} | ")?;
        let Some(beside) = &item.beside else { return writeln!(f, "| | | |") };
        let Beside { peer, measure, must, goal } = beside;
        let Some(share) = self.share(item, beside) else {
            return writeln!(f, "{measure} beside {peer} | | | not judged |");
        };
        let verdict = verdict(share, beside);
        let [must, goal] = [must, goal].map(|it| it.map(|it| it.to_string()).unwrap_or_default());
        writeln!(f, "{share:.2} of {peer} ({measure}) | {must} | {goal} | {verdict} |")
    }
}

fn verdict(share: f64, beside: &Beside) -> &'static str {
    let is_within = |bound: f64| share <= bound;
    match (beside.must, beside.goal) {
        (_, Some(goal)) if is_within(goal) => "goal",
        (Some(must), _) if is_within(must) => "must",
        (Some(_), _) => "missed",
        // Nothing is asked of it.
        (None, _) if is_within(1.0) => "",
        (None, _) => "dearer",
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        self.0.iter().try_for_each(|item| self.row(item, f))
    }
}

/// Writes the section of the docs.
pub(super) fn write(items: &[Item]) -> Result<(), String> {
    let table = Table(items);
    let mut page = format!("{INTRODUCTION}{table}{READING}");
    for item in items {
        let share = |beside| table.share(item, beside).map(|share| verdict(share, beside));
        if matches!(item.beside.as_ref().and_then(share), Some("missed" | "dearer")) {
            let why = WHY.iter().find(|(name, _)| item.name.starts_with(name));
            let why = why.map_or("not looked into yet", |(_, why)| why);
            let _ = writeln!(page, "- **{}**: {why}.", item.name);
        }
    }
    page::write(Section::Layers, &page)
}

const INTRODUCTION: &str = "\
What each layer costs on a call. Made by `cargo xtask bench`.

";

const HEAD: &str = "\
| item | ns | instructions | added | allocations | beside its peer | must | goal | |
|---|---|---|---|---|---|---|---|---|
";

const READING: &str = "
Instructions are callgrind's: what so many more calls take, by their number. *Added* is what lies over the bare
call. Allocations are counted the same way. Times are medians of interleaved rounds on a machine that
others use too: they are to be read against each other. CI holds instructions and allocations to what
`crates/aplomb-bench/baseline.txt` says, within 3 %, and every *must* that is met.

### What is missed, and what the profile shows

";

/// What the profile shows of what is missed, by how the item's name begins.
const WHY: &[(&str, &str)] = &[
    (
        "breaker-open",
        "130 of its instructions make and drop the box of the error, 26 read the clock, 55 are the \
         standard library's difference of two instants, from which the caller is told how long it \
         is of no use to try again",
    ),
    (
        "breaker",
        "58 instructions move the response twice, 26 read the clock; the others look at the \
         word, count in the bucket of this thread and keep a guard for a call that is dropped",
    ),
    (
        "retry-once",
        "the future has room for a kept request that this call does not keep, and is moved with it",
    ),
    (
        "retry",
        "besides the copy of the request that tower makes too, it reads the clock for its total \
         time and keeps a guard that tells of a call that is dropped; to keep the parts of that \
         time and add them up only after a failure takes 35 more, since the future grows",
    ),
    (
        "deadline",
        "110 instructions put the deadline in force around the call and each poll, for the layers \
         inside and a handler's own calls, and look for an earlier one, which tower's timeout does \
         not; 29 move the response once more",
    ),
    (
        "fallback",
        "87 instructions move the response three times, once into a body that may be the \
         fallback's; 115 read the method, look for a deadline in force, count a reference and look \
         at the answer: the 18 that it is allowed are less than one move",
    ),
    (
        "first-retry",
        "every other call is sent twice; that takes a look at the error's causes for its class and \
         for a retry below (250 instructions a call), a header that says which send it is (213 and \
         the first two blocks of a header map), the error's box; tower's policy asks `is_err` alone",
    ),
    (
        "denied-retry",
        "1,230 of its instructions decide and explain: 290 find the error's class among its causes, \
         300 ask whether a retry below was exhausted, 230 note beside the error why it was not sent \
         again; tower's policy gives the error back as it came",
    ),
    (
        "delay",
        "a third of its 43 instructions are the generator's, the others make a fair draw and a duration \
         of it; in time it takes two nanoseconds, backon nine",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_what_is_added() {
        let items = [
            item("bare", 100.0, None),
            item("peer", 300.0, None),
            item("own", 200.0, Some(beside(0.6))),
        ];
        let table = Table(&items);
        let beside = items[2].beside.as_ref().unwrap();
        assert!((table.share(&items[2], beside).unwrap() - 0.5).abs() < 1e-9);
        assert_eq!(verdict(0.5, beside), "must");
        assert!(
            table
                .to_string()
                .contains("| own | – | 200 | 100 | 0 | 0.50 of peer (added) | 0.6 | 0.1 | must |")
        );
    }

    fn item(name: &str, instructions: f64, beside: Option<Beside>) -> Item {
        let bare = if name == "bare" { "-" } else { "bare" };
        let (name, bare) = (name.to_owned(), bare.to_owned());
        Item { name, bare, beside, instructions, allocations: 0, nanos: None }
    }

    fn beside(must: f64) -> Beside {
        let (must, goal) = (Some(must), Some(0.1));
        Beside { peer: "peer".into(), measure: "added".into(), must, goal }
    }
}
