//! Prints what a call of each item allocates. A program of its own: its allocator counts, which the
//! items of the other one must not pay for.

use aplomb_bench::{Driver, Item, all};

fn main() {
    for item in all() {
        println!("{} {}", item.name, allocations(item));
    }
}

/// Allocations of one call: what a thousand more calls allocate, by a thousand. The nearest whole
/// number, since a map that is hashed at random grows a few times more or less on its way.
fn allocations(item: &Item) -> u64 {
    let driver = Driver::new();
    let count = |calls| allocation_counter::measure(|| (item.run)(&driver, calls)).count_total;
    count(1_000); // whatever is made once is made now
    (count(2_000) - count(1_000) + 500) / 1_000
}
