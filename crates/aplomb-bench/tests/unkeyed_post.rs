//! The headline: a POST without a key, towards a server that works and whose answers are lost.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aplomb_core::{NotRetried, Reason, cause, transport};
use aplomb_retry::{Budget, RetryLayer};
use reqwest_middleware::ClientBuilder;
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};

#[tokio::test]
async fn the_peers_default_executes_it_four_times_and_ours_once() {
    let theirs = Server::start().await;
    let wait = Duration::from_millis(1);
    let policy = ExponentialBackoff::builder().retry_bounds(wait, wait).build_with_max_retries(3);
    let client =
        ClientBuilder::new(plain()).with(RetryTransientMiddleware::new_with_policy(policy)).build();
    client.post(theirs.url()).body("one mug").send().await.unwrap_err();

    let ours = Server::start().await;
    let client = RetryLayer::new(Budget::percent(20)).max_attempts(4).honours_keys().layer(plain());
    let post = plain().post(ours.url()).body("one mug").build().unwrap();
    let error = client.oneshot(post).await.unwrap_err();

    assert_eq!((theirs.executed(), ours.executed()), (4, 1));
    assert_eq!(cause::<NotRetried>(&*error).unwrap().reason, Reason::Unsafe);
}

fn plain() -> reqwest::Client {
    transport::reqwest().build().unwrap()
}

/// Does what it is asked, and never says so.
struct Server {
    address: SocketAddr,
    executed: Arc<AtomicU32>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, executed) = (listener.local_addr().unwrap(), Arc::new(AtomicU32::new(0)));
        let count = Arc::clone(&executed);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut seen = Vec::new();
                while !seen.ends_with(b"one mug") {
                    seen.push(stream.read_u8().await.unwrap());
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { address, executed }
    }

    fn url(&self) -> String {
        format!("http://{}/reservations", self.address)
    }

    fn executed(&self) -> u32 {
        self.executed.load(Ordering::Relaxed)
    }
}
