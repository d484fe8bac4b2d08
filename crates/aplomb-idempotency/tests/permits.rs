//! A permit that was lent for a request is held for as long as the work goes on, and no longer.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aplomb_core::{Dice, HeldPermit, Lender, Permit};
use aplomb_idempotency::{IdempotencyLayer, MemoryStore, Waiting};
use http::{Request, Response};
use tokio::sync::Notify;
use tower::{Layer, Service, ServiceExt, service_fn};

use common::{Body, answer, post, send};

#[tokio::test(start_paused = true)]
async fn a_handler_whose_caller_has_gone_keeps_its_permit_to_the_end() {
    let (desk, go) = (Arc::new(Desk::default()), Arc::new(Notify::new()));
    let layer = layer();
    let drain = layer.drain();
    let service = desk.admits(layer.layer(waits_for(&go)));
    let call = send(&service, post("k", "mug"));
    assert!(tokio::time::timeout(Duration::from_millis(1), call).await.is_err(), "it hung up");
    assert_eq!(desk.lent(), 1);
    go.notify_one();
    assert_eq!(drain.wait(Duration::from_secs(1)).await, 0);
    assert_eq!(desk.lent(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_and_a_replay_give_theirs_back() {
    let (desk, go) = (Arc::new(Desk::default()), Arc::new(Notify::new()));
    let service = desk.admits(layer().layer(waits_for(&go)));
    let first = tokio::spawn({
        let service = service.clone();
        async move { send(&service, post("k", "mug")).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(send(&service, post("k", "mug")).await.status(), 409);
    assert_eq!(send(&service, post("\"open", "mug")).await.status(), 400);
    assert_eq!(desk.lent(), 1);
    go.notify_one();
    assert_eq!(first.await.unwrap().status(), 201);
    assert_eq!(send(&service, post("k", "mug")).await.status(), 201);
    assert_eq!(desk.lent(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_outcome_of_another_holds_none() {
    let (desk, go) = (Arc::new(Desk::default()), Arc::new(Notify::new()));
    let service = desk.admits(layer().wait(Waiting::default()).layer(waits_for(&go)));
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move { send(&service, post("k", "mug")).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(desk.lent(), 1, "the one that runs");
    go.notify_one();
    for call in calls {
        assert_eq!(call.await.unwrap().status(), 201);
    }
    assert_eq!(desk.lent(), 0);
}

/// Lends to whoever asks.
#[derive(Default)]
struct Desk(AtomicUsize);

impl Desk {
    fn lent(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Lends each request a permit and takes it back with the answer, as an admission layer does.
    fn admits<S>(
        self: &Arc<Self>,
        inner: S,
    ) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + use<S>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        let desk = Arc::clone(self);
        service_fn(move |mut request: Request<Body>| {
            desk.0.fetch_add(1, Ordering::SeqCst);
            let lender: Arc<dyn Lender> = desk.clone();
            let held = HeldPermit::put(Permit::new(lender), request.extensions_mut());
            let held = Release(held);
            let call = inner.clone().oneshot(request);
            async move {
                let answer = call.await;
                drop(held);
                answer
            }
        })
    }
}

impl Lender for Desk {
    fn take_back(self: Arc<Self>) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Takes back what was lent when the caller goes.
struct Release(HeldPermit);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.release();
    }
}

fn layer() -> IdempotencyLayer<MemoryStore> {
    IdempotencyLayer::new(MemoryStore::new()).dice(Dice::seeded(1))
}

fn waits_for(
    go: &Arc<Notify>,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ use<> {
    let go = Arc::clone(go);
    service_fn(move |_: Request<Body>| {
        let go = Arc::clone(&go);
        async move {
            go.notified().await;
            answer(201, "made")
        }
    })
}
