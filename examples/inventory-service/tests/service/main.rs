//! The Inventory Service from outside: in this process, and over real sockets.
#![allow(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod audit;
mod blackbox;
mod doors;
mod legacy;
mod limits;
mod openapi;
mod operations;
mod outside;
mod products;
mod reservations;
mod sockets;
mod support;
