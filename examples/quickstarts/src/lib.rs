//! Five quick starts, each of at most fifteen lines.
//!
//! | file | what it is |
//! |---|---|
//! | [`reqwest_client`] | timeout, budgeted retries, breaker, fallback and metrics around reqwest |
//! | [`hyper_client`] | the same policy around a client of hyper-util |
//! | [`axum_server`] | keys that run once, deadlines and admission on a router |
//! | [`hyper_server`] | deadlines and admission on a bare hyper server |
//! | [`tonic_client`] | a gRPC call by its policy |
//!
//! Counted are the lines that import and those between `// quick start` and `// end`; a test does.

pub mod axum_server;
pub mod hyper_client;
pub mod hyper_server;
pub mod reqwest_client;
pub mod tonic_client;
