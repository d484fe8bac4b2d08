//! The demo's Inventory Service.
