//! What the tests share: a service with a database of its own, and ways to call it.

use std::future::pending;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;

use aplomb_core::BoxError;
use aplomb_inventory_service::serve::{self, Limits};
use aplomb_inventory_service::{Config, Inventory, Tokens};
use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::ServiceExt;

pub(crate) const ORDER_API: &str = "demo-order-api";
pub(crate) const BACKOFFICE: &str = "demo-backoffice";

/// A directory that goes away with the test.
pub(crate) struct Directory(TempDir);

impl Directory {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new(self.path(), Tokens::configured(None, true).unwrap());
        config.chaos_seed = Some(7);
        config.limits.notice = std::time::Duration::ZERO;
        config
    }
}

/// A service in this process.
pub(crate) struct Service {
    pub(crate) inventory: Inventory,
    pub(crate) directory: Directory,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With these settings.
    pub(crate) async fn with(set: impl FnOnce(&mut Config)) -> Self {
        let directory = Directory::new();
        let mut config = directory.config();
        set(&mut config);
        let inventory = Inventory::open(config).await.unwrap();
        Self { inventory, directory }
    }

    /// With these limits, and one mug.
    pub(crate) async fn limited(limit: impl FnOnce(&mut Limits)) -> Self {
        let service = Self::with(|config| limit(&mut config.limits)).await;
        let put = Ask::put("/products/mug", r#"{"stock":1}"#);
        assert_eq!(service.send(put.by(BACKOFFICE)).await.status, 200);
        service
    }

    /// With so much of one product.
    pub(crate) async fn stocked(sku: &str, stock: u32) -> Self {
        let service = Self::start().await;
        let put = Ask::put(&format!("/products/{sku}"), format!(r#"{{"stock":{stock}}}"#));
        assert_eq!(service.send(put.by(BACKOFFICE)).await.status, 200);
        service
    }

    /// Calls it as from this machine.
    pub(crate) async fn send(&self, ask: Ask) -> Answer {
        self.send_from([127, 0, 0, 1], ask).await.unwrap()
    }

    pub(crate) async fn send_from(&self, ip: [u8; 4], ask: Ask) -> Result<Answer, BoxError> {
        call(&self.inventory, ip, ask).await
    }

    pub(crate) async fn audit(&self, sku: &str) -> Value {
        let answer = self.send(Ask::get(&format!("/inventory/audit?sku={sku}"))).await;
        assert_eq!(answer.status, 200);
        answer.json()
    }

    /// What it counts, as Prometheus reads it.
    pub(crate) async fn metrics(&self) -> String {
        let answer = self.send(Ask::get("/metrics").anonymous()).await;
        assert_eq!(answer.status, 200);
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    /// What was done under a key, as the back office sees it: the effects in order.
    pub(crate) async fn effects(&self, key: &str) -> Vec<String> {
        let ask = Ask::get(&format!("/inventory/audit/events?key={key}")).by(BACKOFFICE);
        let events = self.send(ask).await.json()["events"].take();
        let effect = |event: &Value| event["effect"].as_str().unwrap().to_owned();
        events.as_array().unwrap().iter().map(effect).collect()
    }

    /// On a socket of its own.
    pub(crate) async fn listen(self) -> Server {
        let listener = serve::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = self.inventory.clone().serve(listener, async {
            let _ = stopped.await;
        });
        Server { address, stop, serving: tokio::spawn(serving), service: self }
    }
}

/// One request to a service in this process, as if it came from `ip`.
pub(crate) async fn call(inventory: &Inventory, ip: [u8; 4], ask: Ask) -> Result<Answer, BoxError> {
    let mut request = ask.request().map(Body::new);
    let peer = ConnectInfo(SocketAddr::from((ip, 40_000)));
    request.extensions_mut().insert(peer);
    let response = inventory.service().oneshot(request).await?;
    Ok(Answer::of(response).await?)
}

/// A service on a socket.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) serving: JoinHandle<()>,
    pub(crate) service: Service,
}

impl Server {
    /// Calls it over a connection of its own.
    pub(crate) async fn send(&self, ask: Ask) -> Result<Answer, hyper::Error> {
        exchange(self.address, ask).await
    }
}

/// One request over one connection, which closes when the future is dropped.
pub(crate) async fn exchange(address: SocketAddr, ask: Ask) -> Result<Answer, hyper::Error> {
    Line::open(address).await.send(ask).await
}

/// A connection that is kept.
pub(crate) struct Line {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
    driven: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Line {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        // How it ended is told to whoever waits for an answer.
        let driven = Box::pin(async {
            let _ = connection.await;
            pending::<()>().await;
        });
        Self { address, sender, driven }
    }

    pub(crate) async fn send(&mut self, mut ask: Ask) -> Result<Answer, hyper::Error> {
        ask.host = self.address.to_string();
        let answer = async {
            self.sender.ready().await?;
            Answer::of(self.sender.send_request(ask.request()).await?).await
        };
        tokio::select! {
            answer = answer => answer,
            () = &mut self.driven => unreachable!("it is never told here"),
        }
    }
}

/// A request to be made.
#[derive(Clone)]
pub(crate) struct Ask {
    method: &'static str,
    path: String,
    token: Option<String>,
    pub(crate) host: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Ask {
    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path, "")
    }

    pub(crate) fn put(path: &str, body: impl Into<Bytes>) -> Self {
        Self::new("PUT", path, body)
    }

    pub(crate) fn delete(path: &str) -> Self {
        Self::new("DELETE", path, "")
    }

    pub(crate) fn post(path: &str, body: impl Into<Bytes>) -> Self {
        Self::new("POST", path, body)
    }

    /// A reservation of `quantity` for line 1 of an order.
    pub(crate) fn reserve(key: &str, order: &str, sku: &str, quantity: u32) -> Self {
        let body =
            format!(r#"{{"order_id":"{order}","line":1,"sku":"{sku}","quantity":{quantity}}}"#);
        Self::post("/inventory/reservations", body).header("idempotency-key", key)
    }

    pub(crate) fn chaos(knobs: &str) -> Self {
        Self::put("/chaos", knobs.to_owned())
    }

    fn new(method: &'static str, path: &str, body: impl Into<Bytes>) -> Self {
        Self {
            method,
            path: path.into(),
            token: Some(ORDER_API.into()),
            host: "localhost".into(),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub(crate) fn by(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    pub(crate) fn anonymous(mut self) -> Self {
        self.token = None;
        self
    }

    pub(crate) fn host(mut self, host: &str) -> Self {
        self.host = host.into();
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn request(self) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.path)
            .header("host", self.host)
            .header("content-type", "application/json");
        if let Some(token) = self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body)).unwrap()
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    async fn of<B: http_body::Body>(response: http::Response<B>) -> Result<Self, B::Error> {
        let (parts, body) = response.into_parts();
        Ok(Self {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await?.to_bytes(),
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn is_replay(&self) -> bool {
        self.headers.get("idempotent-replayed").is_some_and(|value| value == "true")
    }

    /// The status and the end of the problem's type.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let kind = self.json()["type"].as_str().unwrap().to_owned();
        let end = kind.rsplit('/').next().unwrap().to_owned();
        (self.status.as_u16(), end)
    }
}

/// A problem to compare with.
pub(crate) fn problem(status: u16, kind: &str) -> (u16, String) {
    (status, kind.into())
}
