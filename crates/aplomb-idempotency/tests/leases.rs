//! What becomes of a key when its claim's lease ends.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::convert::Infallible;
use std::time::Duration;

use aplomb_core::Dice;
use aplomb_idempotency::operator::{Operator, Resolution};
use aplomb_idempotency::store::{Commit, recorded};
use aplomb_idempotency::{
    Claim, IdempotencyEvent, IdempotencyLayer, Lapsed, Recorded, Refusal, Settled, Store, problems,
};
use http::Request;
use tokio::time::{advance, sleep};
use tower::{Layer, service_fn};

use common::faulty::Faulty;
use common::{Body, Counter, Heard, answer, is_replay, post, problem, refusal, send};

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_for_as_long_as_the_handler_runs() {
    let runs = Counter::default();
    let service = layer(Faulty::default()).layer(sleeps(runs.clone(), 60));
    let first = tokio::spawn({
        let service = service.clone();
        async move { send(&service, post("k", "mug")).await }
    });
    for _ in 0..5 {
        sleep(Duration::from_secs(10)).await;
        let retry = send(&service, post("k", "mug")).await;
        assert_eq!(problem(&retry), problems::IN_FLIGHT);
    }
    assert_eq!(first.await.unwrap().status(), 201);
    assert_eq!(runs.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_its_own_handler_ended_is_not_lost() {
    let (store, heard) = (Faulty::default(), Heard::default());
    let handler = {
        let store = store.clone();
        service_fn(move |request: Request<Body>| {
            let (store, claim) = (store.clone(), request.extensions().get::<Claim>().cloned());
            async move {
                let claim = claim.unwrap();
                let response = http::Response::new(bytes::Bytes::from("reserved"));
                let stored = claim.stored(&response);
                let settled = store.complete(claim.held(), &stored, claim.terms().keep).await;
                assert_eq!(settled.unwrap(), Settled::Done);
                tokio::select! {
                    () = claim.lost() => Ok(Err(refusal(500, "told that it was lost"))),
                    // The lease would be renewed several times.
                    () = sleep(Duration::from_secs(60)) => {
                        Ok::<_, Infallible>(Ok(recorded(&claim, response, Commit::Done)))
                    }
                }
            }
        })
    };
    let service = layer(store).transactional().observe(heard.observer()).layer(handler);
    let first = send(&service, post("k", "mug")).await;
    assert_eq!((first.status().as_u16(), is_replay(&first)), (200, false));
    assert_eq!(heard.all(), [IdempotencyEvent::Claimed, IdempotencyEvent::Completed]);
}

#[tokio::test(start_paused = true)]
async fn a_zombie_hears_of_its_loss_and_its_answer_is_not_recorded() {
    let (store, heard) = (Faulty::default(), Heard::default());
    store.break_renewals(true);
    let stopped = Counter::default();
    let handler = {
        let (runs, stopped) = (Counter::default(), stopped.clone());
        service_fn(move |request: Request<Body>| {
            let (run, stopped) = (runs.add(), stopped.clone());
            let time = Duration::from_secs(if run == 1 { 60 } else { 0 });
            async move {
                let claim = request.extensions().get::<Claim>().unwrap().clone();
                tokio::select! {
                    () = claim.lost() => { stopped.add(); }
                    () = sleep(time) => {}
                }
                // A 404 is an outcome that a transactional route need not record itself.
                refused(404, format!("run {run}"))
            }
        })
    };
    let service = layer(store.clone()).transactional().observe(heard.observer()).layer(handler);
    let zombie = tokio::spawn({
        let service = service.clone();
        async move { send(&service, post("k", "mug")).await }
    });
    sleep(Duration::from_secs(11)).await;
    // The lease has ended: the key is claimed again, and the store is well again.
    store.break_renewals(false);
    let second = send(&service, post("k", "mug")).await;
    assert_eq!(second.body(), "run 2");
    let zombie = zombie.await.unwrap();
    assert_eq!((zombie.body(), is_replay(&zombie)), (second.body(), true));
    assert_eq!(stopped.get(), 1);
    assert!(heard.all().contains(&IdempotencyEvent::LeaseLost));
    assert!(is_replay(&send(&service, post("k", "mug")).await));
}

#[tokio::test(start_paused = true)]
async fn a_zombie_is_not_told_the_answer_to_another_payload() {
    let store = Faulty::default();
    store.break_renewals(true);
    let runs = Counter::default();
    let service = layer(store.clone()).layer(service_fn(move |_: Request<Body>| {
        let run = runs.add();
        async move {
            sleep(Duration::from_secs(if run == 1 { 60 } else { 0 })).await;
            answer(201, format!("run {run}"))
        }
    }));
    let zombie = tokio::spawn({
        let service = service.clone();
        async move { send(&service, post("k", "mug")).await }
    });
    sleep(Duration::from_secs(11)).await;
    // An operator gives the key back, and it is used for something else.
    let operator = Operator::new(store.clone(), "ada");
    let record = operator.stuck(None, 1).await.unwrap().pop().unwrap();
    let not_applied = Resolution::NotApplied { keep: Duration::from_secs(60) };
    let resolved = operator.resolve(record.held(), not_applied, "its process was stopped").await;
    assert_eq!(resolved.unwrap(), Settled::Done);
    assert_eq!(send(&service, post("k", "cup")).await.body(), "run 2");
    assert_eq!(problem(&zombie.await.unwrap()), problems::KEY_REUSED);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_lapsed_outside_a_transaction_is_unknown() {
    let store = Faulty::default();
    let begin = store.die_after_claiming("k").await;
    let runs = Counter::default();
    let service = layer(store.clone()).layer(sleeps(runs.clone(), 0));
    assert_eq!(problem(&send(&service, post("k", "mug")).await), problems::IN_FLIGHT);
    advance(begin.lease).await;
    let retry = send(&service, post("k", "mug")).await;
    assert_eq!(problem(&retry), problems::OUTCOME_UNKNOWN);
    let body: serde_json::Value = serde_json::from_slice(retry.body()).unwrap();
    assert_eq!(body["reference"], begin.identity.id().to_string());
    assert_eq!(runs.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_lapsed_in_a_transactional_route_runs_again() {
    let store = Faulty::default();
    let begin = store.die_after_claiming_on(Lapsed::RunAgain, "k").await;
    let runs = Counter::default();
    let service = layer(store.clone()).transactional().layer(service_fn({
        let runs = runs.clone();
        move |request: Request<Body>| {
            runs.add();
            let attempt = request.extensions().get::<Claim>().unwrap().attempt();
            async move { refused(404, format!("attempt {attempt}")) }
        }
    }));
    advance(begin.lease).await;
    assert_eq!(send(&service, post("k", "mug")).await.body(), "attempt 2");
    assert_eq!(runs.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_completion_that_the_store_misses_twice_is_recorded_the_third_time() {
    let store = Faulty::default();
    store.fail_completions(2);
    let service = layer(store).layer(sleeps(Counter::default(), 0));
    assert_eq!(send(&service, post("k", "mug")).await.status(), 201);
    assert!(is_replay(&send(&service, post("k", "mug")).await));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_recorded_still_reaches_its_caller() {
    let (store, runs) = (Faulty::default(), Counter::default());
    store.fail_completions(usize::MAX);
    let service = layer(store).layer(sleeps(runs.clone(), 0));
    assert_eq!(send(&service, post("k", "mug")).await.status(), 201);
    assert_eq!(problem(&send(&service, post("k", "mug")).await), problems::IN_FLIGHT);
    sleep(Duration::from_secs(11)).await;
    assert_eq!(problem(&send(&service, post("k", "mug")).await), problems::OUTCOME_UNKNOWN);
    assert_eq!(runs.get(), 1, "it was done, so it is never done again");
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_got_lost_is_not_lost() {
    let (store, runs) = (Faulty::default(), Counter::default());
    store.lose_next_claim();
    let service = layer(store).layer(sleeps(runs.clone(), 0));
    assert_eq!(send(&service, post("k", "mug")).await.status(), 201);
    assert_eq!(runs.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_got_lost_with_the_store_is_not_lost() {
    let (store, runs) = (Faulty::default(), Counter::default());
    store.lose_next_claim();
    store.faults.lock().unwrap().failing_begins_after_loss = 2;
    let service = layer(store).layer(sleeps(runs.clone(), 0));
    assert_eq!(send(&service, post("k", "mug")).await.status(), 201);
    assert_eq!(runs.get(), 1);
}

fn layer(store: Faulty) -> IdempotencyLayer<Faulty> {
    IdempotencyLayer::new(store).dice(Dice::seeded(1))
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a handler returns")]
fn refused(status: u16, body: String) -> Result<Result<Recorded, Refusal>, Infallible> {
    Ok(Err(refusal(status, body)))
}

fn sleeps(
    runs: Counter,
    seconds: u64,
) -> impl tower::Service<
    Request<Body>,
    Response = http::Response<Body>,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone
+ Send {
    service_fn(move |_: Request<Body>| {
        let run = runs.add();
        async move {
            sleep(Duration::from_secs(seconds)).await;
            answer(201, format!("run {run}"))
        }
    })
}
