//! The clients: hyper-util's and reqwest's, each under a retry.

use std::error::Error;

use aplomb::core::{
    BoxError, Call, CallRecord, Classify, Failure, FailureKind, HttpClassifier, Ratio, cause,
    transport,
};
use aplomb::retry::Terms;
use aplomb::{Backoff, Budget, RetryLayer};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::{BodyExt, Collected, Full};
use hyper_util::client::legacy::connect::Connect;
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpStream;
use tokio::time::Duration;
use tower::{ServiceBuilder, ServiceExt};

use crate::server::{Acted, Server};

/// What became of one un-keyed POST.
#[derive(Debug)]
pub(crate) struct Seen {
    /// How each attempt failed that did.
    pub(crate) failures: Vec<Failure>,
    /// What came in the end.
    pub(crate) end: Result<Answer, BoxError>,
    /// How often the server acted.
    pub(crate) acted: usize,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The whole body, or how reading it failed.
    pub(crate) body: Result<Bytes, FailureKind>,
}

impl Seen {
    /// The kind of every attempt's failure.
    pub(crate) fn kinds(&self) -> Vec<FailureKind> {
        self.failures.iter().map(|failure| failure.kind).collect()
    }

    /// Whether every attempt failed as an unsent request on a connection that had gone stale.
    pub(crate) fn is_stale(&self) -> bool {
        !self.failures.is_empty() && self.failures.iter().all(|failure| failure.stale_connection)
    }
}

/// Sends a POST by each client to a server of its own that behaves like this.
pub(crate) async fn seen_by_both<F>(
    version: Version,
    behave: fn(TcpStream, Acted) -> F,
) -> [Seen; 2]
where
    F: Future<Output = ()> + Send + 'static,
{
    let (one, other) = (Server::start(behave).await, Server::start(behave).await);
    [
        by_hyper(hyper(version).build_http(), &url(&one), &one.acted).await,
        by_reqwest(reqwest(version).build().unwrap(), &url(&other), &other.acted).await,
    ]
}

pub(crate) fn url(server: &Server) -> String {
    format!("http://{}/", server.address)
}

pub(crate) fn hyper(version: Version) -> Builder {
    let mut builder = transport::hyper(TokioExecutor::new());
    builder.http2_only(version == Version::HTTP_2);
    builder
}

pub(crate) fn reqwest(version: Version) -> reqwest::ClientBuilder {
    let builder = transport::reqwest();
    if version == Version::HTTP_2 { builder.http2_prior_knowledge() } else { builder }
}

pub(crate) async fn by_hyper<C>(client: Client<C, Full<Bytes>>, url: &str, acted: &Acted) -> Seen
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let client = ServiceBuilder::new().layer(retry()).service(client);
    let (record, end) = match client
        .oneshot(Request::post(url).body(Full::from("a mug")).unwrap())
        .await
    {
        Ok(response) => {
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map(Collected::to_bytes).map_err(kind);
            (parts.extensions.get().cloned(), Ok(Answer { status: parts.status.as_u16(), body }))
        }
        Err(error) => (cause::<CallRecord>(&*error).cloned(), Err(error)),
    };
    Seen { failures: failures(record), end, acted: acted.times() }
}

pub(crate) async fn by_reqwest(client: reqwest::Client, url: &str, acted: &Acted) -> Seen {
    let client = ServiceBuilder::new().layer(retry()).service(client);
    let mut request = reqwest::Request::new(Method::POST, url.parse().unwrap());
    *request.body_mut() = Some("a mug".into());
    let (record, end) = match client.oneshot(request).await {
        Ok(response) => {
            let (status, record) = (response.status(), response.extensions().get().cloned());
            let body = response.bytes().await.map_err(kind);
            (record, Ok(Answer { status: status.as_u16(), body }))
        }
        Err(error) => (cause::<CallRecord>(&*error).cloned(), Err(error)),
    };
    Seen { failures: failures(record), end, acted: acted.times() }
}

/// Sends whatever it may up to three times, and says how each attempt failed.
fn retry() -> RetryLayer {
    let rich = Budget::new(Terms::earning(Ratio::ONE).cap(1_000));
    let soon = Backoff::full(Duration::from_millis(1), Duration::from_millis(1));
    RetryLayer::new(rich).backoff(soon).unlimited_total().honours_keys().keep_records()
}

fn failures(record: Option<CallRecord>) -> Vec<Failure> {
    let record = record.expect("a record was asked for");
    record.decisions.iter().map(|decision| decision.failure).collect()
}

pub(crate) fn kind(error: impl Into<BoxError>) -> FailureKind {
    let error = error.into();
    let result: Result<&Response<()>, _> = Err(&*error as &(dyn Error + 'static));
    let call = Call::of(&Method::POST, &HeaderMap::new());
    HttpClassifier.classify(call, result).failure().unwrap().kind
}
