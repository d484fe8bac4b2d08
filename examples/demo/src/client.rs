//! A customer, or the back office, with a plain HTTP client.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::{Value, json};

use crate::trouble::Trouble;

/// Asks both services. It never retries: what it sees is what they say.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: Http<HttpConnector, Full<Bytes>>,
    orders: String,
    inventory: String,
    /// Each process of Inventory: faults are made in all of them.
    processes: Vec<String>,
    warehouse: String,
}

/// An answer: status and JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Answer {
    /// The order that it speaks of.
    pub(crate) fn order_id(&self) -> &str {
        self.body["order_id"].as_str().unwrap_or_default()
    }
}

impl Client {
    pub(crate) fn new(orders: &str, inventory: &str, processes: Vec<String>) -> Self {
        Self {
            // Given up before the services do, which close what has idled for 30 s.
            http: Http::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(Duration::from_secs(10))
                .build_http(),
            orders: orders.to_owned(),
            inventory: inventory.to_owned(),
            processes,
            warehouse: String::new(),
        }
    }

    /// The same, which can ask the Warehouse here.
    pub(crate) fn with_warehouse(mut self, warehouse: &str) -> Self {
        warehouse.clone_into(&mut self.warehouse);
        self
    }

    /// Marks the orders that the Warehouse refuses; all others are fine.
    pub(crate) async fn poison(&self, orders: &[&str]) -> Result<(), Trouble> {
        let url = format!("{}/poison", self.warehouse);
        let answer = self.send(Method::PUT, url, &[], Some(json!({"orders": orders}))).await?;
        answer.expect(StatusCode::OK, "no poison could be set")
    }

    /// Turns the Warehouse's faults; fields left out are 0.
    pub(crate) async fn shipping_chaos(&self, knobs: Value) -> Result<(), Trouble> {
        let url = format!("{}/chaos", self.warehouse);
        let answer = self.send(Method::PUT, url, &[], Some(knobs)).await?;
        answer.expect(StatusCode::OK, "the warehouse's faults could not be set")
    }

    /// The dead letters that somebody has to look at.
    pub(crate) async fn letters(&self) -> Result<Value, Trouble> {
        let url = format!("{}/dead-letters", self.orders);
        Ok(self.send(Method::GET, url, &[], None).await?.body)
    }

    /// The Warehouse's own count.
    pub(crate) async fn shipments(&self) -> Result<Value, Trouble> {
        let url = format!("{}/audit", self.warehouse);
        Ok(self.send(Method::GET, url, &[], None).await?.body)
    }

    /// Sends a dead letter once more.
    pub(crate) async fn redrive(&self, id: &str) -> Result<Answer, Trouble> {
        let url = format!("{}/dead-letters/{id}/redrive", self.orders);
        self.send(Method::POST, url, &[], Some(json!({"by": "check", "why": "mended"}))).await
    }

    /// A customer's click. The same key with another click is the same order.
    pub(crate) async fn order(&self, key: &str, lines: &[(&str, u32)]) -> Result<Answer, Trouble> {
        let lines: Vec<_> =
            lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
        let url = format!("{}/orders", self.orders);
        let body = json!({"customer": "ann", "lines": lines});
        let headers = [("idempotency-key", format!("\"{key}\""))];
        self.send(Method::POST, url, &headers, Some(body)).await
    }

    /// An order as it stands.
    pub(crate) async fn show(&self, id: &str) -> Result<Answer, Trouble> {
        let url = format!("{}/orders/{id}", self.orders);
        self.send(Method::GET, url, &[], None).await
    }

    /// The back office sets what there is of a product.
    pub(crate) async fn stock(&self, sku: &str, stock: u32) -> Result<(), Trouble> {
        let url = format!("{}/products/{sku}", self.inventory);
        let body = Some(json!({"stock": stock}));
        let answer = self.send(Method::PUT, url, &[backoffice()], body).await?;
        answer.expect(StatusCode::OK, "the stock could not be set")
    }

    /// Turns Inventory's faults; fields left out are 0.
    pub(crate) async fn chaos(&self, knobs: Value) -> Result<(), Trouble> {
        for process in &self.processes {
            let url = format!("{process}/chaos");
            let answer = self.send(Method::PUT, url, &[], Some(knobs.clone())).await?;
            answer.expect(StatusCode::OK, "the faults could not be set")?;
        }
        Ok(())
    }

    /// Inventory's own count of a product.
    pub(crate) async fn audit(&self, sku: &str) -> Result<Value, Trouble> {
        let url = format!("{}/inventory/audit?sku={sku}", self.inventory);
        let answer = self.send(Method::GET, url, &[backoffice()], None).await?;
        let body = answer.body.clone();
        answer.expect(StatusCode::OK, "the audit could not be read")?;
        Ok(body)
    }

    async fn send(
        &self,
        method: Method,
        url: String,
        headers: &[(&str, String)],
        body: Option<Value>,
    ) -> Result<Answer, Trouble> {
        let mut request = Request::builder().method(method).uri(&url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let bytes = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request
            .body(Full::from(bytes))
            .map_err(|error| Trouble::new(format!("{url} cannot be asked: {error}")))?;
        let exchange = async {
            let response = self.http.request(request).await.map_err(broken(&url))?;
            let status = response.status();
            let bytes = response.collect().await.map_err(broken(&url))?.to_bytes();
            let body = serde_json::from_slice(&bytes).unwrap_or_default();
            Ok(Answer { status, body })
        };
        match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(Trouble::new(format!("{url} did not answer within {PATIENCE:?}"))),
        }
    }
}

impl Answer {
    fn expect(self, status: StatusCode, otherwise: &str) -> Result<(), Trouble> {
        if self.status == status {
            return Ok(());
        }
        let Self { status, body } = self;
        Err(Trouble::new(format!("{otherwise}: {status} {body}")))
    }
}

fn backoffice() -> (&'static str, String) {
    ("authorization", "Bearer demo-backoffice".to_owned())
}

fn broken<E: std::error::Error>(url: &str) -> impl Fn(E) -> Trouble {
    move |error| Trouble::new(format!("{url} did not answer: {error}"))
}

/// An order is answered within its policy's three seconds; a machine may be slow.
const PATIENCE: Duration = Duration::from_secs(20);
