//! A customer, or the back office, with a plain HTTP client.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::{Value, json};

use crate::replicas::Slot;
use crate::trouble::Trouble;

/// Asks both services. It never retries: what it sees is what they say.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: Http<HttpConnector, Full<Bytes>>,
    orders: Sites,
    inventory: Sites,
    warehouse: Sites,
}

/// Where one role can be asked.
#[derive(Clone, Debug)]
pub(crate) struct Sites {
    front: String,
    /// Its processes, if it has some of its own.
    slots: Vec<Arc<Slot>>,
}

impl Sites {
    /// One process.
    pub(crate) fn one(url: &str) -> Self {
        Self::many(url, Vec::new())
    }

    /// Several behind one address.
    pub(crate) fn many(front: &str, slots: Vec<Arc<Slot>>) -> Self {
        Self { front: front.to_owned(), slots }
    }

    /// Where any of them answers.
    pub(crate) fn front(&self) -> &str {
        &self.front
    }

    /// Where each of those answers that live now.
    pub(crate) fn each(&self) -> Vec<String> {
        if self.slots.is_empty() {
            return vec![self.front.clone()];
        }
        self.slots.iter().filter_map(|slot| slot.url()).collect()
    }
}

/// An answer: status, headers and JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The order that it speaks of.
    pub(crate) fn order_id(&self) -> &str {
        self.body["order_id"].as_str().unwrap_or_default()
    }
}

impl Client {
    pub(crate) fn new(orders: Sites, inventory: Sites, warehouse: Sites) -> Self {
        Self {
            // Given up before the services do, which close what has idled for 30 s.
            http: Http::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(Duration::from_secs(10))
                .build_http(),
            orders,
            inventory,
            warehouse,
        }
    }

    /// Asks this Order API, and nobody else.
    pub(crate) fn of_orders(orders: Sites) -> Self {
        Self::new(orders, Sites::one(""), Sites::one(""))
    }

    /// Asks this Inventory, and nobody else.
    pub(crate) fn of_inventory(inventory: Sites) -> Self {
        Self::new(Sites::one(""), inventory, Sites::one(""))
    }

    /// Where the Order API is.
    pub(crate) fn orders(&self) -> &str {
        self.orders.front()
    }

    /// Where Inventory is.
    pub(crate) fn inventory(&self) -> &str {
        self.inventory.front()
    }

    /// Marks the orders that the Warehouse refuses; all others are fine.
    pub(crate) async fn poison(&self, orders: &[&str]) -> Result<(), Trouble> {
        let url = format!("{}/poison", self.warehouse.front());
        let answer = self.send(Method::PUT, url, &[], Some(json!({"orders": orders}))).await?;
        answer.expect(StatusCode::OK, "no poison could be set")
    }

    /// Turns the Warehouse's faults; fields left out are 0.
    pub(crate) async fn shipping_chaos(&self, knobs: Value) -> Result<(), Trouble> {
        self.turn(&self.warehouse, knobs).await
    }

    /// The dead letters that somebody has to look at, the first page of them.
    pub(crate) async fn letters(&self) -> Result<Value, Trouble> {
        Ok(self.letters_after(None).await?.body)
    }

    /// The page of them that follows this one.
    pub(crate) async fn letters_after(&self, after: Option<&str>) -> Result<Answer, Trouble> {
        let after = after.map(|after| format!("?after={after}")).unwrap_or_default();
        let url = format!("{}/dead-letters{after}", self.orders());
        self.send(Method::GET, url, &[], None).await
    }

    /// The Warehouse's own count.
    pub(crate) async fn shipments(&self) -> Result<Value, Trouble> {
        let url = format!("{}/audit", self.warehouse.front());
        Ok(self.send(Method::GET, url, &[], None).await?.body)
    }

    /// Sends a dead letter once more.
    pub(crate) async fn redrive(&self, id: &str) -> Result<Answer, Trouble> {
        self.redrive_by("check", "mended", id).await
    }

    /// The same, with who does it and why.
    pub(crate) async fn redrive_by(
        &self,
        who: &str,
        why: &str,
        id: &str,
    ) -> Result<Answer, Trouble> {
        let url = format!("{}/dead-letters/{id}/redrive", self.orders());
        self.send(Method::POST, url, &[], Some(json!({"by": who, "why": why}))).await
    }

    /// A customer's click. The same key with another click is the same order.
    pub(crate) async fn order(&self, key: &str, lines: &[(&str, u32)]) -> Result<Answer, Trouble> {
        let lines: Vec<_> =
            lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
        self.order_of(Some(key), json!({"customer": "ann", "lines": lines})).await
    }

    /// A click with whatever body, and a key or none.
    pub(crate) async fn order_of(&self, key: Option<&str>, body: Value) -> Result<Answer, Trouble> {
        let url = format!("{}/orders", self.orders());
        let key = key.map(|key| ("idempotency-key", format!("\"{key}\"")));
        self.send(Method::POST, url, key.as_slice(), Some(body)).await
    }

    /// An order as it stands.
    pub(crate) async fn show(&self, id: &str) -> Result<Answer, Trouble> {
        let url = format!("{}/orders/{id}", self.orders());
        self.send(Method::GET, url, &[], None).await
    }

    /// How many the Order API says there are.
    pub(crate) async fn look(&self, sku: &str) -> Result<Answer, Trouble> {
        let url = format!("{}/products/{sku}/availability", self.orders());
        self.send(Method::GET, url, &[], None).await
    }

    /// How many Inventory says there are, to this caller.
    pub(crate) async fn look_inside(&self, sku: &str, token: &str) -> Result<Answer, Trouble> {
        let url = format!("{}/products/{sku}/availability", self.inventory());
        self.send(Method::GET, url, &[("authorization", format!("Bearer {token}"))], None).await
    }

