//! One key, one run: whoever else comes, whoever leaves.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{Dice, Principal};
use aplomb_idempotency::{
    Claim, IdempotencyEvent, IdempotencyLayer, MemoryStore, Recorded, Refusal, problems,
};
use futures_util::future::join_all;
use http::{Request, Response};
use tokio::sync::Notify;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use IdempotencyEvent::{Claimed, MarkedUnknown, Panicked, Unknown};
use common::{Body, Counter, Heard, answer, is_replay, post, problem, refusal, send, unscoped};

#[tokio::test(start_paused = true)]
async fn fifty_calls_with_one_key_run_the_handler_once() {
    let runs = Counter::default();
    let service = layer().layer(slow(runs.clone()));
    let answers = join_all((0..50).map(|_| send(&service, post("k", "mug")))).await;
    assert_eq!(runs.get(), 1);
    let created = answers.iter().filter(|answer| answer.status() == 201).count();
    assert_eq!(created, 1);
    for refused in answers.iter().filter(|answer| answer.status() != 201) {
        assert_eq!(problem(refused), problems::IN_FLIGHT);
        assert!(refused.headers().contains_key("retry-after"));
    }
    let retry = send(&service, post("k", "mug")).await;
    assert!(is_replay(&retry));
    assert_eq!((retry.status().as_u16(), &retry.body()[..]), (201, &b"run 1"[..]));
}

