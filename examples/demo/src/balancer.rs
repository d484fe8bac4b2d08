//! One address for several processes: each connection goes to the next one that takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Tells the addresses that take connections now.
pub(crate) type Backends = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Passes connections on, for ever. Dropping the future cuts all of them.
pub(crate) async fn balance(listener: TcpListener, backends: Backends) {
    let turn = Arc::new(AtomicU64::new(0));
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // The system is short of something, most likely of file descriptors: those that are
            // open end, and trying again at once would only keep a core busy.
            tokio::time::sleep(BREATHER).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let (backends, turn) = (Arc::clone(&backends), Arc::clone(&turn));
        connections.spawn(async move { pass_on(stream, &backends, &turn).await });
    }
}

/// A connection that no process takes is closed unread.
async fn pass_on(mut from: TcpStream, backends: &Backends, turn: &AtomicU64) {
    for _ in 0..ROUNDS_MAX {
        let mut addresses = backends();
        if !addresses.is_empty() {
            let turn = turn.fetch_add(1, Ordering::Relaxed) % addresses.len() as u64;
            addresses.rotate_left(usize::try_from(turn).unwrap_or_default());
        }
        for address in addresses {
            if let Ok(mut to) = TcpStream::connect(&address).await {
                // How a connection ends is its two ends' affair.
                let _ = copy_bidirectional(&mut from, &mut to).await;
                return;
            }
        }
        tokio::time::sleep(BREATHER).await;
    }
}

const BREATHER: Duration = Duration::from_millis(10);
/// A process that was killed is there again within this many breathers, as a rule.
const ROUNDS_MAX: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn connections_take_turns_and_pass_over_those_that_do_not_answer() {
        let (first, second) = (answering(b'a').await, answering(b'b').await);
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = gone.local_addr().unwrap().to_string();
        drop(gone);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let all = vec![first, nobody, second];
        let balancer = tokio::spawn(balance(listener, Arc::new(move || all.clone())));
        let mut heard = [0, 0];
        for _ in 0..6 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let byte = stream.read_u8().await.unwrap();
            heard[usize::from(byte - b'a')] += 1;
        }
        assert_eq!(heard, [2, 4], "whose turn it would be is passed over to the next one");
        balancer.abort();
    }

    #[tokio::test]
    async fn a_connection_waits_for_a_process_that_is_being_started() {
        let late = Arc::new(std::sync::Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::clone(&late);
        let backends: Backends = Arc::new(move || told.lock().unwrap().clone());
        let balancer = tokio::spawn(balance(listener, backends));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let started = answering(b'a').await;
        late.lock().unwrap().push(started);
        assert_eq!(stream.read_u8().await.unwrap(), b'a');
        balancer.abort();
    }

    /// A process that says this on each connection.
    async fn answering(byte: u8) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_u8(byte).await.unwrap();
            }
        });
        address
    }
}
