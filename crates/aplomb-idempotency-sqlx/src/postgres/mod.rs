//! Records in a Postgres database.

mod lent;
mod pools;
mod row;
mod sql;
mod store;

pub use crate::error::failed;
pub use pools::{connect, options};
pub use sql::COMPLETE;
pub use store::{MIGRATIONS, PostgresStore};
