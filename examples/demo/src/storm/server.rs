//! A server of few workers, on a real socket.
//!
//! Its workers go by a timetable: a call is begun when the first of them is free, and is done when its
//! time has passed since then. A machine that wakes a task late is late for that answer alone; were
//! each worker to sleep for its time, every lateness would take capacity away, and what is measured
//! would be the machine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aplomb_core::Rng;
use aplomb_core::time::{self, Instant};
use aplomb_lab::Purpose;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::{HeaderMap, HeaderName, StatusCode};
use tokio::net::TcpListener;

use super::lane::{Lane, WORK};
use crate::trouble::Trouble;

/// Who calls: whose dice say how long the work takes.
pub(crate) const CLIENT: HeaderName = HeaderName::from_static("x-storm-client");

#[derive(Debug)]
struct Server {
    timetable: Mutex<Timetable>,
    start: Instant,
}

/// When each worker is free again, and how long each client's next call takes.
#[derive(Debug)]
struct Timetable {
    free: BinaryHeap<Reverse<Instant>>,
    dice: Vec<Rng>,
}

/// Starts the server of a lane; it serves until the process ends. Answers its URL.
pub(crate) async fn start(lane: &Lane, start: Instant) -> Result<http::Uri, Trouble> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(|error| Trouble::new(format!("cannot listen on loopback: {error}")))?;
    let address = listener.local_addr().map_err(|error| Trouble::new(error.to_string()))?;
    let dice = (0..lane.clients).map(|client| Purpose::Service.stream(lane.seed, client));
    let timetable = Timetable {
        free: (0..lane.workers).map(|_| Reverse(start)).collect(),
        dice: dice.collect(),
    };
    let server = Arc::new(Server { timetable: Mutex::new(timetable), start });
    let router = Router::new().route("/", get(serve)).with_state(server);
    tokio::spawn(async move {
        // It serves until the process ends; whoever calls it learns if it cannot.
        let _ = axum::serve(listener, router).await;
    });
    let url = format!("http://{address}/").parse();
    url.map_err(|error: http::uri::InvalidUri| Trouble::new(error.to_string()))
}

/// A caller that hangs up is not heard of: its place in the timetable stays taken, as in the lab.
async fn serve(State(server): State<Arc<Server>>, headers: HeaderMap) -> StatusCode {
    let client = headers.get(CLIENT).and_then(|value| value.to_str().ok()?.parse().ok());
    let Some(done) = client.and_then(|client| server.take_on(client)) else {
        return StatusCode::BAD_REQUEST;
    };
    tokio::time::sleep_until(done).await;
    StatusCode::OK
}

impl Server {
    /// When the work of this call is done, begun by the worker that is free first: first come, first
    /// served. Nothing for a client that it does not know.
    fn take_on(&self, client: usize) -> Option<Instant> {
        let mut timetable = self.timetable.lock().expect("no panic happens under this lock");
        let work = exponential(timetable.dice.get_mut(client)?, WORK);
        let Reverse(free) = timetable.free.pop()?;
        let begin = free.max(time::now());
        let done = begin + work * Lane::slowness(begin.saturating_duration_since(self.start));
        timetable.free.push(Reverse(done));
        Some(done)
    }
}

/// A time with this mean, exponentially distributed, as the lab draws it.
pub(crate) fn exponential(rng: &mut Rng, mean: Duration) -> Duration {
    mean.mul_f64(-(1.0 - rng.fraction()).ln())
}
