//! A letter is sent again: claimed, paid for, spread, under its own key, written down.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;
mod suite;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aplomb_core::{BoxError, Dice, OperationClass, Ratio, Request as _, time};
use aplomb_dead_letter::{
    Action, DeadLetterEvent, LetterId, Listing, MemorySink, Note, RedriveError, RedriveRequest,
    Redriven, Redriver, Refused, Rounds, Sink, State,
};
use aplomb_retry::{Budget, Terms};
use futures_util::future::join_all;
use http::Response;
use tower::service_fn;

use common::{Act, Heard, Warehouse};
use suite::{note, stored};

#[tokio::test(start_paused = true)]
async fn a_letter_arrives_under_its_own_key_and_bytes() {
    let (sink, warehouse, heard) =
        (Arc::new(MemorySink::new()), Warehouse::default(), Heard::default());
    let id = stored(&sink, "order_1").await;
    let redriver = desk(&sink, &warehouse, Budget::percent(20)).observe(heard.clone());
    let redriven = redriver.redrive(id, &note()).await.unwrap();
    assert_eq!(redriven, Redriven::Delivered { status: Some(http::StatusCode::CREATED) });
    let sent = warehouse.last();
    assert_eq!(sent.headers()["idempotency-key"], "order_1");
    assert_eq!(sent.uri(), "http://warehouse:7002/shipments?express=1");
    assert_eq!(sent.class(), OperationClass::Deferred);
    assert!(matches!(state(&sink, id).await, State::Delivered { .. }));
    assert_eq!(heard.take(), [DeadLetterEvent::Redriving, DeadLetterEvent::Redelivered]);

    let again = redriver.redrive(id, &note()).await.unwrap_err();
    assert!(matches!(again, RedriveError::Refused(Refused::Delivered { .. })), "{again}");
    assert_eq!(warehouse.sends("order_1"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_redrive_that_fails_is_stored_again_left_alone_and_audited() {
    let (sink, warehouse) = (Arc::new(MemorySink::new()), Warehouse::that([Act::Status(503)]));
    let id = stored(&sink, "k").await;
    let redriver = desk(&sink, &warehouse, Budget::percent(20))
        .schedule(Rounds::new(Duration::from_secs(60), Duration::from_secs(60)));
    let Redriven::StoredAgain { failure, wait } = redriver.redrive(id, &note()).await.unwrap()
    else {
        panic!("it failed")
    };
    assert_eq!(failure.word(), "transient");
    assert!(wait >= Duration::from_secs(30) && wait <= Duration::from_secs(60));
    let early = redriver.redrive(id, &note()).await.unwrap_err();
    assert!(matches!(early, RedriveError::Refused(Refused::TooEarly { .. })), "{early}");

    let audit = redriver.audit(Some(id), 10).await.unwrap();
    let told: Vec<_> = audit.iter().map(|entry| (entry.action, &*entry.note.by)).collect();
    assert_eq!(told, [(Action::Failed, "erin"), (Action::Redriven, "erin")]);
    assert!(audit[0].outcome.contains("503"), "{}", audit[0].outcome);
    tokio::time::advance(wait).await;
    assert!(matches!(redriver.redrive(id, &note()).await, Err(RedriveError::BudgetEmpty)));
}

#[tokio::test(start_paused = true)]
async fn a_redrive_draws_on_the_budget_of_the_retries() {
    let (sink, warehouse, heard) =
        (Arc::new(MemorySink::new()), Warehouse::default(), Heard::default());
    let (one, two) = (stored(&sink, "a").await, stored(&sink, "b").await);
    let budget = Budget::new(Terms::earning(Ratio::ZERO).cap(1));
    let redriver = desk(&sink, &warehouse, budget).observe(heard.clone());
    redriver.redrive(one, &note()).await.unwrap();
    let refused = redriver.redrive(two, &note()).await.unwrap_err();
    assert!(matches!(refused, RedriveError::BudgetEmpty), "{refused}");
    assert_eq!(heard.take().last(), Some(&DeadLetterEvent::BudgetEmpty));
    assert_eq!(state(&sink, two).await, State::Stored);
    let audit = redriver.audit(Some(two), 10).await.unwrap();
    let told: Vec<_> = audit.iter().map(|entry| (entry.action, &*entry.outcome)).collect();
    assert_eq!(told, [(Action::Released, "the retry budget is empty"), (Action::Redriven, "")]);
    assert_eq!(sink.get(two).await.unwrap().unwrap().redrives, 0);
    assert_eq!(warehouse.sends("b"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_refused_costs_nothing() {
    let (sink, warehouse) = (Arc::new(MemorySink::new()), Warehouse::default());
    let id = stored(&sink, "a").await;
    let budget = Budget::percent(20);
    let redriver = desk(&sink, &warehouse, budget.clone());
    redriver.discard(id, &note()).await.unwrap();
    let unknown = suite::letter("z").id;
    for id in [id, unknown] {
        redriver.redrive(id, &note()).await.unwrap_err();
    }
    assert_eq!(budget.balance().to_string(), "10");
}

#[tokio::test(start_paused = true)]
async fn of_two_operators_who_press_at_once_one_sends() {
    let (sink, warehouse) = (Arc::new(MemorySink::new()), Warehouse::default());
    let id = stored(&sink, "k").await;
    let budget = Budget::percent(20);
    let redriver = desk(&sink, &warehouse, budget.clone()).spread(Duration::from_secs(1));
    let press = |who: &'static str| {
        let redriver = redriver.clone();
        async move { redriver.redrive(id, &Note::new(who, "it is back")).await }
    };
    let (erin, omar) = tokio::join!(press("erin"), press("omar"));
    assert!(matches!(erin, Ok(Redriven::Delivered { .. })), "{erin:?}");
    assert!(matches!(omar, Err(RedriveError::Refused(Refused::Redriving { .. }))), "{omar:?}");
    assert_eq!(warehouse.sends("k"), 1);
    assert_eq!(budget.balance().to_string(), "9", "whoever did not send did not pay");
}

#[tokio::test(start_paused = true)]
async fn sends_are_spread() {
    let (sink, warehouse) = (Arc::new(MemorySink::new()), Warehouse::default());
    let redriver = desk(&sink, &warehouse, Budget::percent(20)).spread(Duration::from_secs(10));
    let mut waits = Vec::new();
    for key in ["a", "b", "c", "d"] {
        let (id, begun) = (stored(&sink, key).await, time::now());
        redriver.redrive(id, &note()).await.unwrap();
        waits.push(time::now() - begun);
    }
    waits.sort_unstable();
    waits.dedup();
    assert_eq!(waits.len(), 4);
    assert!(waits[3] > waits[0] + Duration::from_secs(1) && waits[3] <= Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_redrive_dropped_before_it_sends_gives_its_money_back_and_the_letter_is_free_after_its_lease()
 {
    let (sink, warehouse) = (Arc::new(MemorySink::new()), Warehouse::default());
    let id = stored(&sink, "k").await;
    let budget = Budget::percent(20);
    let redriver = desk(&sink, &warehouse, budget.clone()).spread(Duration::from_secs(10));
    let note = note();
    let waits = tokio::time::timeout(Duration::from_millis(1), redriver.redrive(id, &note));
    assert!(waits.await.is_err());
    assert_eq!(budget.balance().to_string(), "10");
    assert!(matches!(state(&sink, id).await, State::Redriving { .. }));
    tokio::time::advance(Duration::from_secs(60)).await;
    redriver.redrive(id, &note).await.unwrap();
    assert_eq!(warehouse.sends("k"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_hangs_is_given_up_within_its_lease_with_an_unknown_outcome() {
    let sink = Arc::new(MemorySink::new());
    let id = stored(&sink, "k").await;
    let hangs = service_fn(|_: RedriveRequest| pending::<Result<Response<()>, BoxError>>());
    let redriver = Redriver::new(Arc::clone(&sink), hangs, Budget::percent(20));
    let begun = time::now();
    let Redriven::StoredAgain { failure, .. } = redriver.redrive(id, &note()).await.unwrap() else {
        panic!("it hung")
    };
    assert_eq!(failure.word(), "timeout");
    assert!(time::now() - begun < Duration::from_secs(60));
    let record = sink.get(id).await.unwrap().unwrap();
    assert_eq!((record.state, &*record.letter.key), (State::Stored, "k"));
}

#[tokio::test(start_paused = true)]
async fn a_redriver_that_wakes_late_is_told_that_it_lost() {
    let (sink, warehouse) = (Arc::new(MemorySink::new()), Warehouse::default());
    let id = stored(&sink, "k").await;
    // Its sink is out of reach for longer than its lease.
    let first = desk(&sink, &warehouse, Budget::percent(20)).lease(Duration::ZERO);
    let late = sink.step(id, &suite::claim(Duration::ZERO)).await.unwrap();
    let second = first.clone().lease(Duration::from_secs(60));
    second.redrive(id, &note()).await.unwrap();
    let settle = suite::settle(late.fence, aplomb_dead_letter::machine::Ended::Delivered);
    assert_eq!(suite::refused(&sink, id, settle).await, Refused::Lost);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_ready_does_not_use_up_a_redrive() {
    let (sink, budget) = (Arc::new(MemorySink::new()), Budget::percent(20));
    let id = stored(&sink, "k").await;
    let redriver = Redriver::new(Arc::clone(&sink), Broken, budget.clone());
    let redriven = redriver.redrive(id, &note()).await.unwrap();
    assert!(matches!(redriven, Redriven::StoredAgain { .. }));
    let record = sink.get(id).await.unwrap().unwrap();
    assert_eq!((record.state, record.redrives), (State::Stored, 0));
    assert_eq!(budget.balance().to_string(), "10");
}

#[tokio::test(start_paused = true)]
async fn all_letters_are_redriven_until_the_budget_is_empty() {
    let (sink, warehouse) = (Arc::new(MemorySink::new()), Warehouse::default());
    for number in 0..100 {
        stored(&sink, &format!("k{number}")).await;
    }
    let budget = Budget::new(Terms::earning(Ratio::ZERO).cap(70));
    let redriver = desk(&sink, &warehouse, budget);
    let done = redriver.redrive_all(30, &note()).await.unwrap();
    assert_eq!(done.len(), 30);
    assert!(done.iter().all(|(_, redriven)| matches!(redriven, Ok(Redriven::Delivered { .. }))));
    let done = redriver.redrive_all(1_000, &note()).await.unwrap();
    assert_eq!(done.len(), 41, "forty were paid for, and one was not");
    assert!(matches!(done.last(), Some((_, Err(RedriveError::BudgetEmpty)))));
    assert_eq!(sink.list(&Listing::dead(100)).await.unwrap().len(), 30);
}

#[tokio::test(start_paused = true)]
async fn many_operators_press_and_each_letter_is_sent_once() {
    let (sink, warehouse) = (Arc::new(MemorySink::new()), Warehouse::default());
    let mut ids = Vec::new();
    for number in 0..8 {
        ids.push(stored(&sink, &format!("k{number}")).await);
    }
    let redriver = desk(&sink, &warehouse, Budget::new(Terms::earning(Ratio::ONE).cap(1_000)))
        .spread(Duration::from_secs(1));
    let presses = AtomicU32::new(0);
    let press = |id: LetterId| {
        let (redriver, presses) = (redriver.clone(), &presses);
        async move {
            presses.fetch_add(1, Ordering::Relaxed);
            let _ = redriver.redrive(id, &note()).await;
        }
    };
    join_all(ids.iter().cycle().take(80).map(|&id| press(id))).await;
    assert_eq!(presses.into_inner(), 80);
    for number in 0..8 {
        assert_eq!(warehouse.sends(&format!("k{number}")), 1);
    }
}

/// A service that is never ready again.
#[derive(Clone)]
struct Broken;

impl tower::Service<RedriveRequest> for Broken {
    type Response = Response<()>;
    type Error = BoxError;
    type Future = std::future::Ready<common::Answer>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), BoxError>> {
        std::task::Poll::Ready(Err(common::reset().into()))
    }

    fn call(&mut self, _: RedriveRequest) -> Self::Future {
        unreachable!("it is not ready")
    }
}

fn desk(
    sink: &Arc<MemorySink>,
    warehouse: &Warehouse,
    budget: Budget,
) -> Redriver<Arc<MemorySink>, Warehouse, Budget> {
    Redriver::new(Arc::clone(sink), warehouse.clone(), budget)
        .spread(Duration::ZERO)
        .dice(Dice::seeded(7))
}

async fn state(sink: &MemorySink, id: LetterId) -> State {
    sink.get(id).await.unwrap().unwrap().state
}
