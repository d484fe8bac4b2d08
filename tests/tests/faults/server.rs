//! Servers that do the same wrong thing to every connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};

/// Where a server listens, and what happened there.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) acted: Acted,
}

/// How often a server acted on a request that it had read.
#[derive(Clone, Default)]
pub(crate) struct Acted(Arc<AtomicUsize>);

impl Acted {
    pub(crate) fn once_more(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Server {
    pub(crate) async fn start<F>(behave: impl Fn(TcpStream, Acted) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, acted) = (listener.local_addr().unwrap(), Acted::default());
        let counted = acted.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(behave(stream, counted.clone()));
            }
        });
        Self { address, acted }
    }
}
