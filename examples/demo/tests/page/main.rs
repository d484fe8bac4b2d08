//! The dashboard, as its visitors see it: in a real browser, on the running demo.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod guard;
mod knobs;
mod sight;
mod stories;
mod support;
