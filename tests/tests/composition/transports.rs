//! The ready stacks around real clients and on real servers, over every protocol between them.
//!
//! A column is a client, a protocol, a server; each case is one promise, and is a test of each
//! column. Nothing here waits for time to pass: a handler tells that it has a request and is told
//! what to do with it, so that a call is given up at a known point.
//!
//! Under TLS the client is hyper's alone. reqwest over TLS is the same connector (hyper-rustls); it
//! would come with a choice of cryptography for the whole process, which is not a test's to make.

#[path = "transports/callers.rs"]
mod callers;
#[path = "transports/endings.rs"]
mod endings;
#[path = "transports/given_up.rs"]
mod given_up;
#[path = "transports/house.rs"]
mod house;
#[path = "transports/sharing.rs"]
mod sharing;

use std::time::Duration;

use http::Version;

/// What is between a client and a server, and which they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    client: Client,
    way: Way,
    server: Server,
}

#[derive(Clone, Copy, Debug)]
enum Client {
    Reqwest,
    Hyper,
}

#[derive(Clone, Copy, Debug)]
struct Way {
    version: Version,
    is_tls: bool,
}

#[derive(Clone, Copy, Debug)]
enum Server {
    /// A router, served as axum's users do.
    Axum,
    /// A service on hyper's connections.
    Hyper,
}

impl Way {
    const HTTP1: Self = Self { version: Version::HTTP_11, is_tls: false };
    const HTTP2: Self = Self { version: Version::HTTP_2, is_tls: false };
    const TLS1: Self = Self { version: Version::HTTP_11, is_tls: true };
    const TLS2: Self = Self { version: Version::HTTP_2, is_tls: true };

    /// What the two agree on in a handshake.
    const fn alpn(self) -> &'static [u8] {
        match self.version {
            Version::HTTP_2 => b"h2",
            _ => b"http/1.1",
        }
    }
}

/// Each case as a test of each column.
macro_rules! columns {
    ($($name:ident: $client:ident, $way:ident, $server:ident;)+) => { $(
        mod $name {
            use super::{Client, Column, Server, Way};

            const COLUMN: Column = Column {
                client: Client::$client,
                way: Way::$way,
                server: Server::$server,
            };

            super::cases! {
                sharing: clones_share_one_limit_and_are_always_ready,
                given_up: before_its_first_poll_a_call_has_taken_nothing,
                given_up: in_a_handshake_a_call_gives_its_place_back,
                given_up: in_the_queue_a_call_leaves_it,
                given_up: before_the_head_a_call_gives_its_place_back_and_its_handler_is_dropped,
                given_up: before_the_head_a_probe_leaves_its_place_to_the_next,
                given_up: in_the_wait_before_a_retry_a_call_gets_its_money_back,
                given_up: in_a_retry_a_call_has_spent_its_money_and_no_more,
                given_up: in_the_body_a_call_is_missed_by_the_server,
                given_up: under_a_key_a_call_leaves_its_handler_running,
                endings: a_handler_that_panics_fails_its_own_call_alone,
                endings: a_handler_that_panicked_is_asked_again_where_that_is_safe,
                endings: a_handler_that_panics_under_a_key_leaves_its_outcome_in_doubt,
                endings: a_body_that_breaks_off_takes_nothing_along,
                endings: a_server_that_is_gone_takes_nothing_along,
            }
        }
    )+ };
}

macro_rules! cases {
    ($($file:ident: $case:ident,)+) => { $(
        #[tokio::test]
        async fn $case() {
            crate::transports::within(crate::transports::$file::$case(COLUMN)).await;
        }
    )+ };
}
use cases;

columns! {
    reqwest_over_http1_to_axum: Reqwest, HTTP1, Axum;
    reqwest_over_http1_to_hyper: Reqwest, HTTP1, Hyper;
    reqwest_over_http2_to_axum: Reqwest, HTTP2, Axum;
    reqwest_over_http2_to_hyper: Reqwest, HTTP2, Hyper;
    hyper_over_http1_to_axum: Hyper, HTTP1, Axum;
    hyper_over_http1_to_hyper: Hyper, HTTP1, Hyper;
    hyper_over_http2_to_axum: Hyper, HTTP2, Axum;
    hyper_over_http2_to_hyper: Hyper, HTTP2, Hyper;
    hyper_over_http1_and_tls_to_axum: Hyper, TLS1, Axum;
    hyper_over_http1_and_tls_to_hyper: Hyper, TLS1, Hyper;
    hyper_over_http2_and_tls_to_axum: Hyper, TLS2, Axum;
    hyper_over_http2_and_tls_to_hyper: Hyper, TLS2, Hyper;
}

/// Ends a case that hangs; a case that does not takes a small part of it.
async fn within(case: impl Future<Output = ()>) {
    tokio::time::timeout(TOO_LONG, case).await.expect("this hangs");
}

/// Lets everybody else go on until this holds.
pub(crate) async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

const TOO_LONG: Duration = Duration::from_secs(60);
