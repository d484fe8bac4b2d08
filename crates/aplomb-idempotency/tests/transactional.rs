//! Routes whose handlers record their own answers.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::Dice;
use aplomb_idempotency::store::{Commit, recorded};
use aplomb_idempotency::{
    Claim, CompleteError, IdempotencyEvent, IdempotencyLayer, MemoryStore, Recorded, Refusal,
    Settled, State, Store, StoreError, Transactional, problems,
};
use bytes::Bytes;
use http::{Request, Response};
use tower::{Layer, Service, service_fn};

use IdempotencyEvent::{Claimed, Completed, Replayed};
use common::{Body, Counter, Heard, is_replay, post, problem, refusal, send};

#[tokio::test(start_paused = true)]
async fn a_success_that_was_recorded_is_answered_and_replayed() {
    let (store, runs, heard) = (store(), Counter::default(), Heard::default());
    let handler = {
        let (store, runs) = (Arc::clone(&store), runs.clone());
        service_fn(move |request: Request<Body>| {
            let (store, run) = (Arc::clone(&store), runs.add());
            async move { Ok::<_, Infallible>(record(&store, &claim_of(&request), run).await) }
        })
    };
    let service = layer(&store).observe(heard.observer()).layer(handler);
    let first = send(&service, post("k", "mug")).await;
    assert_eq!((first.status().as_u16(), is_replay(&first)), (201, false));
    let retry = send(&service, post("k", "mug")).await;
    assert_eq!((retry.body(), is_replay(&retry)), (first.body(), true));
    assert_eq!(runs.get(), 1);
    assert_eq!(heard.all(), [Claimed, Completed, Replayed]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_was_rolled_back_is_no_success() {
    // The handler took its `Recorded` and then dropped the transaction.
    let handler = service_fn(|request: Request<Body>| async move {
        let response = Response::new(Bytes::from("reserved"));
        Ok::<_, Infallible>(recorded(&claim_of(&request), response, Commit::Pending))
    });
    let service = layer(&store()).layer(handler);
    let first = send(&service, post("k", "mug")).await;
    assert_eq!(problem(&first), problems::NOT_RECORDED);
}

#[tokio::test(start_paused = true)]
async fn anothers_record_is_no_success() {
    let store = store();
    let first: Arc<std::sync::Mutex<Option<Claim>>> = Arc::default();
    let handler = service_fn(move |request: Request<Body>| {
        let own = claim_of(&request);
        let claim = first.lock().unwrap().get_or_insert(own).clone();
        async move {
            let response = Response::new(Bytes::from("reserved"));
            Ok::<_, Infallible>(recorded(&claim, response, Commit::Done))
        }
    });
    let service = layer(&store).layer(handler);
    assert_eq!(send(&service, post("a", "mug")).await.status(), 200);
    assert_eq!(problem(&send(&service, post("b", "mug")).await), problems::NOT_RECORDED);
}

#[tokio::test(start_paused = true)]
async fn an_error_after_the_commit_is_answered_with_what_was_committed() {
    // What the handler sees when the connection is cut during COMMIT.
    let (store, runs) = (store(), Counter::default());
    let service = layer(&store).layer(commits_then(&store, &runs, commit_failed));
    let first = send(&service, post("k", "mug")).await;
    assert_eq!((&first.body()[..], is_replay(&first)), (&b"run 1"[..], false));
    assert!(is_replay(&send(&service, post("k", "mug")).await));
    assert_eq!(runs.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_after_the_commit_is_answered_with_what_was_committed() {
    let (store, runs) = (store(), Counter::default());
    let service = layer(&store).layer(commits_then(&store, &runs, || panic!("too late")));
    assert_eq!(send(&service, post("k", "mug")).await.body(), "run 1");
    assert!(is_replay(&send(&service, post("k", "mug")).await));
}

#[tokio::test(start_paused = true)]
async fn an_error_before_the_commit_gives_the_key_back() {
    let (store, runs) = (store(), Counter::default());
    let handler = service_fn({
        let runs = runs.clone();
        move |_: Request<Body>| {
            runs.add();
            async { refused(500, "rolled back") }
        }
    });
    let service = layer(&store).layer(handler);
    for run in 1..=3 {
        assert_eq!(send(&service, post("k", "mug")).await.status(), 500);
        assert_eq!(runs.get(), run);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_will_not_change_is_kept_by_the_layer() {
    let (store, runs) = (store(), Counter::default());
    let handler = service_fn({
        let runs = runs.clone();
        move |_: Request<Body>| {
            runs.add();
            async { refused(409, "out of stock") }
        }
    });
    let service = layer(&store).layer(handler);
    assert_eq!(send(&service, post("k", "mug")).await.status(), 409);
    let retry = send(&service, post("k", "mug")).await;
    assert_eq!((retry.status().as_u16(), is_replay(&retry)), (409, true));
    assert_eq!(runs.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_failed_the_handler_is_a_503_that_asks_to_come_back() {
    for failed in [
        || CompleteError::Store(StoreError::unavailable("no route to host")),
        || CompleteError::Store(StoreError::uncertain("cut during the commit")),
        || CompleteError::Store(StoreError::full()),
        || CompleteError::Lost,
    ] {
        let handler =
            service_fn(move |_: Request<Body>| async move { Ok(Err(failed().into())) as Answer });
        let service = layer(&store()).layer(handler);
        let refused = send(&service, post("k", "mug")).await;
        let says = (refused.status().as_u16(), problem(&refused));
        assert_eq!(says, (503, problems::STORE_UNAVAILABLE.into()));
        assert!(refused.headers().contains_key("retry-after"), "{:?}", failed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_does_not_ask_to_come_back() {
    let handler = service_fn(|_: Request<Body>| async {
        let failed = CompleteError::Store(StoreError::corrupt("a column of another age"));
        Ok(Err(failed.into())) as Answer
    });
    let service = layer(&store()).layer(handler);
    let refused = send(&service, post("k", "mug")).await;
    let says = (refused.status().as_u16(), problem(&refused));
    assert_eq!(says, (500, problems::RECORD_UNREADABLE.into()));
    assert!(!refused.headers().contains_key("retry-after"));
}

type Answer = Result<Result<Recorded, Refusal>, Infallible>;

#[expect(clippy::unnecessary_wraps, reason = "it is what a handler returns")]
fn refused(status: u16, body: &'static str) -> Answer {
    Ok(Err(refusal(status, body)))
}

fn commit_failed() -> Answer {
    refused(503, "commit failed")
}

fn layer(store: &Arc<MemoryStore>) -> IdempotencyLayer<Arc<MemoryStore>, (), Transactional> {
    IdempotencyLayer::new(Arc::clone(store)).transactional().dice(Dice::seeded(1))
}

fn store() -> Arc<MemoryStore> {
    Arc::default()
}

fn claim_of(request: &Request<Body>) -> Claim {
    request.extensions().get::<Claim>().expect("a keyed request has one").clone()
}

/// What a handler does whose record and effect are one step.
async fn record(store: &MemoryStore, claim: &Claim, run: usize) -> Recorded {
    let mut response = Response::new(Bytes::from(format!("run {run}")));
    *response.status_mut() = http::StatusCode::CREATED;
    let stored = claim.stored(&response);
    let done = store.complete(claim.held(), &stored, claim.terms().keep).await.unwrap();
    assert_eq!(done, Settled::Done);
    let record = store.get(claim.id()).await.unwrap().unwrap();
    assert!(matches!(record.state, State::Completed { .. }));
    recorded(claim, response, Commit::Pending)
}

fn commits_then(
    store: &Arc<MemoryStore>,
    runs: &Counter,
    then: fn() -> Answer,
) -> impl Service<Request<Body>, Response = Result<Recorded, Refusal>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ use<> {
    let (store, runs) = (Arc::clone(store), runs.clone());
    service_fn(move |request: Request<Body>| {
        let (store, run) = (Arc::clone(&store), runs.add());
        async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let _committed = record(&store, &claim_of(&request), run).await;
            then()
        }
    })
}
