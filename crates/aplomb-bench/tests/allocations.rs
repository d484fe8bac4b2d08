//! What each item allocates, exactly: a gate that no noise can move.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use aplomb_bench::{Driver, find};

#[test]
fn a_retry_that_is_not_needed_allocates_nothing() {
    assert_eq!(allocations("bare"), 0);
    assert_eq!(allocations("retry"), 0);
    assert_eq!(allocations("retry-once"), 0);
}

#[test]
fn headers_cost_the_copy_of_the_header_map_alone() {
    let copied = allocations("tower-retry-8-headers") - allocations("bare-8-headers");
    assert_eq!(allocations("retry-8-headers") - allocations("bare-8-headers"), copied);
}

#[test]
fn a_deadline_allocates_nothing_that_a_plain_timeout_does_not() {
    assert!(allocations("deadline-pending") <= allocations("tower-timeout-pending"));
}

/// Allocations of one call: what a thousand more calls allocate, by a thousand.
fn allocations(item: &str) -> u64 {
    let (item, driver) = (find(item).unwrap(), Driver::new());
    let count = |calls| allocation_counter::measure(|| (item.run)(&driver, calls)).count_total;
    count(1_000); // whatever is made once is made now
    (count(2_000) - count(1_000)) / 1_000
}
