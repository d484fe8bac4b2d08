//! Stands between a store and its server, and cuts the connection at a chosen word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aplomb_testkit::servers::Redis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Where the connection is cut that carries the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never reads it.
    BeforeTheServer,
    /// The server does what it says, and its answer is lost.
    BeforeTheCaller,
    /// The server never reads it, and the connection stays.
    Never,
}

pub(crate) struct Proxy {
    port: u16,
    held: Arc<AtomicUsize>,
}

impl Proxy {
    /// A proxy that cuts the first connection on which `word` is sent, and no other; or that holds
    /// up all on which it is.
    pub(crate) async fn start(redis: &Redis, word: &'static str, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = redis.url().trim_start_matches("redis://").trim_end_matches('/').to_owned();
        let (held, armed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
        let counted = Arc::clone(&held);
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                let (armed, held) = (Arc::clone(&armed), Arc::clone(&counted));
                tokio::spawn(carry(caller, server, word, cut, armed, held));
            }
        });
        Self { port, held }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Waits until a connection is held up.
    pub(crate) async fn held(&self) {
        super::wait_until(async || self.held.load(Ordering::SeqCst) > 0).await;
    }
}

async fn carry(
    mut caller: TcpStream,
    mut server: TcpStream,
    word: &str,
    cut: Cut,
    armed: Arc<AtomicBool>,
    held: Arc<AtomicUsize>,
) {
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = caller.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                let sent = &asked[..length];
                let is_meant = sent.windows(word.len()).any(|part| part == word.as_bytes());
                if is_meant && cut == Cut::Never {
                    held.fetch_add(1, Ordering::SeqCst);
                    std::future::pending::<()>().await;
                }
                let is_cut = is_meant && armed.swap(false, Ordering::SeqCst);
                if is_cut && cut == Cut::BeforeTheServer {
                    return;
                }
                server.write_all(sent).await.unwrap();
                if is_cut {
                    // Its first answer says that the server has read all of it: a transaction is
                    // answered when it is done.
                    let _ = server.read(&mut answered).await;
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if caller.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
