//! All the services on loopback, the orders on either database.

use std::any::Any;
use std::net::SocketAddr;
use std::time::Duration;

use aplomb::policy::PolicyFile;
use aplomb_core::{Dice, time};
use aplomb_inventory_service::serve::{self, Limits};
use aplomb_inventory_service::{Inventory, Place, Tokens};
use aplomb_order_api::{Config, FulfilmentConfig, OrderApi, Policies, Worker, WorkerConfig};
use aplomb_warehouse::Warehouse;
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
    pub(crate) warehouse: String,
    pub(crate) fulfilment: FulfilmentConfig,
    policies: Policies,
    place: Place,
    http: Client,
    _tasks: JoinSet<()>,
    _ground: Ground,
}

/// A directory, and a server where there is one.
pub(crate) struct Ground {
    place: Place,
    data: TempDir,
    _server: Option<Box<dyn Any + Send + Sync>>,
}

pub(crate) fn on_sqlite() -> Ground {
    let data = tempfile::tempdir().unwrap();
    Ground { place: Place::File(data.path().join("orders.db")), data, _server: None }
}

pub(crate) async fn on_postgres() -> Ground {
    let starting = tokio::task::spawn_blocking(aplomb_testkit::servers::Postgres::start);
    let server = starting.await.unwrap().unwrap();
    let place = Place::Postgres(server.url().to_owned());
    Ground { place, data: tempfile::tempdir().unwrap(), _server: Some(Box::new(server)) }
}

/// The same test on each database.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                Box::pin(super::$name(crate::support::on_sqlite())).await;
            })*
        }

        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                Box::pin(super::$name(crate::support::on_postgres().await)).await;
            })*
        }
    };
}
pub(crate) use on_both;

/// The demo's policies with these lines in the place of others.
fn policies(changes: &[(&str, &str)]) -> Policies {
    let mut text = include_str!("../../../demo/aplomb.toml").to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    PolicyFile::parse("aplomb.toml", &text).unwrap().into()
}

/// Waits that a test has time for; and a busy machine is no failure.
const PATIENT: &[(&str, &str)] = &[
    ("base = \"1m\", cap = \"1h\"", "base = \"20ms\", cap = \"100ms\""),
    ("attempt_timeout = \"2s\"\ntotal = \"8h\"", "attempt_timeout = \"5s\"\ntotal = \"8h\""),
    ("attempt_timeout = \"500ms\"\ntotal = \"2s\"", "attempt_timeout = \"5s\"\ntotal = \"20s\""),
    ("attempt_timeout = \"300ms\"\ntotal = \"1s\"", "attempt_timeout = \"5s\"\ntotal = \"20s\""),
];

impl Town {
    pub(crate) async fn open(ground: Ground) -> Self {
        Self::with(ground, &[], |_, _| {}).await
    }

    /// With other policies.
    pub(crate) async fn by(ground: Ground, changes: &[(&str, &str)]) -> Self {
        Self::with(ground, changes, |_, _| {}).await
    }

    /// With other settings; the closure is told where the Warehouse is.
    pub(crate) async fn with(
        ground: Ground,
        changes: &[(&str, &str)],
        change: impl FnOnce(&mut FulfilmentConfig, &str),
    ) -> Self {
        let mut tasks = JoinSet::new();
        let inventory = inventory(&ground, &mut tasks).await;
        let warehouse = warehouse(&ground, &mut tasks).await;
        let mut fulfilment = FulfilmentConfig::new(warehouse.parse().unwrap());
        change(&mut fulfilment, &warehouse);
        let mut config = Config::new(ground.data.path(), inventory.parse().unwrap());
        config.place = ground.place.clone();
        config.dice = Dice::seeded(7);
        config.fulfilment = fulfilment.clone();
        let policies = policies(&[PATIENT, changes].concat());
        config.policies = policies.clone();
        let api = OrderApi::open(config, HttpConnector::new()).await.unwrap();
        let (listener, orders) = listen().await;
        let router = api.router();
        tasks.spawn(async move {
            serve::serve(listener, router, Limits::default(), std::future::pending()).await;
        });
        let (place, http) = (ground.place.clone(), Client::new());
        let town = Self {
            api,
            orders,
            inventory,
            warehouse,
            fulfilment,
            policies,
            place,
            http,
            _tasks: tasks,
            _ground: ground,
        };
        town.stock(1_000).await;
        town
    }

    /// A worker as another process has it.
    pub(crate) async fn worker(&self, change: impl FnOnce(&mut WorkerConfig)) -> Worker {
        let mut config = WorkerConfig::new(self.place.clone(), self.fulfilment.clone());
        config.dice = Dice::seeded(8);
        config.policies = self.policies.clone();
        change(&mut config);
        Worker::open(config, HttpConnector::new()).await.unwrap()
    }

