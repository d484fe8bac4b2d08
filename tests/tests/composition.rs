//! Every layer on both sides: each cell of the matrix in the facade's documentation is a test here.
//!
//! The layers are put together with `tower::ServiceBuilder` and without a type annotation, and are
//! driven over real sockets on loopback. A test is named after its row; its module is its column.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "composition/axum_router.rs"]
mod axum_router;
#[path = "composition/hyper_client.rs"]
mod hyper_client;
#[path = "composition/hyper_server.rs"]
mod hyper_server;
#[path = "composition/inside.rs"]
mod inside;
#[path = "composition/layers.rs"]
mod layers;
#[path = "composition/matrix.rs"]
mod matrix;
#[path = "composition/reqwest_client.rs"]
mod reqwest_client;
#[path = "composition/stacks.rs"]
mod stacks;
#[path = "composition/tonic_channel.rs"]
mod tonic_channel;
#[path = "composition/transports.rs"]
mod transports;
#[path = "faults/trust.rs"]
mod trust;
#[path = "composition/wire.rs"]
mod wire;
