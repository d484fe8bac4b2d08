//! A network between a client and its Postgres that fails at a commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Where the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never hears of the commit.
    Before,
    /// The server has committed, and nobody hears of it.
    After,
}

/// Forwards until it is armed; the next commit then ends its connection.
#[derive(Clone)]
pub(crate) struct Proxy {
    armed: Arc<AtomicBool>,
    cut: Cut,
    port: u16,
}

impl Proxy {
    /// In front of the server of `url`.
    pub(crate) async fn of(url: &str, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { armed: Arc::default(), cut, port };
        let (server, forwards) = (address(url).to_owned(), proxy.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(forwards.clone().forward(client, server));
            }
        });
        proxy
    }

    /// The same database, by way of this.
    pub(crate) fn url(&self, url: &str) -> String {
        url.replace(address(url), &format!("127.0.0.1:{}", self.port))
    }

    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    async fn forward(self, mut client: TcpStream, mut server: TcpStream) {
        let (mut asked, mut answered) = ([0; 8192], [0; 8192]);
        loop {
            tokio::select! {
                read = client.read(&mut asked) => {
                    let Ok(length @ 1..) = read else { return };
                    let asked = &asked[..length];
                    let commits = asked.windows(7).any(|part| part == b"COMMIT\0");
                    if commits && self.armed.swap(false, Ordering::SeqCst) {
                        return self.cut(asked, &mut server).await;
                    }
                    server.write_all(asked).await.unwrap();
                }
                read = server.read(&mut answered) => {
                    let Ok(length @ 1..) = read else { return };
                    if client.write_all(&answered[..length]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Both connections end when this returns.
    async fn cut(&self, commit: &[u8], server: &mut TcpStream) {
        if self.cut == Cut::After {
            server.write_all(commit).await.unwrap();
            // The server answers when it has committed.
            server.read_u8().await.unwrap();
        }
    }
}

fn address(url: &str) -> &str {
    let authority = url.split("://").nth(1).unwrap().split('/').next().unwrap();
    authority.rsplit('@').next().unwrap()
}
