//! A service whose answers are given out by hand, and an observer that remembers.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aplomb_admission::AdmissionEvent;
use aplomb_core::Observe;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::sync::oneshot;
use tower_service::Service;

pub(crate) type Body = Full<Bytes>;

/// A handler that answers when it is told to. Clones are one handler.
#[derive(Clone, Default)]
pub(crate) struct Handler {
    running: Arc<Mutex<VecDeque<Running>>>,
}

/// A call's path, and what lets it answer.
type Running = (String, oneshot::Sender<()>);

impl Handler {
    /// Lets the call that began first answer.
    pub(crate) fn answer(&self) -> String {
        let mut running = self.running.lock().unwrap();
        running.retain(|(_, go)| !go.is_closed());
        let (path, go) = running.pop_front().expect("a call runs");
        go.send(()).expect("it runs");
        path
    }

    /// The paths of what was called and not answered yet.
    pub(crate) fn running(&self) -> Vec<String> {
        let running = self.running.lock().unwrap();
        running.iter().filter(|(_, go)| !go.is_closed()).map(|(path, _)| path.clone()).collect()
    }
}

impl Service<Request<Body>> for Handler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (go, gone) = oneshot::channel();
        self.running.lock().unwrap().push_back((request.uri().path().to_owned(), go));
        Box::pin(async move {
            // Whoever forgets the other end lets it answer.
            let _ = gone.await;
            Ok(Response::new(Body::from("done")))
        })
    }
}

/// Remembers what happened.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<AdmissionEvent>>>);

impl Heard {
    #[allow(dead_code, reason = "not every test file asks")]
    pub(crate) fn events(&self) -> Vec<AdmissionEvent> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observe<AdmissionEvent> for Heard {
    fn observe(&self, event: &AdmissionEvent) {
        self.0.lock().unwrap().push(*event);
    }
}

pub(crate) fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::default()).unwrap()
}

/// Polls a future once.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
