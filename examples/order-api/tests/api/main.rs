//! The Order API over real sockets, against the real Inventory Service and its faults.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod availability;
mod bad_requests;
mod crashes;
mod doubts;
mod openapi;
mod orders;
mod places;
mod policies;
mod returns;
mod shown;
mod support;
