//! Routes that say themselves what a doubt means.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::convert::Infallible;
use std::time::Duration;

use aplomb_core::Dice;
use aplomb_idempotency::{
    Claim, IdempotencyEvent, IdempotencyLayer, RECOVER_MAX, Recovered, ServerErrors, State, Store,
    problems,
};
use bytes::Bytes;
use http::{Request, Response};
use tokio::time::{advance, sleep};
use tower::{Layer, Service, service_fn};

use common::faulty::Faulty;
use common::{Body, Counter, Heard, answer, is_replay, post, problem, send};

#[tokio::test(start_paused = true)]
async fn an_effect_that_is_found_is_answered_without_running_again() {
    let (store, runs, heard) = (Faulty::default(), Counter::default(), Heard::default());
    let begin = store.die_after_claiming("k").await;
    let layer = layer(store, found).observe(heard.observer());
    let service = layer.layer(answers(&runs, 201));
    advance(begin.lease).await;
    for _ in 0..2 {
        let answer = send(&service, post("k", "mug")).await;
        assert_eq!((&answer.body()[..], is_replay(&answer)), (&b"found k 2"[..], true));
    }
    assert_eq!(runs.get(), 0);
    assert_eq!(heard.count(IdempotencyEvent::Recovered), 1, "the second time it was on record");
}

#[tokio::test(start_paused = true)]
async fn an_effect_that_did_not_happen_is_made() {
    let (store, runs) = (Faulty::default(), Counter::default());
    let begin = store.die_after_claiming("k").await;
    let service = layer(store, not_applied).layer(answers(&runs, 201));
    advance(begin.lease).await;
    let first = send(&service, post("k", "mug")).await;
    assert_eq!((&first.body()[..], is_replay(&first)), (&b"run 1"[..], false));
    assert!(is_replay(&send(&service, post("k", "mug")).await));
}

