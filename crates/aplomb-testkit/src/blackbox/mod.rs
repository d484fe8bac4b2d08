//! What a server with idempotency keys must do, seen from outside: over its URL alone.
//!
//! It knows nothing of the server but HTTP, so it judges one in any language.
//!
//! ```no_run
//! use aplomb_testkit::blackbox::BlackBox;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! BlackBox::new("http://127.0.0.1:7001/inventory/reservations")
//!     .header("authorization", "Bearer demo-order-api")
//!     .body(|unit| format!(r#"{{"order_id":"b-{unit}","line":1,"sku":"mug","quantity":1}}"#))
//!     .check()
//!     .await;
//! # }
//! ```
//!
//! | clause | what must be seen |
//! |---|---|
//! | no key, a malformed one, two headers | 400, and nothing is begun |
//! | a first request | success, not marked as a replay |
//! | the same again | the same status and body, `Idempotent-Replayed: true` |
//! | the key bare instead of quoted | the same key |
//! | the key with another payload | 422 |
//! | fifty at once with one key | one answer; 409 with `Retry-After` until it is there |
//! | a caller that hung up | the retry is told of the one effect |
//! | an upload that broke off | nothing is begun: the key is free |
//! | a body over the cap, its length told or not | 413 |
//! | every refusal | `application/problem+json` with a `type` |
//!
//! The draft *The Idempotency-Key HTTP Header Field* asks for the statuses; what it leaves open is
//! as `aplomb-idempotency` does it.

mod clauses;
mod wire;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

/// A server to judge.
#[derive(Clone)]
pub struct BlackBox {
    uri: Uri,
    headers: HeaderMap,
    body: Arc<dyn Fn(u64) -> Bytes + Send + Sync>,
    effects: Option<Arc<Effects>>,
    body_cap: usize,
    salt: String,
}

type Effects = dyn Fn() -> Pin<Box<dyn Future<Output = u64> + Send>> + Send + Sync;

impl BlackBox {
    /// A server whose keyed operation is a POST to `url`, plain HTTP.
    ///
    /// # Panics
    ///
    /// When `url` is no absolute `http` URL.
    pub fn new(url: &str) -> Self {
        let uri: Uri = url.parse().expect("give an absolute URL");
        assert!(uri.scheme_str() == Some("http") && uri.authority().is_some(), "give http://…");
        Self {
            uri,
            headers: HeaderMap::new(),
            body: Arc::new(|unit| Bytes::from(format!("{{\"unit\":{unit}}}"))),
            effects: None,
            body_cap: 64 * 1024,
            salt: fresh_name(),
        }
    }

    /// A header that every request needs, such as its caller's token.
    ///
    /// # Panics
    ///
    /// When it is no header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("give a header's name");
        self.headers.insert(name, HeaderValue::from_str(value).expect("give a header's value"));
        self
    }

    /// The body of a unit of work, one that succeeds. Another number, another unit.
    #[must_use]
    pub fn body<B: Into<Bytes>>(mut self, body: impl Fn(u64) -> B + Send + Sync + 'static) -> Self {
        self.body = Arc::new(move |unit| body(unit).into());
        self
    }

    /// Counts the effects that the server has had, so that they can be compared with the keys.
    #[must_use]
    pub fn effects<F: Future<Output = u64> + Send + 'static>(
        mut self,
        count: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        self.effects = Some(Arc::new(move || Box::pin(count())));
        self
    }

    /// How many bytes a body may have: 64 KiB unless told otherwise.
    #[must_use]
    pub fn body_cap(mut self, bytes: usize) -> Self {
        self.body_cap = bytes;
        self
    }

    /// Checks every clause.
    ///
    /// # Panics
    ///
    /// When one is broken: the message lists all that are, with what was seen.
    pub async fn check(&self) {
        let findings = self.findings().await;
        assert!(findings.is_empty(), "{}:\n  {}", self.uri, findings.join("\n  "));
    }

    /// Every clause that is broken, with what was seen.
    pub async fn findings(&self) -> Vec<String> {
        clauses::judge(self).await
    }

    /// A key that no other run uses.
    fn key(&self, name: &str) -> String {
        format!("{}-{name}", self.salt)
    }
}

impl fmt::Debug for BlackBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlackBox").field("uri", &self.uri).finish_non_exhaustive()
    }
}

/// A name that no other run has.
fn fresh_name() -> String {
    let ticket = aplomb_idempotency::Ticket::unique();
    u128::from_be_bytes(*ticket.as_bytes()).to_string()
}
