//! Reads the text of a policy file.
//!
//! Nothing stops at the first fault: what is wrong is written down and left out, and reading goes
//! on, so that a file is mended in one go. Reading is by hand and not by `serde`, which knows neither
//! the second fault nor the column of a value that contradicts another.

mod answers;
mod dependency;
mod document;
mod exhausted;
mod hops;
mod matches;
mod operation;
mod reader;
mod scalar;
mod section;

pub(super) use document::file;
