//! Records in a SQLite file.

mod group;
mod job;
mod pools;
mod row;
mod sql;
mod store;

pub use crate::error::failed;
pub use pools::{Pools, connect, options};
pub use sql::COMPLETE;
pub use store::{MIGRATIONS, SqliteStore};
