//! A server of a test's own, and stores on it.
#![allow(clippy::unwrap_used, reason = "a test may")]
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod proxy;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aplomb_idempotency_redis::RedisStore;
use aplomb_testkit::servers::Redis;

/// A store that shares its records with all others on this server.
pub(crate) fn store(redis: &Redis) -> RedisStore {
    RedisStore::new(redis.url()).unwrap().prefix(redis.prefix())
}

/// A store whose records nobody else sees.
pub(crate) fn store_alone(redis: &Redis) -> RedisStore {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    store(redis).prefix(&format!("{}-{number}", redis.prefix()))
}

/// A client beside the store, for what the store has no word for.
pub(crate) async fn client(redis: &Redis) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(redis.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// Asks again until it is so. What never becomes so fails the test.
pub(crate) async fn wait_until(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never became so");
}
