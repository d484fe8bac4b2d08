//! Routes whose handlers record their own answers.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::Dice;
use aplomb_idempotency::store::{Commit, recorded};
use aplomb_idempotency::{
    Claim, IdempotencyEvent, IdempotencyLayer, MemoryStore, Recorded, Settled, State, Store,
    problems,
};
use bytes::Bytes;
use http::{Request, Response};
use tower::{Layer, Service, service_fn};

use IdempotencyEvent::{Claimed, Completed, Replayed};
use common::{Body, Counter, Heard, answer, is_replay, post, problem, send};

#[tokio::test(start_paused = true)]
async fn a_success_that_was_recorded_is_answered_and_replayed() {
    let (store, runs, heard) = (store(), Counter::default(), Heard::default());
    let handler = {
        let (store, runs) = (Arc::clone(&store), runs.clone());
        service_fn(move |request: Request<Body>| {
            let (store, run) = (Arc::clone(&store), runs.add());
            async move { Ok(record(&store, &claim_of(&request), run).await.into_response()) }
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
async fn a_success_that_was_not_recorded_is_an_error_and_unknown() {
    let heard = Heard::default();
    let handler =
        service_fn(|_: Request<Body>| async { answer(201, "done, says nobody's record") });
    let service = layer(&store()).observe(heard.observer()).layer(handler);
    let first = send(&service, post("k", "mug")).await;
    assert_eq!((first.status().as_u16(), problem(&first).as_str()), (500, problems::NOT_RECORDED));
    assert!(heard.all().contains(&IdempotencyEvent::Unrecorded));
    let retry = send(&service, post("k", "mug")).await;
    assert_eq!(problem(&retry), problems::OUTCOME_UNKNOWN);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_was_rolled_back_is_no_success() {
    // The handler took its `Recorded` and then dropped the transaction.
    let handler = service_fn(|request: Request<Body>| async move {
        let response = Response::new(Bytes::from("reserved"));
        Ok(recorded(&claim_of(&request), response, Commit::Pending).into_response())
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
            Ok(recorded(&claim, response, Commit::Done).into_response())
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
    let service = layer(&store).layer(commits_then(&store, &runs, || answer(503, "commit failed")));
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
            async { answer(500, "rolled back") }
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
            async { answer(409, "out of stock") }
        }
    });
    let service = layer(&store).layer(handler);
    assert_eq!(send(&service, post("k", "mug")).await.status(), 409);
    let retry = send(&service, post("k", "mug")).await;
    assert_eq!((retry.status().as_u16(), is_replay(&retry)), (409, true));
    assert_eq!(runs.get(), 1);
}

fn layer(store: &Arc<MemoryStore>) -> IdempotencyLayer<Arc<MemoryStore>> {
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
    then: fn() -> Result<Response<Body>, Infallible>,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
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
