//! What is measured: each item of ours, its peers, the bare call beneath them.

mod admission;
mod bare;
mod breaker;
mod deadline;
mod fallback;
mod idempotency;
pub(crate) mod keyed;
mod machines;
mod retry;
mod stack;

use crate::drive::Driver;

/// One thing that is measured.
#[derive(Clone, Copy)]
pub struct Item {
    /// Its name: what, whose, on which request.
    pub name: &'static str,
    /// The bare call that lies beneath it, if there is one.
    pub bare: Option<&'static str>,
    /// How it must stand.
    pub beside: Option<Beside>,
    /// Makes so many calls of it.
    pub run: fn(&Driver, u64),
}

/// How an item must stand beside a peer.
#[derive(Clone, Copy)]
pub struct Beside {
    /// The peer's item.
    pub peer: &'static str,
    /// What of the two is compared.
    pub measure: Measure,
    /// The share of the peer's that it may take at most, if any is asked for.
    pub must: Option<f64>,
    /// The share that it is meant to take.
    pub goal: Option<f64>,
}

/// What of two items is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "what the table knows how to print")]
pub enum Measure {
    /// The instructions that each adds to the bare call.
    Added,
    /// The instructions of the whole call.
    Whole,
}

impl Measure {
    /// A word for the list.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Whole => "whole",
        }
    }
}

/// Everything that is measured, bare calls first.
pub fn all() -> impl Iterator<Item = &'static Item> {
    GROUPS.iter().copied().flatten()
}

/// The item of this name.
pub fn find(name: &str) -> Option<&'static Item> {
    all().find(|item| item.name == name)
}

const GROUPS: &[&[Item]] = &[
    bare::ITEMS,
    breaker::ITEMS,
    retry::ITEMS,
    machines::ITEMS,
    deadline::ITEMS,
    fallback::ITEMS,
    stack::ITEMS,
    admission::ITEMS,
    idempotency::ITEMS,
];

impl Item {
    const fn new(name: &'static str, run: fn(&Driver, u64)) -> Self {
        Self { name, bare: None, beside: None, run }
    }

    /// Whether what it needs before its calls takes longer than they do, so that timing them makes
    /// no sense.
    pub fn is_filled_first(&self) -> bool {
        ["-1k", "-10k", "-100k"].iter().any(|end| self.name.ends_with(end))
    }

    /// Lies around this bare call.
    const fn over(self, bare: &'static str) -> Self {
        Self { bare: Some(bare), ..self }
    }

    /// Adds at most so large a share of what the peer adds.
    const fn beside(self, peer: &'static str, must: f64, goal: f64) -> Self {
        self.compared(peer, Measure::Added, must, goal)
    }

    /// Takes at most so much of what the other takes, all in all.
    const fn within(self, other: &'static str, must: f64, goal: f64) -> Self {
        self.compared(other, Measure::Whole, must, goal)
    }

    const fn compared(self, peer: &'static str, measure: Measure, must: f64, goal: f64) -> Self {
        let (must, goal) = (Some(must), Some(goal));
        Self { beside: Some(Beside { peer, measure, must, goal }), ..self }
    }

    /// Stands beside a peer of which nothing is asked: the share is told.
    const fn told_beside(self, peer: &'static str) -> Self {
        let measure = Measure::Added;
        Self { beside: Some(Beside { peer, measure, must: None, goal: None }), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_an_item_is_compared_with_is_measured_too() {
        for item in all() {
            let others = item.bare.into_iter().chain(item.beside.map(|beside| beside.peer));
            for other in others {
                assert!(find(other).is_some(), "{} is compared with {other}", item.name);
            }
        }
    }

    #[test]
    fn every_item_makes_calls() {
        let driver = Driver::new();
        for item in all() {
            (item.run)(&driver, 2);
        }
    }

    #[test]
    fn no_two_items_have_one_name() {
        let mut names: Vec<_> = all().map(|item| item.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
