use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Wake, Waker};

/// Wakes every reader that waits.
///
/// It stands beside the state and not in it: the live body holds it as its waker, and must not hold
/// itself alive by that.
#[derive(Default)]
pub(super) struct Bell {
    rung: AtomicU64,
    waiting: Mutex<Vec<(u32, Waker)>>,
}

impl Bell {
    /// How often it rang: to be read before the look that finds nothing.
    pub(super) fn rung(&self) -> u64 {
        self.rung.load(Ordering::Acquire)
    }

    /// Wakes `waker` at the next ring, or now, if it rang after `seen` was read.
    pub(super) fn wait(&self, id: u32, waker: &Waker, seen: u64) {
        let mut waiting = self.lock();
        if self.rung() != seen {
            drop(waiting);
            waker.wake_by_ref();
            return;
        }
        let old = match waiting.iter_mut().find(|(waits, _)| *waits == id) {
            Some((_, known)) if known.will_wake(waker) => None,
            Some((_, known)) => Some(mem::replace(known, waker.clone())),
            None => {
                waiting.push((id, waker.clone()));
                None
            }
        };
        // A waker may hold the last handle of its task, whose end is not for under a lock.
        drop(waiting);
        drop(old);
    }

    pub(super) fn forget(&self, id: u32) {
        let gone = {
            let mut waiting = self.lock();
            let place = waiting.iter().position(|(waits, _)| *waits == id);
            place.map(|place| waiting.swap_remove(place))
        };
        drop(gone);
    }

    pub(super) fn ring(&self) {
        let woken = {
            let mut waiting = self.lock();
            self.rung.fetch_add(1, Ordering::Release);
            mem::take(&mut *waiting)
        };
        for (_, waker) in woken {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u32, Waker)>> {
        self.waiting.lock().expect("no panic happens under this lock")
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
