//! Places one order in one lane.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aplomb_core::{BoxError, time, transport};
use aplomb_order_api::OrderId;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::{Value, json};

use super::{Cart, Lane, Outcome, Told};

/// The customers' clients. Clones share their connections.
#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    /// Sends what it is given, once.
    http: Client<HttpConnector, Full<Bytes>>,
    orders: String,
    legacy: String,
    counts: Arc<[Count; 3]>,
}

#[derive(Debug, Default)]
struct Count {
    placed: AtomicU64,
    sent: AtomicU64,
}

impl Lanes {
    /// Customers of this Order API, or of this Inventory without one.
    pub(crate) fn new(orders: &str, inventory: &str) -> Self {
        Self {
            // Given up before the services do, which close what has idled for 30 s.
            http: transport::hyper(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(Duration::from_secs(10))
                .build_http(),
            orders: format!("{orders}/orders"),
            legacy: format!("{inventory}/legacy/reservations"),
            counts: Arc::default(),
        }
    }

    /// How many orders were placed in a lane.
    pub(crate) fn placed(&self, lane: Lane) -> u64 {
        self.counts[lane.index()].placed.load(Ordering::Relaxed)
    }

    /// How many requests the customers of a lane sent for them.
    pub(crate) fn sent(&self, lane: Lane) -> u64 {
        self.counts[lane.index()].sent.load(Ordering::Relaxed)
    }

    /// Places an order, and says what its customer was told. It never fails: a customer who hears
    /// nothing was told that it did not work.
    pub(crate) async fn place(&self, lane: Lane, cart: &Cart) -> Told {
        let (begun, count) = (time::now(), &self.counts[lane.index()]);
        count.placed.fetch_add(1, Ordering::Relaxed);
        let (mut sends, mut heard) = (0, Heard::NOTHING);
        while sends < lane.attempts() {
            sends += 1;
            count.sent.fetch_add(1, Ordering::Relaxed);
            heard = self.send(lane, cart).await;
            if !heard.is_worth_a_retry {
                break;
            }
        }
        let Heard { outcome, order, .. } = heard;
        Told { outcome, took: time::now() - begun, order }
    }

    async fn send(&self, lane: Lane, cart: &Cart) -> Heard {
        let (request, patience) = match lane {
            Lane::Aplomb => (ordering(&self.orders, cart), CUSTOMERS_PATIENCE),
            Lane::Once | Lane::Naive => (reserving(&self.legacy, cart), ATTEMPT),
        };
        let Ok(request) = request else {
            return Heard::NOTHING;
        };
        match tokio::time::timeout(patience, self.exchange(request)).await {
            Ok(Ok((status, body))) => Heard::read(status, &body),
            Ok(Err(_)) | Err(_) => Heard::NOTHING,
        }
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Value), BoxError> {
        let response = self.http.request(request).await?;
        let status = response.status();
        let bytes = response.collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }
}

/// The Order API keeps the promise of a key: the same cart is the same order.
fn ordering(url: &str, cart: &Cart) -> http::Result<Request<Full<Bytes>>> {
    let Cart { name, sku, quantity } = cart;
    let body = json!({
        "customer": "somebody", "lines": [{ "sku": sku, "quantity": quantity }],
    });
    Request::post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", format!("\"{name}\""))
        .body(Full::from(body.to_string()))
}

/// The endpoint from before there were keys: whoever asks twice has twice.
fn reserving(url: &str, cart: &Cart) -> http::Result<Request<Full<Bytes>>> {
    let Cart { name, sku, quantity } = cart;
    let body = json!({ "order_id": name, "line": 1, "sku": sku, "quantity": quantity });
    Request::post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, "Bearer demo-backoffice")
        .body(Full::from(body.to_string()))
}

/// What one request was answered.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Heard {
    outcome: Outcome,
    order: Option<OrderId>,
    is_worth_a_retry: bool,
}

impl Heard {
    const NOTHING: Self = Self { outcome: Outcome::Failed, order: None, is_worth_a_retry: true };

    fn read(status: StatusCode, body: &Value) -> Self {
        let outcome = match status {
            StatusCode::CREATED => Outcome::Confirmed,
            StatusCode::ACCEPTED => Outcome::Pending,
            StatusCode::CONFLICT if is_sold_out(body) => Outcome::SoldOut,
            _ => Outcome::Failed,
        };
        let order = body["order_id"].as_str().and_then(OrderId::parse);
        Self { outcome, order, is_worth_a_retry: status.is_server_error() }
    }
}

/// Inventory says so by the problem's type, the Order API by the order's status.
fn is_sold_out(body: &Value) -> bool {
    body["order_status"] == "rejected_out_of_stock"
        || body["type"].as_str().is_some_and(|kind| kind.ends_with("/out-of-stock"))
}

/// What the Order API's policy allows an attempt as well.
const ATTEMPT: Duration = Duration::from_millis(500);
/// An order is answered within its policy's total time; a machine may be slow.
const CUSTOMERS_PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_server_failed_at_is_worth_a_retry() {
        for (status, outcome, again) in [
            (201, Outcome::Confirmed, false),
            (202, Outcome::Pending, false),
            (404, Outcome::Failed, false),
            (409, Outcome::Failed, false),
            (503, Outcome::Failed, true),
        ] {
            let heard = Heard::read(StatusCode::from_u16(status).unwrap(), &Value::Null);
            assert_eq!((heard.outcome, heard.is_worth_a_retry), (outcome, again), "{status}");
        }
    }

    #[test]
    fn sold_out_is_what_says_so() {
        for body in [
            json!({ "type": "/problems/out-of-stock" }),
            json!({ "order_status": "rejected_out_of_stock" }),
        ] {
            assert_eq!(Heard::read(StatusCode::CONFLICT, &body).outcome, Outcome::SoldOut);
        }
    }
}
