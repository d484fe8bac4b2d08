//! What may be tried, how often and for how long: one function for each operation of Inventory.
//!
//! | operation | attempts | one attempt | in total | wait between | repeated because |
//! |---|---|---|---|---|---|
//! | [`availability`] | 2 | 400 ms | 800 ms | up to 50 ms | it only reads |
//! | [`reserve`] | 3 | 500 ms | 3 s | up to 50, 100 ms | Inventory runs each key once |
//! | [`release`] | 3 | 500 ms | 3 s | up to 50, 100 ms | DELETE twice is DELETE once |

use std::pin::Pin;
use std::time::Duration;

use aplomb_backoff::Backoff;
use aplomb_core::{BoxError, Dice};
use aplomb_deadline::DeadlineLayer;
use aplomb_retry::{Budget, RetryLayer};
use aplomb_telemetry::{DependencyMetrics, Metrics};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};

use crate::journal::Scribe;

/// Somebody looks at a page and waits: a brief second try, then say so.
pub(crate) const fn availability() -> Policy {
    Policy {
        name: "availability",
        attempts: 2,
        attempt: Duration::from_millis(400),
        total: Duration::from_millis(800),
        backoff: Backoff::full(Duration::from_millis(50), Duration::from_millis(100)),
        keyed: false,
    }
}

/// A customer waits for an order, and the outcome matters: three tries under one key.
pub(crate) const fn reserve() -> Policy {
    Policy {
        name: "reserve",
        attempts: 3,
        attempt: Duration::from_millis(500),
        total: RESERVATION_TOTAL,
        backoff: Backoff::interactive(),
        keyed: true,
    }
}

/// Stock that nobody will buy goes back.
pub(crate) const fn release() -> Policy {
    Policy { name: "release", keyed: false, ..reserve() }
}

/// The longest time that a caller waits before an order is answered `pending`.
pub const RESERVATION_TOTAL: Duration = Duration::from_secs(3);

/// How one operation may be retried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    name: &'static str,
    attempts: u32,
    attempt: Duration,
    total: Duration,
    backoff: Backoff,
    keyed: bool,
}

/// The budgets, one for each class of operation: looking never spends what ordering needs, and
/// work that nobody waits for spends neither.
#[derive(Clone, Debug)]
pub(crate) struct Budgets {
    read: Budget,
    write: Budget,
    background: Budget,
}

impl Budgets {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let budget = |class| {
            let budget = Budget::percent(20);
            metrics.watch_budget("inventory", class, &budget);
            budget
        };
        Self { read: budget("read"), write: budget("write"), background: budget("background") }
    }

    fn of(&self, class: Class) -> &Budget {
        match class {
            Class::Read => &self.read,
            Class::Write => &self.write,
            Class::Background => &self.background,
        }
    }
}

/// Whose budget a call spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Somebody looks.
    Read,
    /// Somebody orders.
    Write,
    /// Nobody waits.
    Background,
}

/// The way to Inventory, whatever connects it. Answers come with their whole body.
pub(crate) type Transport =
    BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>;

/// A policy at work.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    policy: Policy,
    budgets: Budgets,
    dice: Dice,
    metrics: DependencyMetrics,
}

impl Stack {
    pub(crate) fn new(policy: Policy, budgets: Budgets, dice: Dice, metrics: &Metrics) -> Self {
        let metrics = metrics.dependency("inventory", policy.name);
        Self { policy, budgets, dice, metrics }
    }

    /// Sends a request, which carries its key already, as the policy says. The scribe writes down
    /// each attempt of this one call.
    pub(crate) fn send(
        &self,
        class: Class,
        request: Request<Full<Bytes>>,
        scribe: Scribe,
        transport: Transport,
    ) -> Sending {
        let Policy { attempts, attempt, total, backoff, keyed, .. } = self.policy;
        let metrics = || self.metrics.clone();
        // The budget is the class's own; only the observers belong to this call.
        let mut retry = RetryLayer::new(self.budgets.of(class).clone())
            .max_attempts(attempts)
            .total(total)
            .backoff(backoff)
            .dice(self.dice.clone());
        if keyed {
            retry = retry.honours_keys();
        }
        let stack = ServiceBuilder::new()
            .layer(DeadlineLayer::total(total).observe(metrics()))
            .layer(retry.observe((metrics(), scribe.clone())))
            .map_result(move |result| scribe.attempted(result))
            .layer(DeadlineLayer::attempt(attempt).observe(metrics()))
            .service(transport);
        Box::pin(stack.oneshot(request))
    }
}

/// A call under way.
pub(crate) type Sending =
    Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, BoxError>> + Send>>;
