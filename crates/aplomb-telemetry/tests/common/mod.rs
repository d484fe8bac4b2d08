//! A dependency that follows a script, and what is served about it.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part of it")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aplomb_backoff::Backoff;
use aplomb_core::{BoxError, Ratio};
use aplomb_retry::{Budget, RetryLayer, Terms};
use aplomb_telemetry::{DependencyMetrics, Metrics};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use prometheus::Registry;
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt, service_fn};

pub(crate) type Body = Full<Bytes>;
pub(crate) type Stock = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;

/// What the dependency does with the next request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Answer(u16),
    Hang,
}

/// The headers of the requests that came.
pub(crate) type Seen = Arc<Mutex<Vec<HeaderMap>>>;

/// Follows the script, then answers 200.
pub(crate) fn stock(acts: impl IntoIterator<Item = Act>) -> (Stock, Seen) {
    let acts = Arc::new(Mutex::new(acts.into_iter().collect::<VecDeque<_>>()));
    let seen = Seen::default();
    let came = Arc::clone(&seen);
    let stock = service_fn(move |request: Request<Body>| {
        came.lock().unwrap().push(request.headers().clone());
        let act = acts.lock().unwrap().pop_front().unwrap_or(Act::Answer(200));
        async move {
            match act {
                Act::Answer(status) => {
                    Ok(Response::builder().status(status).body(Body::default())?)
                }
                Act::Hang => std::future::pending().await,
            }
        }
    });
    (BoxCloneSyncService::new(stock.map_err(|error: http::Error| error.into())), seen)
}

/// Retries that soon come and are never refused for money.
pub(crate) fn retry() -> RetryLayer {
    let rich = Budget::new(Terms::earning(Ratio::ONE).cap(100));
    RetryLayer::new(rich).backoff(Backoff::exponential(ms(30), ms(30))).keep_records()
}

pub(crate) fn look() -> Request<Body> {
    Request::get("http://stock:7001/stock/mug?secret=1").body(Body::default()).unwrap()
}

pub(crate) fn metrics() -> Metrics {
    Metrics::register(&Registry::new(), None).unwrap()
}

pub(crate) fn inventory(metrics: &Metrics) -> DependencyMetrics {
    metrics.dependency("inventory", "look")
}

/// The value of one series of `inventory` and `look`.
pub(crate) fn value(metrics: &Metrics, name: &str, label: &str) -> f64 {
    let page = metrics.encode().unwrap();
    let of = |line: &&str| {
        line.split_once('{').is_some_and(|(n, rest)| n == name && rest.contains(label))
            && line.contains(r#"dependency="inventory""#)
    };
    let found: Vec<_> = page.lines().filter(of).collect();
    assert_eq!(found.len(), 1, "{name} {label} in\n{page}");
    found[0].rsplit_once(' ').unwrap().1.parse().unwrap()
}

/// How many calls ended in each way, those of which there were none left out.
pub(crate) fn outcomes(metrics: &Metrics) -> Vec<(String, u32)> {
    let outcomes = aplomb_telemetry::CallOutcome::ALL.iter().map(|outcome| {
        let label = format!(r#"outcome="{outcome}""#);
        let count = value(metrics, "dependency_calls_total", &label);
        (outcome.to_string(), (0..100).find(|n| f64::from(*n) >= count).unwrap())
    });
    outcomes.filter(|(_, count)| *count > 0).collect()
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
