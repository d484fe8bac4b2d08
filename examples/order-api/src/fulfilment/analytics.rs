//! Whoever counts orders hears of them, if that is no trouble.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aplomb_backoff::Backoff;
use aplomb_core::Dice;
use aplomb_deadline::DeadlineLayer;
use aplomb_retry::{Budget, RetryLayer};
use aplomb_telemetry::Metrics;
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::connect::Connect;
use tokio::sync::Semaphore;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};

use super::shipping::{Inside, at};
use crate::inventory::connected;
use crate::order::OrderId;

/// Tells of confirmed orders: with at most one retry, and never for longer than 2.5 s. What
/// fails is dropped and counted.
#[derive(Clone, Debug)]
pub(crate) struct Analytics {
    client: Option<Inside>,
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
    pub(crate) fn new<C>(sink: Option<&Uri>, connector: C, dice: &Dice, metrics: &Metrics) -> Self
    where
        C: Connect + Clone + Send + Sync + 'static,
    {
        let client = sink.map(|sink| {
            let metrics = metrics.dependency("analytics", "tell");
            let retry = RetryLayer::new(Budget::percent(10))
                .max_attempts(2)
                .total(TOTAL)
                .backoff(Backoff::full(PAUSE, PAUSE))
                .dice(dice.clone())
                .observe(metrics.clone());
            let stack = ServiceBuilder::new()
                .layer(DeadlineLayer::total(TOTAL).observe(metrics.clone()))
                .layer(retry)
                .layer(DeadlineLayer::attempt(ATTEMPT).observe(metrics))
                .service(at(sink, connected(connector)));
            BoxCloneSyncService::new(stack)
        });
        let slots = Arc::new(Semaphore::new(AT_ONCE_MAX));
        Self { client, slots, counts: Arc::default() }
    }

    /// Tells of an order, beside the order's way.
    pub(crate) fn tell(&self, order: OrderId) {
        let Some(client) = self.client.clone() else {
            return;
        };
        let counts = Arc::clone(&self.counts);
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            counts.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        tokio::spawn(async move {
            let request = Request::put(format!("http://analytics/analytics/orders/{order}"))
                .body(Full::<Bytes>::default())
                .expect("an order's name is letters, digits and hyphens");
            let answer = client.oneshot(request).await;
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

/// Events under way; each is gone after 2.5 s.
const AT_ONCE_MAX: usize = 64;
const TOTAL: Duration = Duration::from_millis(2_500);
const ATTEMPT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);
