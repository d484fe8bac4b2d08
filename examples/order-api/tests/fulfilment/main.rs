//! What happens after an order is confirmed, over real sockets, on both databases.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod analytics;
mod late;
mod redrive;
mod support;
mod tasks;
