use std::sync::Arc;
use std::time::Duration;

use aplomb_admission::AdmissionLayer;
use aplomb_circuit_breaker::CircuitBreakerLayer;
use aplomb_core::Dice;
use aplomb_deadline::DeadlineLayer;
use aplomb_retry::{Budget, RetryLayer};
use http::{Method, Request, Response};
use tower::Layer;
use tower::limit::ConcurrencyLimitLayer;
use tower::retry::budget::{Budget as _, TpsBudget};
use tower::retry::{Policy, RetryLayer as TowerRetryLayer};
use tower::timeout::TimeoutLayer;
use tower_resilience_circuitbreaker::{
    CircuitBreakerHandle, CircuitBreakerLayer as PeerBreakerLayer, DefaultClassifier,
};

use crate::drive::Driver;
use crate::inner::{Body, Later, Prompt, request};

/// One thing that is measured.
pub struct Item {
    /// Its name: what, whose, on which request.
    pub name: &'static str,
    /// The bare call that it is compared with.
    pub bare: &'static str,
    /// How it must stand beside a peer.
    pub beside: Option<Beside>,
    /// Makes so many calls of it.
    pub run: fn(&Driver, u64),
}

/// How an item must stand beside a peer, in instructions added to the bare call.
#[derive(Clone, Copy)]
pub struct Beside {
    /// The peer's item.
    pub peer: &'static str,
    /// The share of the peer's that it may add at most: what the gate holds.
    pub limit: f64,
    /// The share that it is meant to add.
    pub goal: f64,
}

/// The item of this name.
pub fn find(name: &str) -> Option<&'static Item> {
    ITEMS.iter().find(|item| item.name == name)
}

/// Everything that is measured, bare calls first.
pub const ITEMS: &[Item] = &[
    bare("bare", |driver, calls| {
        driver.drive(&mut Prompt, read, calls);
    }),
    bare("bare-8-headers", |driver, calls| {
        driver.drive(&mut Prompt, read_8, calls);
    }),
    bare("bare-pending", |driver, calls| {
        driver.drive(&mut Later, read, calls);
    }),
    bare("bare-post", |driver, calls| {
        driver.drive(&mut Prompt, write, calls);
    }),
    item("tower-retry", "bare", None, |driver, calls| {
        driver.drive(&mut tower_retry().layer(Prompt), read, calls);
    }),
    item("retry", "bare", Some(beside("tower-retry", 1.2, 1.0)), |driver, calls| {
        driver.drive(&mut retry().layer(Prompt), read, calls);
    }),
    item("tower-retry-8-headers", "bare-8-headers", None, |driver, calls| {
        driver.drive(&mut tower_retry().layer(Prompt), read_8, calls);
    }),
    item(
        "retry-8-headers",
        "bare-8-headers",
        Some(beside("tower-retry-8-headers", 1.2, 1.0)),
        |driver, calls| {
            driver.drive(&mut retry().layer(Prompt), read_8, calls);
        },
    ),
    item("tower-retry-post", "bare-post", None, |driver, calls| {
        driver.drive(&mut tower_retry().layer(Prompt), write, calls);
    }),
    item("retry-once", "bare-post", Some(beside("tower-retry-post", 0.6, 0.4)), |driver, calls| {
        driver.drive(&mut retry().max_attempts(1).unlimited_total().layer(Prompt), write, calls);
    }),
    item("tower-timeout-pending", "bare-pending", None, |driver, calls| {
        driver.drive(&mut TimeoutLayer::new(SECOND).layer(Later), read, calls);
    }),
    item(
        "deadline-pending",
        "bare-pending",
        Some(beside("tower-timeout-pending", 1.5, 1.05)),
        |driver, calls| {
            driver.drive(&mut DeadlineLayer::total(SECOND).layer(Later), read, calls);
        },
    ),
    // failsafe adds 332 instructions, of which 0.6 is the limit and 80 the goal; it draws on a second
    // version of rand, so what it comes to is told as a share of a peer that can stand here.
    item("tower-resilience-breaker", "bare", None, |driver, calls| {
        driver.drive(&mut peer_breaker().layer(Prompt), read, calls);
    }),
    item(
        "breaker",
        "bare",
        Some(beside("tower-resilience-breaker", 0.16, 0.05)),
        |driver, calls| {
            driver.drive(&mut CircuitBreakerLayer::default().layer(Prompt), read, calls);
        },
    ),
    item(
        "breaker-keyed",
        "bare",
        Some(beside("tower-resilience-breaker", 0.55, 0.12)),
        |driver, calls| {
            let keyed = CircuitBreakerLayer::default().per_authority();
            driver.drive(&mut keyed.layer(Prompt), read, calls);
        },
    ),
    item("tower-resilience-breaker-open", "bare", None, |driver, calls| {
        let (layer, handle) = peer_breaker_with_handle();
        driver.wait_for(handle.force_open());
        driver.drive(&mut layer.layer(Prompt), read, calls);
    }),
    item(
        "breaker-open",
        "bare",
        Some(beside("tower-resilience-breaker-open", 0.32, 0.0)),
        |driver, calls| {
            let layer = CircuitBreakerLayer::default();
            layer.handle().force_open();
            driver.drive(&mut layer.layer(Prompt), read, calls);
        },
    ),
    item("tower-limit", "bare", None, |driver, calls| {
        driver.drive(&mut ConcurrencyLimitLayer::new(PLACES as usize).layer(Prompt), read, calls);
    }),
    item("admission", "bare", Some(beside("tower-limit", 5.6, 1.0)), |driver, calls| {
        driver.drive(&mut AdmissionLayer::new(PLACES).layer(Prompt), read, calls);
    }),
    item("bulkhead", "bare", Some(beside("tower-limit", 1.8, 1.0)), |driver, calls| {
        driver.drive(&mut AdmissionLayer::outbound(PLACES).layer(Prompt), read, calls);
    }),
];

