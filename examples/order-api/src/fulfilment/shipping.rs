//! The Warehouse, as a worker and an operator see it, and what asking it may cost.
//!
//! Outermost first, a shipment passes: the dead letter, the deadline of a round, one brief retry
//! that spends the budget, the circuit breaker, the deadline of an attempt, the connection. A redrive
//! goes the same way without the first.

use std::time::Duration;

use aplomb_backoff::Backoff;
use aplomb_core::{BoxError, Dice, IDEMPOTENCY_KEY};
use aplomb_dead_letter::DeadLetterLayer;
use aplomb_dead_letter_sqlx::{Outgoing, Task};
use aplomb_deadline::DeadlineLayer;
use aplomb_retry::{Budget, RetryLayer};
use aplomb_telemetry::{DependencyMetrics, Metrics};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::Connect;
use serde::Deserialize;
use serde_json::json;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};

use super::FulfilmentConfig;
use crate::circuit::{Circuit, CircuitWatch};
use crate::inventory::connected;
use crate::order::OrderId;
use crate::policy::Transport;

/// The way to the Warehouse, inside the dead letter.
pub(crate) type Inside = BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>;
/// What came back.
pub(crate) type Answered = Result<Response<Full<Bytes>>, BoxError>;

/// The client of one Warehouse. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Shipping {
    outside: Inside,
    inside: Inside,
    budget: Budget,
    circuit: Circuit,
    metrics: DependencyMetrics,
}

impl Shipping {
    /// The Warehouse of `config`, reached through `connector`.
    pub(crate) fn new<C>(
        config: &FulfilmentConfig,
        connector: C,
        dice: &Dice,
        metrics: &Metrics,
    ) -> Self
    where
        C: Connect + Clone + Send + Sync + 'static,
    {
        let budget = Budget::percent(20);
        metrics.watch_budget("warehouse", "ship", &budget);
        let metrics = metrics.dependency("warehouse", "ship");
        let circuit = Circuit::new(dice);
        let transport = at(&config.warehouse, connected(connector));
        let retry = RetryLayer::new(budget.clone())
            .max_attempts(2)
            .total(config.round)
            // A task waits in its row, not in a worker's slot.
            .longest_pause(Duration::ZERO)
            .backoff(Backoff::full(PAUSE, PAUSE))
            .honours_keys()
            .dice(dice.clone())
            .observe(metrics.clone());
        let inside = ServiceBuilder::new()
            .layer(DeadlineLayer::total(config.round).observe(metrics.clone()))
            .layer(retry)
            .layer(circuit.layer())
            .layer(DeadlineLayer::attempt(config.attempt).observe(metrics.clone()))
            .service(transport);
        let inside = BoxCloneSyncService::new(inside);
        let dead_letter = DeadLetterLayer::hand_over()
            .schedule(config.rounds)
            .dice(dice.clone())
            .observe(metrics.clone());
        let outside = ServiceBuilder::new().layer(dead_letter).service(inside.clone());
        Self { outside: BoxCloneSyncService::new(outside), inside, budget, circuit, metrics }
    }

    /// The way without the dead letter.
    pub(crate) fn inside(&self) -> Inside {
        self.inside.clone()
    }

    pub(crate) fn budget(&self) -> Budget {
        self.budget.clone()
    }

    pub(crate) fn metrics(&self) -> DependencyMetrics {
        self.metrics.clone()
    }

    pub(crate) fn circuit(&self) -> CircuitWatch {
        self.circuit.watch()
    }

    /// Sends a task once more, with at most one retry.
    pub(crate) async fn ship(&self, task: &Task) -> Answered {
        self.outside.clone().oneshot(task.request()).await
    }

    /// Whether the Warehouse has shipped an order; `None` when it does not say.
    pub(crate) async fn has(&self, order: OrderId) -> Option<bool> {
        let request = Request::get(format!("{SHIPMENTS}/{order}")).body(Full::default()).ok()?;
        let answer = self.inside.clone().oneshot(request).await.ok()?;
        match answer.status() {
            StatusCode::OK => Some(true),
            // A 404 without this type may come from a proxy or a wrong address.
            StatusCode::NOT_FOUND => {
                let body = answer.into_body().collect().await.ok()?.to_bytes();
                let problem: Typed = serde_json::from_slice(&body).ok()?;
                problem.r#type.ends_with("/not-shipped").then_some(false)
            }
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Typed {
    r#type: String,
}

/// The task to ship an order: the same work, and the same key, wherever it is made.
pub(crate) fn job(order: OrderId, horizon: Duration) -> Outgoing {
    let body = json!({ "order_id": order.to_string() }).to_string();
    let request = Request::post(SHIPMENTS)
        .header(header::CONTENT_TYPE, "application/json")
        .header(IDEMPOTENCY_KEY, format!("\"{PREFIX}{order}\""))
        .body(Bytes::from(body))
        .expect("an order's name is letters, digits and hyphens");
    Outgoing::new(request, horizon).expect("it has a key and a short body")
}

/// The order that a task or a letter with this key ships.
pub(crate) fn order_of(key: &str) -> Option<OrderId> {
    OrderId::parse(key.strip_prefix(PREFIX)?)
}

/// Sends what is addressed to the Warehouse to where it is today: tasks and letters outlive an
/// address, and their names must not change with it.
pub(crate) fn at(base: &Uri, transport: Transport) -> Inside {
    let base = base.clone();
    let there = transport.map_request(move |mut request: Request<Full<Bytes>>| {
        if let Some(uri) = moved(&base, request.uri()) {
            *request.uri_mut() = uri;
        }
        request
    });
    BoxCloneSyncService::new(there)
}

fn moved(base: &Uri, target: &Uri) -> Option<Uri> {
    let mut parts = base.clone().into_parts();
    let path = target.path_and_query().map_or("/", PathAndQuery::as_str);
    let path = format!("{}{path}", base.path().trim_end_matches('/'));
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// What tasks are addressed to.
const SHIPMENTS: &str = "http://warehouse/shipments";
const PREFIX: &str = "shipment_";
const PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;
    use aplomb_core::Rng;

    #[test]
    fn a_task_has_one_name_and_its_key_names_its_order() {
        let order = OrderId::new(std::time::UNIX_EPOCH, &mut Rng::seeded(1));
        let (one, other) = (job(order, PAUSE), job(order, Duration::ZERO));
        assert_eq!(one.id(), other.id());
        assert_eq!(order_of(&format!("shipment_{order}")), Some(order));
        assert_eq!(order_of(&order.to_string()), None);
    }

    #[test]
    fn what_is_sent_goes_to_where_the_warehouse_is_today() {
        let target = Uri::from_static("http://warehouse/shipments/7?full=1");
        for (base, there) in [
            ("http://127.0.0.1:7002", "http://127.0.0.1:7002/shipments/7?full=1"),
            ("http://proxy:80/stock/", "http://proxy:80/stock/shipments/7?full=1"),
        ] {
            let moved = moved(&base.parse().unwrap(), &target).unwrap();
            assert_eq!(moved.to_string(), there);
        }
    }
}
