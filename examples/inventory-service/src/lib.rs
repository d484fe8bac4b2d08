//! The demo's Inventory Service: stock that is reserved once per order line, whatever the network does.
//!
//! The reservation row, the stock it takes, the audit event and the idempotency record commit in
//! one transaction, so a response that was lost, a caller that hung up and a process that was
//! killed all end the same way: the retry with the same key is answered with the original
//! reservation.
//!
//! ```no_run
//! use aplomb_inventory_service::{Config, Inventory, Tokens, serve};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let tokens = Tokens::configured(std::env::var("INVENTORY_TOKENS").ok().as_deref(), true)?;
//! let inventory = Inventory::open(Config::new("demo-data", tokens)).await?;
//! let listener = serve::bind("127.0.0.1:7001".parse()?).await?;
//! inventory.serve(listener, async { _ = tokio::signal::ctrl_c().await }).await;
//! # Ok(()) }
//! ```
//!
//! Outermost first, a request passes: chaos that cuts connections, what names it for the log,
//! compression, authentication, the caller's deadline, injected errors, the doors, the idempotency
//! key, the handler (with injected latency between claim and commit).

mod answer;
mod auth;
mod config;
pub mod database;
mod db;
mod domain;
mod doors;
mod error;
mod inventory;
mod ledger;
mod legacy;
mod openapi;
mod points;
mod records;
mod replays;
mod routes;
pub mod serve;
pub mod shell;
mod tokens;
mod upload;

pub use answer::{Answer, BODY_MAX, Refused, bad_request, json, ok};
pub use auth::loopback_only;
pub use config::Config;
pub use database::Place;
pub use doors::Doors;
pub use error::StartError;
pub use inventory::Inventory;
pub use points::{Point, Points};
pub use records::{Keys, Records};
pub use tokens::{Tokens, TokensError};