const fn bare(name: &'static str, run: fn(&Driver, u64)) -> Item {
    Item { name, bare: name, beside: None, run }
}

const fn beside(peer: &'static str, limit: f64, goal: f64) -> Beside {
    Beside { peer, limit, goal }
}

const fn item(
    name: &'static str,
    bare: &'static str,
    beside: Option<Beside>,
    run: fn(&Driver, u64),
) -> Item {
    Item { name, bare, beside, run }
}

fn read() -> Request<Body> {
    request(Method::GET, 0)
}

fn read_8() -> Request<Body> {
    request(Method::GET, 8)
}

fn write() -> Request<Body> {
    request(Method::POST, 0)
}

fn retry() -> RetryLayer {
    RetryLayer::new(Budget::percent(20)).dice(Dice::seeded(1))
}

fn tower_retry() -> TowerRetryLayer<TowerPolicy> {
    TowerRetryLayer::new(TowerPolicy { budget: Arc::new(TpsBudget::default()), left: 2 })
}

/// What tower's documentation shows: a budget, a number of attempts, a copy of the request.
#[derive(Clone)]
struct TowerPolicy {
    budget: Arc<TpsBudget>,
    left: u32,
}

impl<E> Policy<Request<Body>, Response<Body>, E> for TowerPolicy {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<Response<Body>, E>,
    ) -> Option<Self::Future> {
        let failed = result.as_ref().map_or(true, |response| response.status().is_server_error());
        if !failed {
            self.budget.deposit();
            return None;
        }
        if self.left == 0 || !self.budget.withdraw() {
            return None;
        }
        self.left -= 1;
        Some(std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

fn peer_breaker() -> PeerBreakerLayer {
    peer_breaker_with_handle().0
}

/// Its defaults, whose window is a number of calls.
fn peer_breaker_with_handle() -> (PeerBreakerLayer, CircuitBreakerHandle<DefaultClassifier>) {
    let built = PeerBreakerLayer::builder().build_with_handle();
    built.expect("its defaults are sound")
}

/// Never used up by one call at a time.
const PLACES: u32 = 100;
const SECOND: Duration = Duration::from_secs(1);
