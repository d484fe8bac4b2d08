//! The Warehouse over real sockets, on both databases.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::future::pending;
use std::net::SocketAddr;
use std::path::Path;

use aplomb_inventory_service::{Place, serve};
use aplomb_testkit::servers::Postgres;
use aplomb_warehouse::{Config, Warehouse};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// The same test on each database.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                Box::pin(super::$name(super::House::on_sqlite().await)).await;
            })*
        }

        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                Box::pin(super::$name(super::House::on_postgres().await)).await;
            })*
        }
    };
}

on_both!(
    an_order_is_shipped_once_and_replayed,
    a_second_key_ships_nothing,
    keys_at_the_same_time_ship_an_order_once,
    poison_is_refused_until_it_is_mended,
    a_lost_answer_is_replayed,
    what_cannot_be_read_is_refused,
    only_this_machine_turns_knobs,
);

async fn an_order_is_shipped_once_and_replayed(house: House) {
    assert_eq!(house.get("/shipments/o1").await.status, StatusCode::NOT_FOUND);
    let first = house.ship("o1", "k1").await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!(first.headers["location"], "/shipments/o1");
    assert_eq!(first.body["order_id"], "o1");
    let again = house.ship("o1", "k1").await;
    assert_eq!((again.status, &again.body), (StatusCode::CREATED, &first.body));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(house.get("/shipments/o1").await.body, first.body);
    assert_eq!(house.shipments().await, 1);
    // Another order under the same key is a mistake.
    assert_eq!(house.ship("o2", "k1").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(house.shipments().await, 1);
}

async fn a_second_key_ships_nothing(house: House) {
    assert_eq!(house.ship("o1", "k1").await.status, StatusCode::CREATED);
    let second = house.ship("o1", "k2").await;
    assert_eq!(second.status, StatusCode::CONFLICT);
    assert_eq!(second.body["type"], "/problems/already-shipped");
    assert_eq!(house.shipments().await, 1);
}

async fn keys_at_the_same_time_ship_an_order_once(house: House) {
    let keys: Vec<_> = (0..8).map(|number| format!("k{number}")).collect();
    let answers = keys.iter().map(|key| house.ship("o1", key));
    let answers = futures_util::future::join_all(answers).await;
    let of = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(StatusCode::CREATED), of(StatusCode::CONFLICT)), (1, 7));
    assert_eq!(house.shipments().await, 1);
}

async fn poison_is_refused_until_it_is_mended(house: House) {
    house.put("/poison", json!({"orders": ["o1", "o1", "o9"]})).await;
    assert_eq!(house.get("/poison").await.body, json!({"orders": ["o1", "o9"]}));
    let refused = house.ship("o1", "k1").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.body["type"], "/problems/cannot-be-shipped");
    assert_eq!(house.shipments().await, 0);
    house.put("/poison", json!({"orders": ["o9"]})).await;
    // The refusal was not recorded: the same key is run.
    assert_eq!(house.ship("o1", "k1").await.status, StatusCode::CREATED);
}

async fn a_lost_answer_is_replayed(house: House) {
    house.put("/chaos", json!({"lose_next": 1})).await;
    assert!(house.try_ship("o1", "k1").await.is_err());
    assert_eq!(house.shipments().await, 1);
    let replayed = house.ship("o1", "k1").await;
    assert_eq!(replayed.status, StatusCode::CREATED);
    assert_eq!(replayed.headers["idempotent-replayed"], "true");
    assert_eq!(house.shipments().await, 1);
}

async fn what_cannot_be_read_is_refused(house: House) {
    let wrong = [json!({}), json!({"order_id": ""}), json!({"order_id": "a/b"}), json!([])];
    for (body, key) in wrong.into_iter().zip(["k1", "k2", "k3", "k4"]) {
        let key = [("idempotency-key", key)];
        let answer = house.send(Method::POST, "/shipments", &key, &body);
        assert_eq!(answer.await.unwrap().status, StatusCode::BAD_REQUEST, "{body}");
    }
    let bare = house.send(Method::POST, "/shipments", &[], &json!({"order_id": "o1"})).await;
    assert_eq!(bare.unwrap().status, StatusCode::BAD_REQUEST);
    assert_eq!(house.shipments().await, 0);
    assert_eq!(house.get("/nowhere").await.status, StatusCode::NOT_FOUND);
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(house.get(path).await.status, StatusCode::OK, "{path}");
    }
}

async fn only_this_machine_turns_knobs(house: House) {
    for path in ["/chaos", "/poison"] {
        for header in [("host", "shop.example"), ("origin", "http://shop.example")] {
            let answer = house.send(Method::GET, path, &[header], &Value::Null).await;
            assert_eq!(answer.unwrap().status, StatusCode::FORBIDDEN, "{path} {header:?}");
        }
    }
}

/// A Warehouse on a socket of its own.
struct House {
    url: String,
    http: Client<HttpConnector, Full<Bytes>>,
    serving: JoinHandle<()>,
    _data: TempDir,
    _server: Option<Postgres>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

type Sent = Result<Answer, Box<dyn std::error::Error + Send + Sync>>;

impl House {
    async fn on_sqlite() -> Self {
        let data = tempfile::tempdir().unwrap();
        let place = Place::File(data.path().join("warehouse.db"));
        Self::on(place, data, None).await
    }

    async fn on_postgres() -> Self {
        let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap().unwrap();
        let place = Place::Postgres(server.url().to_owned());
        Self::on(place, tempfile::tempdir().unwrap(), Some(server)).await
    }

    async fn on(place: Place, data: TempDir, server: Option<Postgres>) -> Self {
        let mut config = Config::new(Path::new(data.path()));
        config.place = place;
        config.chaos_seed = Some(7);
        let warehouse = Warehouse::open(config).await.unwrap();
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let listener = serve::bind(any).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(warehouse.serve(listener, pending()));
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { url, http, serving, _data: data, _server: server }
    }

    async fn try_ship(&self, order: &str, key: &str) -> Sent {
        let body = json!({ "order_id": order });
        self.send(Method::POST, "/shipments", &[("idempotency-key", key)], &body).await
    }

    async fn ship(&self, order: &str, key: &str) -> Answer {
        self.try_ship(order, key).await.unwrap()
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], &Value::Null).await.unwrap()
    }

    async fn put(&self, path: &str, body: Value) {
        let answer = self.send(Method::PUT, path, &[], &body).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }

    async fn shipments(&self) -> u64 {
        let audit = self.get("/audit").await.body;
        assert_eq!(audit["duplicates"], 0);
        audit["shipments"].as_u64().unwrap()
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Sent {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.http.request(request.body(body.to_string().into())?).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
