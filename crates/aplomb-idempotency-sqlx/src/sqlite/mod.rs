//! Records in a SQLite file.

mod pools;
mod row;
mod store;

pub use pools::{Pools, connect, failed, options};
pub use store::{MigrateError, SCHEMA, SqliteStore};