    pub(crate) async fn stock(&self, stock: u32) {
        let url = format!("{}/products/mug", self.inventory);
        let body = json!({ "stock": stock });
        let answer = self.http.send(Method::PUT, &url, BACKOFFICE, body).await;
        assert_eq!(answer.status, StatusCode::OK);
    }

    /// Places an order for one mug.
    pub(crate) async fn order(&self, key: &str) -> Answer {
        let body = json!({"customer": "ann", "lines": [{"sku": "mug", "quantity": 1}]});
        let url = format!("{}/orders", self.orders);
        self.http.send(Method::POST, &url, &[("idempotency-key", key)], body).await
    }

    /// Places an order that is confirmed, and says its name.
    pub(crate) async fn confirmed(&self, key: &str) -> String {
        let answer = self.order(key).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        assert_eq!(answer.body["fulfilment"], "queued");
        answer.body["order_id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn fulfilment_of(&self, order: &str) -> String {
        let answer = self.get(&format!("{}/orders/{order}", self.orders)).await;
        answer.body["fulfilment"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn get(&self, url: &str) -> Answer {
        self.http.send(Method::GET, url, &[], Value::Null).await
    }

    /// Turns a knob of the Warehouse.
    pub(crate) async fn put(&self, path: &str, body: Value) {
        let url = format!("{}{path}", self.warehouse);
        let answer = self.http.send(Method::PUT, &url, &[], body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }

    /// Poisons an order, takes it to its dead letter, and answers with the letter's id.
    pub(crate) async fn poisoned(&self, order: &str) -> String {
        self.put("/poison", json!({ "orders": [order] })).await;
        assert_eq!(self.api.worker("w").run_once().await.unwrap().dead_lettered, 1);
        let letters = self.letters().await;
        let letter = letters.iter().find(|letter| letter["order_id"] == order).unwrap();
        letter["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn letters(&self) -> Vec<Value> {
        let answer = self.get(&format!("{}/dead-letters", self.orders)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body["letters"].as_array().unwrap().clone()
    }

    pub(crate) async fn redrive(&self, id: &str, headers: &[(&str, &str)]) -> Answer {
        let url = format!("{}/dead-letters/{id}/redrive", self.orders);
        let why = json!({"by": "erin", "why": "mended"});
        self.http.send(Method::POST, &url, headers, why).await
    }

    /// What was done about a letter, newest first.
    pub(crate) async fn audit(&self, id: &str) -> Vec<String> {
        let answer = self.get(&format!("{}/dead-letters/{id}", self.orders)).await;
        let word = |entry: &Value, of: &str| entry[of].as_str().unwrap().to_owned();
        let lines = answer.body["audit"].as_array().unwrap().iter();
        lines
            .map(|entry| {
                let [action, by, why] = ["action", "by", "why"].map(|of| word(entry, of));
                format!("{action} by {by}: {why}")
            })
            .collect()
    }

    /// What the Warehouse has shipped: shipments, keys among them.
    pub(crate) async fn shipments(&self) -> (u64, u64) {
        let answer = self.get(&format!("{}/audit", self.warehouse)).await;
        let count = |of: &str| answer.body[of].as_u64().unwrap();
        (count("shipments"), count("distinct_keys"))
    }

    /// Nothing is lost, nothing is invented, nothing is both.
    pub(crate) async fn sound(&self) {
        let tally = self.api.fulfilment().await.unwrap();
        assert_eq!((tally.lost, tally.invented, tally.both), (0, 0, 0), "{tally:?}");
    }
}

/// Asks until it is so; a test that waits for ever fails after half a minute.
pub(crate) async fn until<F: Future<Output = bool>>(mut is_so: impl FnMut() -> F) {
    let began = time::now();
    while !is_so().await {
        assert!(time::now() - began < Duration::from_secs(30), "it never comes true");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn inventory(ground: &Ground, tasks: &mut JoinSet<()>) -> String {
    let tokens = Tokens::configured(None, true).unwrap();
    let config = aplomb_inventory_service::Config::new(ground.data.path(), tokens);
    let inventory = Inventory::open(config).await.unwrap();
    let (listener, url) = listen().await;
    tasks.spawn(inventory.serve(listener, std::future::pending()));
    url
}

async fn warehouse(ground: &Ground, tasks: &mut JoinSet<()>) -> String {
    let mut config = aplomb_warehouse::Config::new(ground.data.path());
    config.chaos_seed = Some(7);
    let warehouse = Warehouse::open(config).await.unwrap();
    let (listener, url) = listen().await;
    tasks.spawn(warehouse.serve(listener, std::future::pending()));
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

impl Client {
    pub(crate) fn new() -> Self {
        Self(Http::builder(TokioExecutor::new()).build_http())
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(url).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let response = self.0.request(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }
}

const BACKOFFICE: &[(&str, &str)] = &[("authorization", "Bearer demo-backoffice")];
