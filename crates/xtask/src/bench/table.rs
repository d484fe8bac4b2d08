use std::fmt::{self, Write as _};
use std::fs;

use super::measure::{Beside, Item};

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
            return writeln!(f, "{measure} beside {peer} | {must} | {goal} | not judged |");
        };
        let verdict = verdict(share, beside);
        writeln!(f, "{share:.2} of {peer} ({measure}) | {must} | {goal} | {verdict} |")
    }
}

fn verdict(share: f64, beside: &Beside) -> &'static str {
    if share <= beside.goal {
        "goal"
    } else if share <= beside.must {
        "must"
    } else {
        "missed"
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        self.0.iter().try_for_each(|item| self.row(item, f))
    }
}

/// Writes the page of the docs.
pub(super) fn write(items: &[Item]) -> Result<(), String> {
    let table = Table(items);
    let mut page = format!("{INTRODUCTION}{table}{READING}");
    for item in items {
        let share = |beside| table.share(item, beside).map(|share| verdict(share, beside));
        if item.beside.as_ref().and_then(share) == Some("missed") {
            let why = WHY.iter().find(|(name, _)| item.name.starts_with(name));
            let why = why.map_or("not looked into yet", |(_, why)| why);
            let _ = writeln!(page, "- **{}**: {why}.", item.name);
        }
    }
    fs::write(PAGE, page).map_err(|error| format!("{PAGE} cannot be written: {error}"))
}

const PAGE: &str = "docs/speed.md";

const INTRODUCTION: &str = "\
# Speed

What each layer costs on a call, beside its peers: the same inner service, the same request, the same
driver, one build. Made by `cargo xtask bench`.

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

## What is missed, and what the profile shows

";

/// What the profile shows of what is missed, by how the item's name begins.
const WHY: &[(&str, &str)] = &[
    (
        "breaker-open",
        "the error that says so is a `BoxError`, and making and dropping it is 130 instructions; \
         the rest is a clock read, a comparison and a clone of the inner service",
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
         time and keeps a guard that tells of a call that is dropped",
    ),
    (
        "deadline",
        "it puts the deadline in force around the call and each poll, for the layers inside and a \
         handler's own calls, and looks for an earlier one; tower's timeout does neither",
    ),
    (
        "fallback",
        "a fallback is asked with the request it answers for, so its method, URI and headers are \
         copied before the call goes out; the response's body is wrapped, which moves it",
    ),
    ("three", "it costs what its three layers cost one by one: see those"),
    ("delay", "the share is of instructions; in time it takes two nanoseconds, backon nine"),
    (
        "idempotent-replay",
        "13,000 of its instructions are SHA-256 of key and body, in software, since callgrind's \
         processor has no instructions for it",
    ),
    (
        "idempotent-first",
        "the handler runs in a task of its own, so that no caller can cancel it; SHA-256 of key \
         and body is counted as software, since callgrind's processor has no instructions for it",
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
        Beside { peer: "peer".into(), measure: "added".into(), must, goal: 0.1 }
    }
}
