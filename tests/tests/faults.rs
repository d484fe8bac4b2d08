//! What real servers do wrong, over real sockets, and what the classifier makes of it.
//!
//! Every fault meets an un-keyed POST, sent by each client through a retry that would send it again
//! three times if it were allowed to: the server counts how often it acted.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "faults/clients.rs"]
mod clients;
#[path = "faults/connecting.rs"]
mod connecting;
#[path = "faults/http1.rs"]
mod http1;
#[path = "faults/http2.rs"]
mod http2;
#[path = "faults/server.rs"]
mod server;
#[path = "faults/stale.rs"]
mod stale;
#[path = "faults/tls.rs"]
mod tls;
#[path = "faults/trust.rs"]
mod trust;
