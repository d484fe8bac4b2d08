//! A transport that answers as it is told, and what was sent to it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb::core::time;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use tower::Service;

pub(crate) type Sent = Request<Full<Bytes>>;
pub(crate) type Answer = Response<Full<Bytes>>;

/// Answers with one status after the other and then with 200; a status of 0 hangs.
#[derive(Clone, Default)]
pub(crate) struct Stock {
    script: Arc<Mutex<Vec<u16>>>,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    usual: Arc<AtomicUsize>,
}

impl Stock {
    pub(crate) fn says(script: impl IntoIterator<Item = u16>) -> Self {
        let stock = Self::always(200);
        stock.next(script);
        stock
    }

    pub(crate) fn always(status: u16) -> Self {
        let stock = Self::default();
        stock.usually(status);
        stock
    }

    pub(crate) fn next(&self, script: impl IntoIterator<Item = u16>) {
        self.script.lock().unwrap().extend(script);
    }

    pub(crate) fn usually(&self, status: u16) {
        self.usual.store(usize::from(status), Ordering::Relaxed);
    }

    pub(crate) fn sends(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) fn header(&self, name: &str) -> Vec<Option<String>> {
        let seen = self.seen.lock().unwrap();
        let text = |headers: &HeaderMap| Some(headers.get(name)?.to_str().unwrap().to_owned());
        seen.iter().map(text).collect()
    }
}

impl Service<Sent> for Stock {
    type Response = Answer;
    type Error = std::io::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = std::io::Result<Answer>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Sent) -> Self::Future {
        self.seen.lock().unwrap().push(request.headers().clone());
        let mut script = self.script.lock().unwrap();
        let usual = u16::try_from(self.usual.load(Ordering::Relaxed)).unwrap();
        let status = if script.is_empty() { usual } else { script.remove(0) };
        Box::pin(async move {
            match status {
                0 => std::future::pending().await,
                1 => Err(std::io::ErrorKind::ConnectionRefused.into()),
                2 => {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    Ok(Response::new(Full::from("late")))
                }
                status => {
                    Ok(Response::builder().status(status).body(Full::from("5 mugs")).unwrap())
                }
            }
        })
    }
}

pub(crate) fn get(uri: &str) -> Sent {
    Request::get(uri).body(Full::default()).unwrap()
}

pub(crate) fn post(uri: &str) -> Sent {
    Request::post(uri).body(Full::from("a mug")).unwrap()
}

/// How long this takes on the test's paused clock.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begun = time::now();
    let done = work.await;
    (done, time::now() - begun)
}
