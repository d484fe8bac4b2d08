//! What the pools of all databases share.

use std::time::Duration;

use sqlx::{Database, Pool};

/// Closes a store's own pools. A connection that is not given back in time is left to whoever has
/// it: it closes when it is dropped.
pub(crate) async fn close<D: Database, const N: usize>(pools: [&Pool<D>; N]) {
    let closing = futures_util::future::join_all(pools.map(Pool::close));
    // Pools take no more callers from the first poll on, whether or not there is time for the rest.
    let _ = tokio::time::timeout(CLOSE_MAX, closing).await;
}

const CLOSE_MAX: Duration = Duration::from_secs(3);