    /// The back office sets what there is of a product.
    pub(crate) async fn stock(&self, sku: &str, stock: u32) -> Result<(), Trouble> {
        let answer = self.stock_as(BACKOFFICE, sku, json!(stock)).await?;
        answer.expect(StatusCode::OK, "the stock could not be set")
    }

    /// Somebody tries to.
    pub(crate) async fn stock_as(
        &self,
        token: &str,
        sku: &str,
        stock: Value,
    ) -> Result<Answer, Trouble> {
        let url = format!("{}/products/{sku}", self.inventory());
        let token = [("authorization", format!("Bearer {token}"))];
        self.send(Method::PUT, url, &token, Some(json!({ "stock": stock }))).await
    }

    /// Turns Inventory's faults; fields left out are 0.
    pub(crate) async fn chaos(&self, knobs: Value) -> Result<(), Trouble> {
        self.turn(&self.inventory, knobs).await
    }

    /// Inventory's faults as they stand.
    pub(crate) async fn knobs(&self) -> Result<Value, Trouble> {
        let url = format!("{}/chaos", self.inventory());
        Ok(self.send(Method::GET, url, &[], None).await?.body)
    }

    /// What the budget that pays for retried reservations holds, as the Order API's metrics tell it.
    pub(crate) async fn budget(&self) -> Result<Option<f64>, Trouble> {
        Ok(balance(&self.page_of_metrics(self.orders()).await?))
    }

    /// Inventory's own count of a product.
    pub(crate) async fn audit(&self, sku: &str) -> Result<Value, Trouble> {
        let url = format!("{}/inventory/audit?sku={sku}", self.inventory());
        let token = [("authorization", format!("Bearer {BACKOFFICE}"))];
        let answer = self.send(Method::GET, url, &token, None).await?;
        let body = answer.body.clone();
        answer.expect(StatusCode::OK, "the audit could not be read")?;
        Ok(body)
    }

    /// The metrics of each process of the Order API and of Inventory that lives now.
    pub(crate) async fn metrics(&self) -> Result<Vec<String>, Trouble> {
        let mut pages = Vec::new();
        for site in self.orders.each().into_iter().chain(self.inventory.each()) {
            pages.push(self.page_of_metrics(&site).await?);
        }
        Ok(pages)
    }

    async fn page_of_metrics(&self, site: &str) -> Result<String, Trouble> {
        let url = format!("{site}/metrics");
        let (_, bytes) = self.exchange(Method::GET, &url, &[], Bytes::new()).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn turn(&self, sites: &Sites, knobs: Value) -> Result<(), Trouble> {
        for site in sites.each() {
            let url = format!("{site}/chaos");
            let answer = self.send(Method::PUT, url, &[], Some(knobs.clone())).await?;
            answer.expect(StatusCode::OK, "the faults could not be set")?;
        }
        Ok(())
    }

    async fn send(
        &self,
        method: Method,
        url: String,
        headers: &[(&str, String)],
        body: Option<Value>,
    ) -> Result<Answer, Trouble> {
        let bytes = body.map(|body| body.to_string()).unwrap_or_default();
        let (parts, bytes) = self.exchange(method, &url, headers, bytes.into()).await?;
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    async fn exchange(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<(Parts, Bytes), Trouble> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let request = request
            .body(Full::from(body))
            .map_err(|error| Trouble::new(format!("{url} cannot be asked: {error}")))?;
        let exchange = async {
            let response = self.http.request(request).await.map_err(broken(url))?;
            let (parts, body) = response.into_parts();
            Ok((parts, body.collect().await.map_err(broken(url))?.to_bytes()))
        };
        let answer = tokio::time::timeout(PATIENCE, exchange).await;
        answer.unwrap_or_else(|_| {
            Err(Trouble::new(format!("{url} did not answer within {PATIENCE:?}")))
        })
    }
}

impl Answer {
    fn expect(self, status: StatusCode, otherwise: &str) -> Result<(), Trouble> {
        if self.status == status {
            return Ok(());
        }
        let Self { status, body, .. } = self;
        Err(Trouble::new(format!("{otherwise}: {status} {body}")))
    }
}

fn broken<E: std::error::Error>(url: &str) -> impl Fn(E) -> Trouble {
    move |error| Trouble::new(format!("{url} did not answer: {error}"))
}

/// The balance of the budget that pays for retried reservations: it may be theirs alone, their
/// class's, or Inventory's.
fn balance(metrics: &str) -> Option<f64> {
    let budgets = metrics.lines().filter(|line| {
        line.starts_with("retry_budget_balance{") && line.contains("dependency=\"inventory\"")
    });
    let mut budgets: Vec<_> = budgets.collect();
    budgets.sort_by_key(|line| !line.contains("\"write\"") && !line.contains("\"reserve\""));
    budgets.first()?.rsplit(' ').next()?.parse().ok()
}

/// Who may set stock and read the books.
pub(crate) const BACKOFFICE: &str = "demo-backoffice";
/// An order is answered within its policy's three seconds; a machine may be slow.
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_of_reservations_is_found_among_others() {
        let metrics = r#"# TYPE retry_budget_balance gauge
retry_budget_balance{dependency="inventory",operation="read"} 3
retry_budget_balance{dependency="inventory",operation="write"} 7.5
retry_budget_balance{dependency="warehouse",operation="all"} 1"#;
        assert_eq!(balance(metrics), Some(7.5));
        assert_eq!(balance(&metrics.replace("write", "background")), Some(3.0));
        assert_eq!(balance(""), None);
    }
}
