//! Atomics: loom's when a model checks every interleaving, the standard library's otherwise.

#[cfg(aplomb_loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
#[cfg(not(aplomb_loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