#[tokio::test(start_paused = true)]
async fn another_payload_is_refused_at_once_even_in_flight() {
    let service = layer().layer(slow(Counter::default()));
    let first = tokio::spawn({
        let service = service.clone();
        async move { send(&service, post("k", "mug")).await }
    });
    tokio::task::yield_now().await;
    let other = send(&service, post("k", "cup")).await;
    assert_eq!((other.status().as_u16(), problem(&other).as_str()), (422, problems::KEY_REUSED));
    assert!(!first.is_finished());
    assert_eq!(first.await.unwrap().status(), 201);
    assert_eq!(send(&service, post("k", "cup")).await.status(), 422);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_cancels_nothing_and_its_retry_is_answered() {
    let (runs, go) = (Counter::default(), Arc::new(Notify::new()));
    let layer = layer();
    let drain = layer.drain();
    let service = layer.layer(waits_for(runs.clone(), Arc::clone(&go)));

    let call = send(&service, post("k", "mug"));
    assert!(tokio::time::timeout(Duration::from_millis(1), call).await.is_err(), "it hung up");
    assert_eq!(send(&service, post("k", "mug")).await.status(), 409);
    go.notify_one();
    assert_eq!(drain.wait(Duration::from_secs(1)).await, 0);

    let retry = send(&service, post("k", "mug")).await;
    assert_eq!((retry.status().as_u16(), is_replay(&retry)), (201, true));
    assert_eq!(runs.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_handlers_within_its_limit() {
    let go = Arc::new(Notify::new());
    let layer = layer();
    let service = layer.layer(waits_for(Counter::default(), Arc::clone(&go)));
    let drain = layer.drain();
    assert_eq!(drain.wait(Duration::ZERO).await, 0);

    let call = tokio::spawn(async move { send(&service, post("k", "mug")).await });
    tokio::task::yield_now().await;
    assert_eq!(drain.wait(Duration::from_secs(5)).await, 1);
    go.notify_one();
    assert_eq!(drain.wait(Duration::from_secs(5)).await, 0);
    assert_eq!(call.await.unwrap().status(), 201);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_caught_and_its_outcome_unknown() {
    let heard = Heard::default();
    let service = layer().observe(heard.observer()).layer(service_fn(panics));
    let first = send(&service, post("k", "mug")).await;
    assert_eq!(problem(&first), problems::HANDLER_PANICKED);
    let retry = send(&service, post("k", "mug")).await;
    assert_eq!(
        (retry.status().as_u16(), problem(&retry).as_str()),
        (409, problems::OUTCOME_UNKNOWN)
    );
    assert!(!retry.headers().contains_key("retry-after"), "waiting does not help");
    assert_eq!(heard.all(), [Claimed, Panicked, MarkedUnknown, Unknown]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_transactional_route_gives_the_key_back() {
    let service = layer().transactional().layer(service_fn(|_: Request<Body>| async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        panic!("a handler with a bug");
        #[expect(unreachable_code, reason = "says what it would have answered")]
        Ok::<Result<Recorded, Refusal>, Infallible>(Err(refusal(500, "")))
    }));
    for _ in 0..2 {
        let answer = send(&service, post("k", "mug")).await;
        assert_eq!(problem(&answer), problems::HANDLER_PANICKED);
    }
}

#[tokio::test(start_paused = true)]
async fn callers_and_routes_do_not_share_keys() {
    let runs = Counter::default();
    let service = layer().layer(slow(runs.clone()));
    send(&service, post("k", "mug")).await;
    let other_caller = unscoped("k", "mug", |request| {
        request.extensions_mut().insert(Principal::new("other"));
    });
    assert!(!is_replay(&send(&service, other_caller).await));
    let mut other_route = post("k", "mug");
    *other_route.uri_mut() = "/returns".parse().unwrap();
    assert!(!is_replay(&send(&service, other_route).await));
    assert_eq!(runs.get(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_principal_needs_a_declared_scope() {
    let service = layer().layer(slow(Counter::default()));
    let refused = send(&service, unscoped("k", "mug", |_| ())).await;
    assert_eq!((refused.status().as_u16(), problem(&refused).as_str()), (500, problems::NO_SCOPE));

    let service = layer().global_scope("public").layer(slow(Counter::default()));
    assert_eq!(send(&service, unscoped("k", "mug", |_| ())).await.status(), 201);
    let impostor = unscoped("k", "mug", |request| {
        request.extensions_mut().insert(Principal::new("public"));
    });
    assert!(!is_replay(&send(&service, impostor).await));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_asked_for_where_it_is_needed() {
    let runs = Counter::default();
    let service = layer().layer(slow(runs.clone()));
    let mut keyless = post("k", "mug");
    keyless.headers_mut().clear();
    assert_eq!(problem(&send(&service, keyless).await), problems::KEY_MISSING);
    let malformed = send(&service, post("\"open", "mug")).await;
    assert_eq!(
        (malformed.status().as_u16(), problem(&malformed).as_str()),
        (400, problems::KEY_MALFORMED)
    );
    assert_eq!(runs.get(), 0);

    let get = Request::get("/orders").body(Body::default()).unwrap();
    assert_eq!(send(&service, get).await.status(), 201, "a GET needs none and passes");
    assert_eq!(
        send(&layer().strict_keys().layer(slow(runs)), post("k", "mug")).await.status(),
        400
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_store_is_a_503_that_asks_to_come_back() {
    let runs = Counter::default();
    let store = MemoryStore::bounded(1, usize::MAX);
    let service = IdempotencyLayer::new(store).dice(Dice::seeded(1)).layer(slow(runs.clone()));
    assert_eq!(send(&service, post("a", "mug")).await.status(), 201);
    let refused = send(&service, post("b", "mug")).await;
    assert_eq!(
        (refused.status().as_u16(), problem(&refused).as_str()),
        (503, problems::STORE_UNAVAILABLE)
    );
    assert!(refused.headers().contains_key("retry-after"));
    assert!(is_replay(&send(&service, post("a", "mug")).await));
    assert_eq!(runs.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_ready_service_is_the_one_that_is_called() {
    // A clone that was never polled ready makes a concurrency limit panic.
    let inner = ServiceBuilder::new().concurrency_limit(1).service(slow(Counter::default()));
    let mut service = layer().layer(inner);
    for key in ["a", "b"] {
        let response = service.ready().await.unwrap().call(post(key, "mug")).await.unwrap();
        assert_eq!(response.status(), 201);
    }
}

#[tokio::test(start_paused = true)]
async fn the_handler_is_given_its_claim() {
    let service = layer().layer(service_fn(|request: Request<Body>| async move {
        let claim = request.extensions().get::<Claim>().expect("a keyed request has one");
        answer(201, format!("{} {} {}", claim.caller(), claim.key(), claim.attempt()))
    }));
    assert_eq!(send(&service, post("\"k 1\"", "mug")).await.body(), "shop k 1 1");
}

fn layer() -> IdempotencyLayer<MemoryStore> {
    IdempotencyLayer::new(MemoryStore::new()).dice(Dice::seeded(1))
}

fn slow(
    runs: Counter,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send {
    service_fn(move |_: Request<Body>| {
        let run = runs.add();
        async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            answer(201, format!("run {run}"))
        }
    })
}

fn waits_for(
    runs: Counter,
    go: Arc<Notify>,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send {
    service_fn(move |_: Request<Body>| {
        let (run, go) = (runs.add(), Arc::clone(&go));
        async move {
            go.notified().await;
            answer(201, format!("run {run}"))
        }
    })
}

async fn panics(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    tokio::time::sleep(Duration::from_millis(1)).await;
    panic!("a handler with a bug")
}
