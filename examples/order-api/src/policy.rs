//! What may be tried, how often and for how long: one function for each operation of Inventory.
//!
//! | operation | attempts | one attempt | in total | wait between | repeated because |
//! |---|---|---|---|---|---|
//! | [`availability`] | 2 | 350 ms | 800 ms | up to 50 ms | it only reads |
//! | [`reserve`] | 3 | 500 ms | 3 s | up to 50, 100 ms | Inventory runs each key once |
//! | [`release`] | 3 | 500 ms | 3 s | up to 50, 100 ms | DELETE twice is DELETE once |
//!
//! Each operation has a circuit of its own: while it is open, its callers hear so at once. All of
//! them share the places of one bulkhead, so that an Inventory that hangs holds up no more than those.

use std::pin::Pin;
use std::time::Duration;

use aplomb_admission::{AdmissionHandle, AdmissionLayer, Outbound};
use aplomb_backoff::Backoff;
use aplomb_core::{BoxError, Dice, OperationClass};
use aplomb_deadline::DeadlineLayer;
use aplomb_retry::{Budget, RetryLayer};
use aplomb_telemetry::{DependencyMetrics, Metrics};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};

use crate::circuit::{Circuit, CircuitWatch};
use crate::journal::Scribe;
use crate::policies::Page;

/// Somebody looks at a page and waits: a brief second try, then say so.
pub(crate) const fn availability() -> Policy {
    Policy {
        name: "availability",
        attempts: 2,
        // Both attempts and the wait between them fit into the total.
        attempt: Duration::from_millis(350),
        total: Duration::from_millis(800),
        backoff: Backoff::full(Duration::from_millis(50), Duration::from_millis(100)),
        key: None,
        repeated_because: "it only reads",
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
        key: Some("order_{order}_line_{line}_reservation"),
        repeated_because: "Inventory runs each key once",
    }
}

/// Stock that nobody will buy goes back.
pub(crate) const fn release() -> Policy {
    Policy {
        name: "release",
        key: None,
        repeated_because: "DELETE twice is DELETE once",
        ..reserve()
    }
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
    key: Option<&'static str>,
    repeated_because: &'static str,
}

impl Policy {
    fn page(self, class: Class, when_exhausted: impl Into<String>) -> Page {
        Page {
            operation: self.name,
            dependency: INVENTORY,
            class: class.rank(),
            attempts: self.attempts,
            attempt: self.attempt,
            total: self.total,
            backoff: Some(self.backoff),
            repeated_because: self.repeated_because,
            key: self.key,
            budget: Some((BUDGET_PERCENT, class.name())),
            has_circuit: true,
            in_flight: Some((IN_FLIGHT_MAX, IN_FLIGHT_WAIT)),
            when_exhausted: when_exhausted.into(),
        }
    }
}

/// What is in force towards Inventory, and towards our own customers.
pub(crate) fn pages(fresh_for: Duration) -> Vec<Page> {
    let last_number = format!(
        "the last number while it is no older than {} ms, then \"limited availability\"",
        fresh_for.as_millis()
    );
    let confirm = Page {
        operation: "confirm",
        dependency: "orders",
        class: OperationClass::Confirm,
        // The customer's client, which has the key, sends it again; nothing in between does.
        attempts: 1,
        attempt: RESERVATION_TOTAL,
        total: RESERVATION_TOTAL,
        backoff: None,
        repeated_because: "it is repeated by the customer alone, under the same key",
        key: Some("the customer's own"),
        budget: None,
        has_circuit: false,
        in_flight: None,
        when_exhausted: PENDING.into(),
    };
    vec![
        availability().page(Class::Read, last_number),
        reserve().page(Class::Write, PENDING),
        release().page(Class::Write, PENDING),
        confirm,
    ]
}

const PENDING: &str = "answered pending; the reconciler goes on under the same keys";

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
        let budget = |class: Class| {
            let budget = Budget::percent(BUDGET_PERCENT);
            metrics.watch_budget(INVENTORY, class.name(), &budget);
            budget
        };
        Self {
            read: budget(Class::Read),
            write: budget(Class::Write),
            background: budget(Class::Background),
        }
    }

    fn of(&self, class: Class) -> &Budget {
        match class {
            Class::Read => &self.read,
            Class::Write => &self.write,
            Class::Background => &self.background,
        }
    }
}

