//! HTTP/1.1 on a connection of its own for each request, so that one can be broken off.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::BlackBox;

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Seen {
    pub(super) fn is_replay(&self) -> bool {
        self.headers.get("idempotent-replayed").is_some_and(|value| value == "true")
    }

    /// Whether it is a refusal as RFC 9457 has it.
    pub(super) fn is_problem(&self) -> bool {
        let media = self.headers.get(header::CONTENT_TYPE);
        let named = media.is_some_and(|media| media == "application/problem+json");
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        named && body["type"].as_str().is_some_and(|kind| !kind.is_empty())
    }
}

/// What is sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) keys: Vec<HeaderValue>,
    pub(super) body: Bytes,
    /// Whether the body's length is told.
    pub(super) measured: bool,
}

impl BlackBox {
    /// A request with a quoted key.
    pub(super) fn keyed(&self, key: &str, unit: u64) -> Sent {
        let quoted = HeaderValue::from_str(&format!("\"{key}\"")).expect("keys are plain");
        Sent { keys: vec![quoted], body: (self.body)(unit), measured: true }
    }

    /// Sends it and reads the whole answer; why there was none.
    pub(super) async fn send(&self, sent: Sent) -> Result<Seen, String> {
        let exchange = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(self.connect().await?))
                .await
                .map_err(|error| error.to_string())?;
            let driver = tokio::spawn(connection);
            let response = sender.send_request(self.request(sent)).await;
            let response = response.map_err(|error| error.to_string())?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            driver.abort();
            Ok(Seen { status: parts.status, headers: parts.headers, body })
        };
        match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(seen) => seen,
            Err(_) => Err(format!("no answer within {PATIENCE:?}")),
        }
    }

    /// Sends it and hangs up without waiting for the answer.
    pub(super) async fn hang_up(&self, sent: &Sent) -> Result<(), String> {
        let mut stream = self.connect().await?;
        let mut head = self.head(sent);
        head.extend_from_slice(&sent.body);
        stream.write_all(&head).await.map_err(|error| error.to_string())?;
        stream.flush().await.map_err(|error| error.to_string())
    }

    /// Sends the head and half of the body, then hangs up.
    pub(super) async fn break_off(&self, sent: &Sent) -> Result<(), String> {
        let mut stream = self.connect().await?;
        let mut head = self.head(sent);
        head.extend_from_slice(&sent.body[..sent.body.len() / 2]);
        stream.write_all(&head).await.map_err(|error| error.to_string())?;
        stream.shutdown().await.map_err(|error| error.to_string())
    }

    async fn connect(&self) -> Result<TcpStream, String> {
        let authority = self.uri.authority().expect("it was looked at when this was made");
        let place = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        TcpStream::connect(&place).await.map_err(|error| format!("{place}: {error}"))
    }

    fn request(&self, sent: Sent) -> Request<BoxBody<Bytes, Infallible>> {
        let mut request = Request::post(self.path());
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.every_header());
            for key in sent.keys {
                headers.append(KEY, key);
            }
        }
        let body = if sent.measured {
            Full::new(sent.body).boxed()
        } else {
            let frames = stream::iter([Ok::<_, Infallible>(Frame::data(sent.body))]);
            BodyExt::boxed(StreamBody::new(frames))
        };
        request.body(body).expect("its parts were looked at before")
    }

    /// The head as it stands on the wire.
    fn head(&self, sent: &Sent) -> Vec<u8> {
        let mut head = format!("POST {} HTTP/1.1\r\n", self.path()).into_bytes();
        let mut put = |name: &HeaderName, value: &HeaderValue| {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        };
        for (name, value) in &self.every_header() {
            put(name, value);
        }
        for key in &sent.keys {
            put(&KEY, key);
        }
        put(&header::CONTENT_LENGTH, &HeaderValue::from(sent.body.len()));
        head.extend_from_slice(b"\r\n");
        head
    }

    fn every_header(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        let host = HeaderValue::from_str(authority).expect("an authority is printable");
        headers.insert(header::HOST, host);
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        headers
    }

    fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }
}

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longer than any server of tests takes.
const PATIENCE: Duration = Duration::from_secs(30);
