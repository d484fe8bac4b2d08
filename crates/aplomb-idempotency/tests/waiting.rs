//! Duplicates that wait for the outcome of the first.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{Deadline, Dice, time};
use aplomb_idempotency::{
    Held, IdempotencyEvent, IdempotencyLayer, Settled, Store, StoredAnswer, Waiting, problems,
};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{advance, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

use IdempotencyEvent::{Claimed, Completed, InFlight, Replayed};
use common::faulty::Faulty;
use common::{Body, Counter, Heard, answer, is_replay, post, problem, send};

#[tokio::test(start_paused = true)]
async fn duplicates_wait_and_get_the_answer_of_the_first_at_once() {
    let (runs, go, heard) = (Counter::default(), Arc::new(Notify::new()), Heard::default());
    let layer = layer(Faulty::default()).observe(heard.observer());
    let service = layer.layer(waits_for(&runs, &go, 201));
    let first = start(&service, post("k", "mug")).await;
    let waiters = join_all((0..3).map(|_| start(&service, post("k", "mug")))).await;
    let begun = time::now();
    go.notify_one();
    assert!(!is_replay(&first.await.unwrap()));
    for waiter in waiters {
        let answer = waiter.await.unwrap();
        assert_eq!((&answer.body()[..], is_replay(&answer)), (&b"run 1"[..], true));
    }
    assert_eq!(time::now(), begun, "they were woken, they did not look");
    assert_eq!(runs.get(), 1);
    let [one, two] = [IdempotencyEvent::Waiting, Replayed].map(|event| heard.count(event));
    assert_eq!((one, two), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn another_payload_does_not_wait() {
    let go = Arc::new(Notify::new());
    let service = layer(Faulty::default()).layer(waits_for(&Counter::default(), &go, 201));
    let _first = start(&service, post("k", "mug")).await;
    assert_eq!(problem(&send(&service, post("k", "cup")).await), problems::KEY_REUSED);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_from_another_process_is_found_by_looking() {
    let store = Faulty::default();
    let begin = store.die_after_claiming("k").await;
    let service = layer(store.clone()).layer(never());
    let waiter = start(&service, post("k", "mug")).await;
    sleep(Duration::from_millis(700)).await;
    let held = held(&store, &begin).await;
    let stored = StoredAnswer::new(
        StatusCode::CREATED,
        &HeaderMap::new(),
        Some(Bytes::from_static(b"elsewhere")),
        64,
    );
    let keep = aplomb_idempotency::Keep { answer: Duration::from_secs(60), key: Duration::ZERO };
    assert_eq!(store.complete(held, &stored, keep).await.unwrap(), Settled::Done);
    let answer = waiter.await.unwrap();
    assert_eq!((&answer.body()[..], is_replay(&answer)), (&b"elsewhere"[..], true));
    let reads = store.faults.lock().unwrap().reads;
    assert!((4..=12).contains(&reads), "its pauses grow: {reads} looks within a second or two");
}

#[tokio::test(start_paused = true)]
async fn at_the_end_of_its_time_a_waiter_is_asked_to_come_back() {
    let (store, begun) = (Faulty::default(), time::now());
    store.die_after_claiming("k").await;
    let waiting = Waiting::default().limit(Duration::from_secs(3));
    let service = layer(store).wait(waiting).layer(never());
    let refused = send(&service, post("k", "mug")).await;
    assert_eq!(problem(&refused), problems::IN_FLIGHT);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(time::now() - begun, Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_shortens_the_wait() {
    let store = Faulty::default();
    store.die_after_claiming("k").await;
    let service = layer(store).layer(never());
    let begun = time::now();
    let deadline = Deadline::after(begun, Duration::from_millis(800));
    let mut carries = post("k", "mug");
    carries.extensions_mut().insert(deadline);
    assert_eq!(problem(&send(&service, carries).await), problems::IN_FLIGHT);
    assert_eq!(time::now() - begun, Duration::from_millis(800));

    let deadline = Deadline::after(time::now(), Duration::from_millis(100));
    let begun = time::now();
    let call = {
        let _scope = deadline.enter();
        service.clone().call(post("k", "mug"))
    };
    assert_eq!(call.await.unwrap().status(), StatusCode::CONFLICT);
    assert_eq!(time::now() - begun, Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn one_waiter_too_many_gets_its_409_at_once() {
    let go = Arc::new(Notify::new());
    let waiting = Waiting::default().waiters_max(1);
    let layer = layer(Faulty::default()).wait(waiting);
    let service = layer.layer(waits_for(&Counter::default(), &go, 201));
    let first = start(&service, post("k", "mug")).await;
    let waiter = start(&service, post("k", "mug")).await;
    let begun = time::now();
    assert_eq!(problem(&send(&service, post("k", "mug")).await), problems::IN_FLIGHT);
    assert_eq!(time::now(), begun);

    // One that hangs up makes room for another.
    waiter.abort();
    assert!(waiter.await.unwrap_err().is_cancelled());
    let next = start(&service, post("k", "mug")).await;
    go.notify_one();
    assert!(is_replay(&next.await.unwrap()));
    assert_eq!(first.await.unwrap().status(), 201);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_free_is_not_taken_by_who_waited() {
    let (runs, go, heard) = (Counter::default(), Arc::new(Notify::new()), Heard::default());
    let layer = layer(Faulty::default()).observe(heard.observer());
    let service = layer.layer(waits_for(&runs, &go, 503));
    let first = start(&service, post("k", "mug")).await;
    let waiter = start(&service, post("k", "mug")).await;
    go.notify_one();
    assert_eq!(first.await.unwrap().status(), 503);
    let refused = waiter.await.unwrap();
    assert_eq!(problem(&refused), problems::IN_FLIGHT);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(runs.get(), 1);
    assert_eq!(heard.count(Claimed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_doubt_is_told_to_who_waited() {
    let (heard, go) = (Heard::default(), Arc::new(Notify::new()));
    let inner = waits_for(&Counter::default(), &go, 201);
    let buggy = inner.map_response(|_| -> Response<Body> { panic!("a handler with a bug") });
    let service = layer(Faulty::default()).observe(heard.observer()).layer(buggy);
    let first = start(&service, post("k", "mug")).await;
    let waiter = start(&service, post("k", "mug")).await;
    go.notify_one();
    assert_eq!(problem(&first.await.unwrap()), problems::HANDLER_PANICKED);
    assert_eq!(problem(&waiter.await.unwrap()), problems::OUTCOME_UNKNOWN);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_a_look_is_asked_again() {
    let (store, go, heard) = (Faulty::default(), Arc::new(Notify::new()), Heard::default());
    let layer = layer(store.clone()).observe(heard.observer());
    let service = layer.layer(waits_for(&Counter::default(), &go, 201));
    let first = start(&service, post("k", "mug")).await;
    store.faults.lock().unwrap().failing_reads = 2;
    let waiter = start(&service, post("k", "mug")).await;
    advance(Duration::from_millis(60)).await;
    go.notify_one();
    assert!(is_replay(&waiter.await.unwrap()));
    assert_eq!(first.await.unwrap().status(), 201);
    assert_eq!(heard.count(IdempotencyEvent::StoreFailed), 2);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_ask_for_it_does_not_wait() {
    let (go, heard) = (Arc::new(Notify::new()), Heard::default());
    let layer = IdempotencyLayer::new(Faulty::default()).observe(heard.observer());
    let service = layer.layer(waits_for(&Counter::default(), &go, 201));
    let first = start(&service, post("k", "mug")).await;
    assert_eq!(problem(&send(&service, post("k", "mug")).await), problems::IN_FLIGHT);
    go.notify_one();
    assert_eq!(first.await.unwrap().status(), 201);
    assert_eq!(heard.all(), [Claimed, InFlight, Completed]);
}

fn layer(store: Faulty) -> IdempotencyLayer<Faulty> {
    IdempotencyLayer::new(store).wait(Waiting::default()).dice(Dice::seeded(1))
}

/// Sends, and lets it come as far as it gets by itself.
async fn start<S>(service: &S, request: Request<Body>) -> JoinHandle<Response<Bytes>>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let service = service.clone();
    let call = tokio::spawn(async move { send(&service, request).await });
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    call
}

async fn held(store: &Faulty, begin: &aplomb_idempotency::Begin) -> Held {
    store.store.get(begin.identity.id()).await.unwrap().unwrap().held()
}

fn never()
-> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync {
    service_fn(|_: Request<Body>| async { panic!("this key is another's") })
}

fn waits_for(
    runs: &Counter,
    go: &Arc<Notify>,
    status: u16,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ use<> {
    let (runs, go) = (runs.clone(), Arc::clone(go));
    service_fn(move |_: Request<Body>| {
        let (run, go) = (runs.add(), Arc::clone(&go));
        async move {
            go.notified().await;
            answer(status, format!("run {run}"))
        }
    })
}