/// The places that calls to Inventory take, whatever they are for. When all are taken the more
/// important class goes first, and nobody waits for long.
#[derive(Clone, Debug)]
pub(crate) struct Bulkhead {
    layer: AdmissionLayer<Outbound>,
}

impl Bulkhead {
    pub(crate) fn new(dice: &Dice) -> Self {
        let layer = AdmissionLayer::outbound(IN_FLIGHT_MAX).longest_wait(IN_FLIGHT_WAIT);
        Self { layer: layer.dice(dice.clone()) }
    }

    pub(crate) fn handle(&self) -> AdmissionHandle {
        self.layer.handle()
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

impl Class {
    const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Background => "background",
        }
    }

    /// Who goes first when there are fewer places than calls.
    const fn rank(self) -> OperationClass {
        match self {
            Self::Read => OperationClass::Read,
            Self::Write => OperationClass::KeyedWrite,
            Self::Background => OperationClass::Deferred,
        }
    }
}

/// The way to Inventory, whatever connects it. Answers come with their whole body.
pub(crate) type Transport =
    BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>;

/// A policy at work.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    policy: Policy,
    budgets: Budgets,
    bulkhead: Bulkhead,
    circuit: Circuit,
    dice: Dice,
    metrics: DependencyMetrics,
}

impl Stack {
    pub(crate) fn new(
        policy: Policy,
        budgets: Budgets,
        bulkhead: Bulkhead,
        dice: Dice,
        metrics: &Metrics,
    ) -> Self {
        let metrics = metrics.dependency(INVENTORY, policy.name);
        let circuit = Circuit::new(&dice);
        Self { policy, budgets, bulkhead, circuit, dice, metrics }
    }

    /// What its events are counted by.
    pub(crate) fn metrics(&self) -> DependencyMetrics {
        self.metrics.clone()
    }

    /// Its circuit.
    pub(crate) fn circuit(&self) -> CircuitWatch {
        self.circuit.watch()
    }

    /// Sends a request, which carries its key already, as the policy says. The scribe writes down
    /// each attempt of this one call.
    pub(crate) fn send(
        &self,
        class: Class,
        mut request: Request<Full<Bytes>>,
        scribe: Scribe,
        transport: Transport,
    ) -> Sending {
        let Policy { attempts, attempt, total, backoff, key, .. } = self.policy;
        let metrics = || self.metrics.clone();
        request.extensions_mut().insert(class.rank());
        // The budget is the class's own; only the observers belong to this call.
        let mut retry = RetryLayer::new(self.budgets.of(class).clone())
            .max_attempts(attempts)
            .total(total)
            // Better told `pending` at once than after the circuit's next probe.
            .longest_pause(Duration::ZERO)
            .backoff(backoff)
            .dice(self.dice.clone());
        if key.is_some() {
            retry = retry.honours_keys();
        }
        let stack = ServiceBuilder::new()
            .layer(DeadlineLayer::total(total).observe(metrics()))
            .layer(retry.observe((metrics(), scribe.clone())))
            .layer(self.bulkhead.layer.clone().observe(metrics()))
            .layer(self.circuit.layer())
            .map_result(move |result| scribe.attempted(result))
            .layer(DeadlineLayer::attempt(attempt).observe(metrics()))
            .service(transport);
        Box::pin(stack.oneshot(request))
    }
}

/// A call under way.
pub(crate) type Sending =
    Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, BoxError>> + Send>>;

/// The dependency's name in metrics.
const INVENTORY: &str = "inventory";
/// A first try that succeeds pays for a fifth of a retry.
const BUDGET_PERCENT: u32 = 20;
/// Twice what it takes to keep Inventory's one writer busy; a fraction of our connections.
const IN_FLIGHT_MAX: u32 = 64;
/// What nobody notices within an attempt.
const IN_FLIGHT_WAIT: Duration = Duration::from_millis(50);
