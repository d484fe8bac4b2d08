use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Waits for the handlers that run on after their callers have gone.
///
/// Stop accepting requests first, then wait, then close the store.
///
/// ```
/// use std::time::Duration;
/// use aplomb_idempotency::{Drain, IdempotencyLayer, MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let layer = IdempotencyLayer::new(MemoryStore::new());
/// let drain: Drain = layer.drain();
/// // ... serve until it is time to go, then:
/// assert_eq!(drain.wait(Duration::from_secs(10)).await, 0);
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Drain {
    running: Arc<Running>,
}

#[derive(Debug, Default)]
struct Running {
    count: AtomicUsize,
    none_left: Notify,
}

impl Drain {
    /// How many are running.
    pub fn running(&self) -> usize {
        self.running.count.load(Ordering::SeqCst)
    }

    /// Waits until none is running, for `limit` at most, and says how many are left.
    ///
    /// Those left are not cancelled: when the process ends, their leases run out. Dropping the
    /// future has no effect.
    pub async fn wait(&self, limit: Duration) -> usize {
        let none_left = async {
            loop {
                let notified = self.running.none_left.notified();
                if self.running() == 0 {
                    return;
                }
                notified.await;
            }
        };
        // Whether the time was up is told by what is left.
        let _ = tokio::time::timeout(limit, none_left).await;
        self.running()
    }

    pub(crate) fn enter(&self) -> Entered {
        self.running.count.fetch_add(1, Ordering::SeqCst);
        Entered { running: Arc::clone(&self.running) }
    }
}

/// One that is running, until it is dropped.
#[derive(Debug)]
pub(crate) struct Entered {
    running: Arc<Running>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if self.running.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.running.none_left.notify_waiters();
        }
    }
}
