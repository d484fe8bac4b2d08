//! Every layer beside its peers: the same inner service, the same request, the same driver.
//!
//! `aplomb-bench run ITEM CALLS` makes so many calls of one item, for callgrind to count, and
//! `allocations` counts what each item allocates; `cargo xtask bench` does that for all of them and
//! prints the table.

#![expect(missing_debug_implementations, reason = "nobody prints a bench")]

mod drive;
mod inner;
mod items;
mod peers;

pub use drive::Driver;
pub use items::{Beside, Item, Measure, all, find};
