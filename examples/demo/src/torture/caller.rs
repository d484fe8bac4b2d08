//! One who wants a unit of work done, and asks until it is told what became of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aplomb_core::{Rng, time};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::{Value, json};

use super::fates::TORTURE;
use super::plan::{Fate, Wanted};
use crate::replicas::Replicas;

/// What callers share.
pub(super) struct Callers {
    http: Http<HttpConnector, Full<Bytes>>,
    pub(super) replicas: Replicas,
    pub(super) counts: Counts,
}

/// What was seen on the way.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sends: AtomicU64,
    pub(super) replays: AtomicU64,
    pub(super) in_flight: AtomicU64,
    pub(super) hang_ups: AtomicU64,
    pub(super) server_errors: AtomicU64,
}

/// What became of a unit of work, as its caller was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It was done, under this number.
    Done(String),
    /// It was not: there is nothing left.
    SoldOut,
    /// Something that should never be said.
    Broken(String),
}

enum Heard {
    Final(Told),
    Again,
}

impl Callers {
    pub(super) fn new(replicas: Replicas) -> Arc<Self> {
        let http = Http::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(5))
            .build_http();
        Arc::new(Self { http, replicas, counts: Counts::default() })
    }

    /// Asks until there is a final answer; the first time as `fate` wants it.
    pub(super) async fn ask(&self, wanted: &Wanted, fate: Fate, mut rng: Rng) -> Told {
        let until = time::now() + PATIENCE;
        let mut turn = rng.below(1_000);
        let mut fate = Some(fate);
        loop {
            match self.once(wanted, &mut fate, turn).await {
                Heard::Final(told) => return told,
                Heard::Again if time::now() > until => {
                    let order = &wanted.order;
                    return Told::Broken(format!("{order} had no answer within {PATIENCE:?}"));
                }
                Heard::Again => {}
            }
            tokio::time::sleep(PAUSE + rng.up_to(PAUSE)).await;
            turn += 1;
        }
    }

    async fn once(&self, wanted: &Wanted, fate: &mut Option<Fate>, turn: u64) -> Heard {
        let slot = self.replicas.slot(turn);
        let Some(url) = slot.url() else {
            return Heard::Again;
        };
        let fate = fate.take().unwrap_or(Fate::Calm);
        let limit = match fate {
            Fate::HangUp(millis) => {
                self.counts.hang_ups.fetch_add(1, Ordering::Relaxed);
                Duration::from_millis(millis)
            }
            _ => ATTEMPT,
        };
        self.counts.sends.fetch_add(1, Ordering::Relaxed);
        match tokio::time::timeout(limit, self.send(&url, wanted, fate)).await {
            Ok(Some((status, replayed, body))) => self.judge(wanted, status, replayed, &body),
            // No answer, or none in time: nobody knows what became of it.
            Ok(None) | Err(_) => Heard::Again,
        }
    }

    async fn send(
        &self,
        url: &str,
        wanted: &Wanted,
        fate: Fate,
    ) -> Option<(StatusCode, bool, Value)> {
        let body = json!({
            "order_id": wanted.order, "line": 1, "sku": wanted.sku, "quantity": 1,
        });
        let mut request = Request::post(format!("{url}/inventory/reservations"))
            .header("authorization", "Bearer demo-order-api")
            .header("content-type", "application/json")
            .header("idempotency-key", format!("\"{}\"", wanted.key()));
        if let Some(torture) = fate.header() {
            request = request.header(TORTURE, torture);
        }
        let request = request.body(Full::from(body.to_string())).ok()?;
        let response = self.http.request(request).await.ok()?;
        let status = response.status();
        let replayed = response.headers().contains_key("idempotent-replayed");
        let body = response.collect().await.ok()?.to_bytes();
        Some((status, replayed, serde_json::from_slice(&body).unwrap_or_default()))
    }

    fn judge(&self, wanted: &Wanted, status: StatusCode, replayed: bool, body: &Value) -> Heard {
        self.counts.replays.fetch_add(u64::from(replayed), Ordering::Relaxed);
        let kind = body["type"].as_str().unwrap_or_default();
        match status.as_u16() {
            201 if body["order_id"] == wanted.order.as_str() => {
                let id = body["reservation_id"].as_str().unwrap_or_default();
                Heard::Final(Told::Done(id.to_owned()))
            }
            409 if kind.ends_with("/out-of-stock") => Heard::Final(Told::SoldOut),
            409 if kind.ends_with("/in-flight") => {
                self.counts.in_flight.fetch_add(1, Ordering::Relaxed);
                Heard::Again
            }
            500 => {
                self.counts.server_errors.fetch_add(1, Ordering::Relaxed);
                Heard::Again
            }
            503 | 504 => Heard::Again,
            _ => Heard::Final(Told::Broken(format!("{}: {status} {body}", wanted.order))),
        }
    }

    /// Asks any replica that answers.
    pub(super) async fn read(&self, token: &str, path: &str) -> Option<Value> {
        let until = time::now() + PATIENCE;
        let mut turn = 0;
        while time::now() < until {
            if let Some(url) = self.replicas.slot(turn).url()
                && let Some(value) = self.get(&format!("{url}{path}"), token).await
            {
                return Some(value);
            }
            tokio::time::sleep(PAUSE).await;
            turn += 1;
        }
        None
    }

    async fn get(&self, url: &str, token: &str) -> Option<Value> {
        let request = Request::get(url).header("authorization", format!("Bearer {token}"));
        let request = request.body(Full::default()).ok()?;
        let response =
            tokio::time::timeout(ATTEMPT, self.http.request(request)).await.ok()?.ok()?;
        let found = response.status() == StatusCode::OK;
        let body = response.collect().await.ok()?.to_bytes();
        found.then(|| serde_json::from_slice(&body).ok()).flatten()
    }

    /// Sets what there is of a product.
    pub(super) async fn stock(&self, sku: &str, stock: u64) -> Option<()> {
        let url = self.replicas.slot(0).url()?;
        let request = Request::put(format!("{url}/products/{sku}"))
            .header("authorization", "Bearer demo-backoffice")
            .body(Full::from(json!({ "stock": stock }).to_string()))
            .ok()?;
        let response = self.http.request(request).await.ok()?;
        (response.status() == StatusCode::OK).then_some(())
    }
}

/// How long one attempt may take, and how long all of them together.
const ATTEMPT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two attempts: this much and up to as much again.
const PAUSE: Duration = Duration::from_millis(40);
