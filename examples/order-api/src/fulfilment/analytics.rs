//! Whoever counts orders hears of them, if that is no trouble.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::sync::Semaphore;

use crate::journal::Scribe;
use crate::order::OrderId;
use crate::policy::Operation;
use crate::wire::Wire;

/// Tells of confirmed orders, as its policy says. What fails is dropped and counted.
#[derive(Clone, Debug)]
pub(crate) struct Analytics {
    wire: Wire,
    is_heard: bool,
    slots: Arc<Semaphore>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    told: AtomicU64,
    dropped: AtomicU64,
}

/// What analytics was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Told {
    /// Events that arrived.
    pub told: u64,
    /// Events that were dropped: analytics failed, or too many were under way.
    pub dropped: u64,
}

impl Analytics {
    /// Unless somebody hears of them, nobody is told.
    pub(crate) fn new(wire: Wire, is_heard: bool) -> Self {
        let slots = Arc::new(Semaphore::new(AT_ONCE_MAX));
        Self { wire, is_heard, slots, counts: Arc::default() }
    }

    /// Tells of an order, beside the order's way.
    pub(crate) fn tell(&self, order: OrderId) {
        if !self.is_heard {
            return;
        }
        let wire = self.wire.clone();
        let counts = Arc::clone(&self.counts);
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            counts.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        tokio::spawn(async move {
            let request = Request::put(format!("http://analytics/analytics/orders/{order}"))
                .body(Full::<Bytes>::default())
                .expect("an order's name is letters, digits and hyphens");
            let answer = wire.send(Operation::Record, request, Scribe::silent()).await;
            let arrived = answer.is_ok_and(|answer| answer.status().is_success());
            let count = if arrived { &counts.told } else { &counts.dropped };
            count.fetch_add(1, Ordering::Relaxed);
            drop(slot);
        });
    }

    pub(crate) fn told(&self) -> Told {
        Told {
            told: self.counts.told.load(Ordering::Relaxed),
            dropped: self.counts.dropped.load(Ordering::Relaxed),
        }
    }
}

/// Events under way; each is gone when its policy's time is up.
const AT_ONCE_MAX: usize = 64;
