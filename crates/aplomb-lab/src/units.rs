//! Conversions between whole numbers and fractions, each in one place with its reason.

/// Nanoseconds in a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// A count as a fraction, for statistics.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts beyond 2^53 lose digits that no figure shows"
)]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// Nanoseconds as seconds, for people.
pub(crate) fn seconds(nanos: u64) -> f64 {
    float(nanos) / float(SECOND)
}

/// The whole part of a fraction; 0 below zero, the largest number beyond it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is what is asked for"
)]
pub(crate) fn whole(fraction: f64) -> u64 {
    fraction as u64
}

/// A place in memory.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is indexed lies in memory, so its number fits"
)]
pub(crate) const fn index(number: u64) -> usize {
    number as usize
}

/// How many things lie in memory.
pub(crate) const fn count(things: usize) -> u64 {
    things as u64
}
