//! One address for several processes: each connection goes to the next one that is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::replicas::Slot;

/// Passes connections on, for ever. Dropping the future cuts all of them.
pub(crate) async fn balance(listener: TcpListener, slots: Vec<Arc<Slot>>) {
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
        let (slots, turn) = (slots.clone(), Arc::clone(&turn));
        connections.spawn(async move { pass_on(stream, &slots, &turn).await });
    }
}

/// A connection that no process takes is closed: whoever made it sees that nothing was sent.
async fn pass_on(mut from: TcpStream, slots: &[Arc<Slot>], turn: &AtomicU64) {
    for _ in slots {
        let index = turn.fetch_add(1, Ordering::Relaxed) % slots.len() as u64;
        let slot = usize::try_from(index).ok().and_then(|index| slots.get(index));
        let Some(address) = slot.and_then(|slot| slot.address()) else {
            continue;
        };
        if let Ok(mut to) = TcpStream::connect(&address).await {
            // How a connection ends is its two ends' affair.
            let _ = copy_bidirectional(&mut from, &mut to).await;
            return;
        }
    }
}

const BREATHER: Duration = Duration::from_millis(10);
