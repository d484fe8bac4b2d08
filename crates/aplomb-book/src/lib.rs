//! The book of the workspace, checked as code is checked.
//!
//! Prose that nobody runs goes wrong while nobody looks. The book lies in `docs/book`; here its
//! Rust compiles as doctests (one module a page), its commands, paths, codes and alerts are held
//! against the repository (`tests/claims.rs`), and the site that mdBook makes of it is walked link by
//! link. `cargo xtask book` builds it.

pub mod commands;
pub mod links;
pub mod pages;

#[cfg(doctest)]
mod compiled;