#[tokio::test(start_paused = true)]
async fn what_the_hook_does_not_know_is_unknown() {
    for hook in [dont_know, panics] {
        let (store, runs) = (Faulty::default(), Counter::default());
        let begin = store.die_after_claiming("k").await;
        let service = layer(store.clone(), hook).layer(answers(&runs, 201));
        advance(begin.lease).await;
        let refused = send(&service, post("k", "mug")).await;
        assert_eq!(problem(&refused), problems::OUTCOME_UNKNOWN);
        assert!(!refused.headers().contains_key("retry-after"));
        let record = store.get(begin.identity.id()).await.unwrap().unwrap();
        assert!(matches!(record.state, State::Unknown { attempt: 2, .. }));
        assert_eq!(runs.get(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_claim_asks_nobody() {
    let runs = Counter::default();
    let service = layer(Faulty::default(), panics).layer(answers(&runs, 201));
    assert_eq!(send(&service, post("k", "mug")).await.body(), "run 1");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_asks_what_became_of_its_effect() {
    for (hook, then) in [(found as Hook, "replay"), (not_applied, "run"), (dont_know, "unknown")] {
        let handler = service_fn(|_: Request<Body>| async { panic!("after the effect") });
        let service = layer(Faulty::default(), hook).layer(untold(handler));
        let first = send(&service, post("k", "mug")).await;
        let second = send(&service, post("k", "mug")).await;
        match then {
            "replay" => {
                assert_eq!(first.body(), "found k 1");
                assert!(is_replay(&first) && is_replay(&second));
            }
            // The key was given back, so the handler ran and panicked once more.
            "run" => {
                assert_eq!(problem(&first), problems::HANDLER_PANICKED);
                assert_eq!(problem(&second), problems::HANDLER_PANICKED);
            }
            _ => {
                assert_eq!(problem(&first), problems::HANDLER_PANICKED);
                assert_eq!(problem(&second), problems::OUTCOME_UNKNOWN);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_kept_while_the_hook_looks() {
    let store = Faulty::default();
    let begin = store.die_after_claiming("k").await;
    let slow = layer(store.clone(), |_| {
        Box::pin(async {
            sleep(RECOVER_MAX.mul_f64(0.9)).await;
            Recovered::Applied(Response::new(Bytes::from_static(b"found at last")))
        })
    });
    let service = slow.layer(answers(&Counter::default(), 201));
    advance(begin.lease).await;
    let asks = tokio::spawn({
        let service = service.clone();
        async move { send(&service, post("k", "mug")).await }
    });
    sleep(RECOVER_MAX / 2).await;
    assert_eq!(problem(&send(&service, post("k", "mug")).await), problems::IN_FLIGHT);
    assert_eq!(asks.await.unwrap().body(), "found at last");
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_never_answers_does_not_know() {
    let store = Faulty::default();
    let begin = store.die_after_claiming("k").await;
    let hangs = layer(store.clone(), |_| Box::pin(std::future::pending()));
    let service = hangs.layer(answers(&Counter::default(), 201));
    advance(begin.lease).await;
    assert_eq!(problem(&send(&service, post("k", "mug")).await), problems::OUTCOME_UNKNOWN);
}

#[tokio::test(start_paused = true)]
async fn an_effect_that_is_found_and_cannot_be_recorded_is_found_again() {
    let store = Faulty::default();
    let begin = store.die_after_claiming("k").await;
    store.fail_completions(4);
    let service = layer(store, found).layer(answers(&Counter::default(), 201));
    advance(begin.lease).await;
    assert_eq!(send(&service, post("k", "mug")).await.body(), "found k 2");
    sleep(Duration::from_secs(11)).await;
    assert_eq!(send(&service, post("k", "mug")).await.body(), "found k 3");
}

#[tokio::test(start_paused = true)]
async fn at_least_once_runs_again_because_it_says_so() {
    let (store, runs) = (Faulty::default(), Counter::default());
    let begin = store.die_after_claiming("k").await;
    let layer = IdempotencyLayer::new(store).at_least_once().dice(Dice::seeded(1));
    let service = layer.layer(answers(&runs, 201));
    advance(begin.lease).await;
    assert_eq!(send(&service, post("k", "mug")).await.body(), "run 1");
    assert!(is_replay(&send(&service, post("k", "mug")).await), "and once it is done, it is done");
}

#[tokio::test(start_paused = true)]
async fn a_server_error_is_unknown_where_the_route_says_so() {
    let (runs, heard) = (Counter::default(), Heard::default());
    let layer = IdempotencyLayer::new(Faulty::default()).server_errors(ServerErrors::Unknown);
    let service = layer.observe(heard.observer()).layer(answers(&runs, 500));
    let first = send(&service, post("k", "mug")).await;
    assert_eq!((first.status().as_u16(), &first.body()[..]), (500, &b"run 1"[..]));
    assert_eq!(problem(&send(&service, post("k", "mug")).await), problems::OUTCOME_UNKNOWN);
    assert_eq!(heard.count(IdempotencyEvent::MarkedUnknown), 1);
    assert_eq!(runs.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_error_runs_again_where_twice_is_no_worse_than_once() {
    let (layer, runs) = (IdempotencyLayer::new(Faulty::default()), Counter::default());
    let layer = layer.at_least_once().server_errors(ServerErrors::Unknown);
    let service = layer.layer(answers(&runs, 500));
    for run in 1..=2 {
        assert_eq!(send(&service, post("k", "mug")).await.body(), &format!("run {run}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_error_asks_the_hook_where_there_is_one() {
    let layer = layer(Faulty::default(), found).server_errors(ServerErrors::Unknown);
    let service = layer.layer(answers(&Counter::default(), 502));
    let first = send(&service, post("k", "mug")).await;
    assert_eq!((first.status().as_u16(), &first.body()[..]), (200, &b"found k 1"[..]));
    assert!(is_replay(&send(&service, post("k", "mug")).await));
}

type Hook = fn(Claim) -> Finding;
type Finding = std::pin::Pin<Box<dyn Future<Output = Recovered> + Send>>;

fn layer(store: Faulty, hook: Hook) -> IdempotencyLayer<Faulty> {
    IdempotencyLayer::new(store).recover(hook).dice(Dice::seeded(1))
}

fn found(claim: Claim) -> Finding {
    Box::pin(async move {
        let body = format!("found {} {}", claim.key(), claim.attempt());
        Recovered::Applied(Response::new(Bytes::from(body)))
    })
}

fn not_applied(_: Claim) -> Finding {
    Box::pin(async { Recovered::NotApplied })
}

fn dont_know(_: Claim) -> Finding {
    Box::pin(async { Recovered::DontKnow })
}

fn panics(_: Claim) -> Finding {
    panic!("a hook with a bug")
}

fn answers(
    runs: &Counter,
    status: u16,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ use<> {
    let runs = runs.clone();
    service_fn(move |_: Request<Body>| {
        let run = runs.add();
        async move { answer(status, format!("run {run}")) }
    })
}

/// Says what a handler that only panics would have answered.
fn untold<S>(handler: S) -> S
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    handler
}
