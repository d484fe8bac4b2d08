//! Both services on loopback, each with a database of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use aplomb::policy::PolicyFile;
use aplomb_core::Dice;
use aplomb_inventory_service::{Inventory, Tokens};
use aplomb_order_api::{Config, OrderApi, Policies};
use axum::Router;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Everything that a test needs; all of it ends with it.
pub(crate) struct Town {
    pub(crate) api: OrderApi,
    pub(crate) orders: String,
    pub(crate) inventory: String,
    pub(crate) http: Client,
    _data: TempDir,
    _tasks: JoinSet<()>,
}

impl Town {
    pub(crate) async fn open() -> Self {
        Self::with(|_| ()).await
    }

    /// Numbers of stock count for so long, such as `1h`.
    pub(crate) async fn fresh_for(time: &str) -> Self {
        let terms = format!("fresh_for = \"{time}\", stale_for = \"{time}\"");
        let policies = policies(&[("fresh_for = \"2s\", stale_for = \"2s\"", &terms)]);
        Self::with(|config| config.policies = policies).await
    }

    /// Time enough for a reservation on a machine that has more to do.
    pub(crate) async fn patient() -> Self {
        let (line, order) = ("attempt_timeout = \"500ms\"\ntotal = \"3s\"", "\ntotal = \"4s\"");
        let patient = "attempt_timeout = \"5s\"\ntotal = \"20s\"";
        let policies = policies(&[(line, patient), (order, "\ntotal = \"40s\"")]);
        Self::with(|config| config.policies = policies).await
    }

    /// The Order API has these settings.
    pub(crate) async fn with(set: impl FnOnce(&mut Config)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut tasks = JoinSet::new();
        let inventory = inventory(data.path(), &mut tasks).await;
        let mut config = config(data.path(), &inventory);
        set(&mut config);
        let api = OrderApi::open(config, HttpConnector::new()).await.unwrap();
        // Without its reconciler, which tests run when it is time.
        let orders = serve(api.router(), &mut tasks).await;
        Self { api, orders, inventory, http: Client::new(), _data: data, _tasks: tasks }
    }

    pub(crate) async fn stock(&self, sku: &str, stock: u32) {
        let url = format!("{}/products/{sku}", self.inventory);
        let answer = self.http.send(Method::PUT, &url, BACKOFFICE, json!({"stock": stock}));
        assert_eq!(answer.await.status, StatusCode::OK);
    }

    pub(crate) async fn chaos(&self, knobs: Value) {
        let url = format!("{}/chaos", self.inventory);
        let answer = self.http.send(Method::PUT, &url, &[], knobs).await;
        assert_eq!(answer.status, StatusCode::OK);
    }

    pub(crate) async fn audit(&self, sku: &str) -> Value {
        let url = format!("{}/inventory/audit?sku={sku}", self.inventory);
        self.http.send(Method::GET, &url, BACKOFFICE, Value::Null).await.body
    }

    /// What Inventory did under a key, oldest first.
    pub(crate) async fn effects(&self, key: &str) -> Vec<String> {
        let url = format!("{}/inventory/audit/events?key={key}", self.inventory);
        let answer = self.http.send(Method::GET, &url, BACKOFFICE, Value::Null);
        let events = answer.await.body["events"].as_array().unwrap().clone();
        let effects = events.iter().map(|event| event["effect"].as_str().unwrap());
        effects.map(ToOwned::to_owned).collect()
    }

    pub(crate) async fn order(&self, key: &str, lines: &[(&str, u32)]) -> Answer {
        self.http.order(&self.orders, key, lines).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let url = format!("{}{path}", self.orders);
        self.http.send(Method::GET, &url, &[], Value::Null).await
    }

    pub(crate) async fn metrics(&self) -> String {
        let url = format!("{}/metrics", self.orders);
        self.http.text(&url).await
    }

    /// Reconciles until no order is open.
    pub(crate) async fn reconcile(&self) {
        let reconciler = self.api.reconciler();
        while self.api.tally().await.unwrap().open > 0 {
            reconciler.run_once().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The demo's policies with these lines in the place of others.
pub(crate) fn policies(changes: &[(&str, &str)]) -> Policies {
    PolicyFile::parse("aplomb.toml", &policy_text(changes)).unwrap().into()
}

pub(crate) fn policy_text(changes: &[(&str, &str)]) -> String {
    let mut text = include_str!("../../../demo/aplomb.toml").to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    text
}

/// The settings of tests: seeded, with a lease that is over soon.
pub(crate) fn config(data: &Path, inventory: &str) -> Config {
    let mut config = Config::new(data, inventory.parse().unwrap());
    config.dice = Dice::seeded(7);
    config.lease = Duration::from_millis(300);
    config
}

/// The real Inventory Service.
pub(crate) async fn inventory(data: &Path, tasks: &mut JoinSet<()>) -> String {
    let tokens = Tokens::configured(None, true).unwrap();
    let mut config = aplomb_inventory_service::Config::new(data, tokens);
    config.chaos_seed = Some(7);
    let inventory = Inventory::open(config).await.unwrap();
    let (listener, url) = listen().await;
    tasks.spawn(inventory.serve(listener, std::future::pending()));
    url
}

/// Any routes, served until the tasks are dropped.
pub(crate) async fn serve(router: Router, tasks: &mut JoinSet<()>) -> String {
    let (listener, url) = listen().await;
    tasks.spawn(async { axum::serve(listener, router).await.unwrap() });
    url
}

async fn listen() -> (TcpListener, String) {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let listener = TcpListener::bind(any).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// A client that shows what it gets and retries nothing.
#[derive(Clone)]
pub(crate) struct Client(Http<HttpConnector, Full<Bytes>>);

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn order_id(&self) -> String {
        self.body["order_id"].as_str().unwrap().to_owned()
    }
}

impl Client {
    pub(crate) fn new() -> Self {
        Self(Http::builder(TokioExecutor::new()).build_http())
    }

    pub(crate) async fn order(&self, orders: &str, key: &str, lines: &[(&str, u32)]) -> Answer {
        let lines: Vec<_> =
            lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
        let body = json!({"customer": "ann", "lines": lines});
        let url = format!("{orders}/orders");
        self.send(Method::POST, &url, &[("idempotency-key", key)], body).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send_bytes(method, url, headers, body).await
    }

    pub(crate) async fn send_bytes(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.0.request(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    async fn text(&self, url: &str) -> String {
        let response = self.0.get(url.parse().unwrap()).await.unwrap();
        let body = response.collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }
}

const BACKOFFICE: &[(&str, &str)] = &[("authorization", "Bearer demo-backoffice")];
