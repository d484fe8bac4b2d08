//! The demo's Order API: orders whose outcome is told truthfully, whatever Inventory's network does.
//!
//! An order is written down before Inventory is asked. Each line is reserved under a key that is
//! made from the order and the line, so every attempt, by the customer's request, by its repetition
//! after a crash or by the reconciler, is the same attempt to Inventory. The order's status and the
//! record of the customer's own key commit in one transaction. What nobody knows is answered
//! `pending`, never "sold out".
//!
//! ```no_run
//! use aplomb_inventory_service::serve;
//! use aplomb_order_api::{Config, OrderApi};
//! use hyper_util::client::legacy::connect::HttpConnector;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::new("demo-data", "http://127.0.0.1:7001".parse()?);
//! let orders = OrderApi::open(config, HttpConnector::new()).await?;
//! let listener = serve::bind("127.0.0.1:7000".parse()?).await?;
//! orders.serve(listener, async { _ = tokio::signal::ctrl_c().await }).await;
//! # Ok(()) }
//! ```
//!
//! What each call to another service may cost stands in one policy file, `examples/demo/aplomb.toml`
//! unless [`Config::policies`] names another one, and nowhere else: `aplomb::stack` puts the layers
//! around it. A file that changes while this serves changes what is done from then on.

mod admission;
mod answer;
mod ask;
mod availability;
mod caller;
mod chronicle;
mod circuit;
mod config;
mod desk;
mod fulfilment;
mod inventory;
mod journal;
mod openapi;
mod order;
mod orders;
mod policy;
mod reconciler;
mod returns;
mod routes;
mod service;
mod upload;
mod wire;
mod witness;

pub use admission::Places;
pub use aplomb_inventory_service::StartError;
pub use circuit::CircuitWatch;
pub use config::Config;
pub use desk::Clock;
pub use fulfilment::{FulfilmentConfig, FulfilmentTally, Round, Told, Worker, WorkerConfig};
pub use journal::{Entry, Journal, Silence, Step};
pub use order::OrderId;
pub use orders::Tally;
pub use policy::Policies;
pub use reconciler::{Pass, Reconciler};
pub use service::{DATABASE, OrderApi};
