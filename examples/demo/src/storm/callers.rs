//! The clients: each wears the real layers, with a budget of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aplomb_core::time::{self, Instant};
use aplomb_core::{Dice, Ratio};
use aplomb_deadline::DeadlineLayer;
use aplomb_lab::Purpose;
use aplomb_retry::{Budget, RetryLayer, Terms};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use super::compare::Row;
use super::lane::{GAP, Lane, PATIENCE};
use super::server::{CLIENT, exponential};

type Http = Client<HttpConnector, Full<Bytes>>;

/// The clients of a lane, at work.
#[derive(Debug)]
pub(crate) struct Callers {
    tasks: JoinSet<()>,
    counts: Arc<Counts>,
    end: Instant,
}

/// What was counted, second by second.
#[derive(Debug)]
struct Counts {
    start: Instant,
    rows: Vec<[AtomicU64; 3]>,
}

impl Counts {
    fn count(&self, what: usize, at: Instant) {
        let second = at.saturating_duration_since(self.start).as_secs();
        let row = usize::try_from(second).ok().and_then(|second| self.rows.get(second));
        if let Some(row) = row {
            row[what].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Lets the clients of a lane call from `start` on.
pub(crate) fn start(lane: &Lane, url: &Uri, start: Instant) -> Callers {
    let rows = (0..lane.seconds).map(|_| Default::default()).collect();
    let counts = Arc::new(Counts { start, rows });
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    // What the layers send is what is sent.
    let http: Http =
        Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build(connector);
    let end = start + Duration::from_secs(lane.seconds.into());
    let mut tasks = JoinSet::new();
    for client in 0..lane.clients {
        let caller = Caller {
            lane: lane.clone(),
            client,
            url: url.clone(),
            http: http.clone(),
            counts: Arc::clone(&counts),
        };
        tasks.spawn(caller.call_until(end));
    }
    Callers { tasks, counts, end }
}

impl Callers {
    /// Waits for the end; what is still under way then is given up.
    pub(crate) async fn finish(mut self) -> Vec<Row> {
        tokio::time::sleep_until(self.end).await;
        self.tasks.shutdown().await;
        let rows = self.counts.rows.iter().map(|row| {
            let [calls, sends, good] = row.each_ref().map(|count| count.load(Ordering::Relaxed));
            Row { calls, sends, good }
        });
        rows.collect()
    }
}

struct Caller {
    lane: Lane,
    client: u32,
    url: Uri,
    http: Http,
    counts: Arc<Counts>,
}

impl Caller {
    async fn call_until(self, end: Instant) {
        let waits = Dice::seeded(Purpose::Dice.stream(self.lane.seed, self.client).bits());
        let shared = self.stack(&waits);
        let mut dice = Purpose::Arrivals.stream(self.lane.seed, self.client);
        let mut at = self.counts.start;
        let mut calls = JoinSet::new();
        loop {
            at += exponential(&mut dice, GAP);
            if at >= end {
                break;
            }
            tokio::time::sleep_until(at).await;
            self.counts.count(CALLS, time::now());
            let request = Request::get(self.url.clone())
                .header(CLIENT, self.client)
                .body(Full::<Bytes>::default())
                .expect("these parts make a request");
            // A full budget for each call stands for none.
            let stack = if self.lane.budget { shared.clone() } else { self.stack(&waits) };
            let counts = Arc::clone(&self.counts);
            calls.spawn(async move {
                let answer = stack.oneshot(request).await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    counts.count(GOOD, time::now());
                }
            });
            while calls.try_join_next().is_some() {}
        }
        while calls.join_next().await.is_some() {}
    }

    /// The layers that ship, in their order, around a client that counts what it sends.
    fn stack(
        &self,
        waits: &Dice,
    ) -> impl Service<
        Request<Full<Bytes>>,
        Response = http::Response<hyper::body::Incoming>,
        Error = aplomb_core::BoxError,
        Future: Send,
    > + Clone
    + Send
    + 'static {
        let (http, counts) = (self.http.clone(), Arc::clone(&self.counts));
        let terms = Terms::earning(Ratio::percent(20));
        let budget = Budget::new(if self.lane.budget { terms } else { terms.cap(1_000) });
        let retry = RetryLayer::new(budget)
            .max_attempts(self.lane.attempts)
            .unlimited_total()
            .dice(waits.clone());
        ServiceBuilder::new().layer(retry).layer(DeadlineLayer::attempt(PATIENCE)).service(
            service_fn(move |request| {
                counts.count(SENDS, time::now());
                http.request(request)
            }),
        )
    }
}

const CALLS: usize = 0;
const SENDS: usize = 1;
const GOOD: usize = 2;
