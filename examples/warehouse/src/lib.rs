//! The demo's Warehouse: ships each order once, however often it is asked.
//!
//! The shipment and the record of its key commit in one transaction, and behind the key stands one
//! row for one order. An order that was marked as poison is refused with 422 before its key is
//! looked at, so that the same key ships it once the mark is gone.
//!
//! ```no_run
//! use aplomb_inventory_service::serve;
//! use aplomb_warehouse::{Config, Warehouse};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let warehouse = Warehouse::open(Config::new("demo-data")).await?;
//! let listener = serve::bind("127.0.0.1:7002".parse()?).await?;
//! warehouse.serve(listener, async { _ = tokio::signal::ctrl_c().await }).await;
//! # Ok(()) }
//! ```
//!
//! | request | answer |
//! |---|---|
//! | `POST /shipments` `{"order_id"}` with a key | 201, replayed after; 422 poison; 409 shipped under another key |
//! | `GET /shipments/{order_id}` | 200 or 404 |
//! | `GET /audit` | shipments, orders and keys among them, by SQL |
//! | `PUT /analytics/orders/{order_id}`, `GET /analytics` | 204, how many orders it was told of |
//! | `GET`/`PUT /poison` `{"orders": []}`, `GET`/`PUT /chaos` | from this machine alone; chaos acts on shipments |
//! | `GET /healthz`, `/readyz`, `/metrics` | |
//!
//! Outermost first, a shipment passes: chaos that cuts connections, what names it for the log,
//! compression, the caller's deadline, injected errors, the gate that turns poison away, the
//! idempotency key, the handler (with injected latency between claim and commit).

mod config;
mod operations;
mod shipments;
mod stock;
mod warehouse;

pub use config::Config;
pub use warehouse::{DATABASE, Warehouse};
