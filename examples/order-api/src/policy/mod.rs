//! The policies that everything goes by which is done elsewhere: where they come from, which are in
//! force, how they are shown.

mod document;
mod follow;
mod operation;
mod source;

pub(crate) use document::document;
pub(crate) use follow::InForce;
pub(crate) use operation::{ANALYTICS, INVENTORY, Operation, WAREHOUSE};
pub use source::Policies;
