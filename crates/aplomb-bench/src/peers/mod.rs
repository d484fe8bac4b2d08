//! The peers, set up as their documentation shows.

pub(crate) mod failsafe;
pub mod idempotent;
pub(crate) mod resilience;
pub(crate) mod seatbelt;
pub(crate) mod tower;
