//! Real servers for tests, started privately as plain processes.
//!
//! Each is started from the programs that are installed, in a temporary directory, on a free port
//! of this machine alone, and is gone when the test process is, however that ends. A program that
//! is missing is an error that says what to install, never a test that was skipped.
//!
//! ```no_run
//! use aplomb_testkit::servers::Postgres;
//!
//! # fn main() -> Result<(), aplomb_testkit::servers::NotStarted> {
//! let postgres = Postgres::start()?;
//! println!("an empty database: {}", postgres.url());
//! # Ok(())
//! # }
//! ```
//!
//! Starting waits, so a call of it blocks its thread: for about a second the first time in a
//! process.

mod postgres;
mod process;
mod redis;

pub use postgres::Postgres;
pub use process::{Directory, Guarded, NotStarted, Stop, User, find_program, free_port};
pub use redis::Redis;
