//! Every layer beside its peers: the same inner service, the same request, the same driver.
//!
//! `aplomb-bench run ITEM CALLS` makes so many calls of one item, for callgrind to count, and
//! `allocations` counts what each item allocates; `cargo xtask bench` does that for all of them and
//! prints the table.

#![expect(missing_debug_implementations, reason = "nobody prints a bench")]

mod drive;
#[cfg(feature = "rates")]
pub mod http;
mod inner;
mod items;
pub mod peers;
mod shared;
pub mod sheet;

pub use drive::Driver;
pub use items::keyed::Keyed;
pub use items::{Beside, Item, Measure, all, find};
pub use shared::{Calls, SHARED, Shared};
