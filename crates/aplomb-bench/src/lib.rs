//! Every layer beside its peers: the same inner service, the same request, the same driver.
//!
//! `aplomb-bench run ITEM CALLS` makes so many calls of one item, for callgrind to count;
//! `cargo xtask bench` does that for all of them and prints the table. Allocations are counted by
//! `tests/allocations.rs`.

#![expect(missing_debug_implementations, reason = "nobody prints a bench")]

mod drive;
mod inner;
mod items;

pub use drive::Driver;
pub use items::{Beside, ITEMS, Item, find};
