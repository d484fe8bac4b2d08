//! Calls that are given up, at every point where they can be.

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::task::JoinHandle;

use super::callers::Caller;
use super::house::{Act, House, Pieces};
use super::{Column, until};
use aplomb::idempotency::problems::REPLAYED;

pub(crate) async fn before_its_first_poll_a_call_has_taken_nothing(column: Column) {
    let (mut house, caller) = one_place(column).await;
    let before = caller.balance();
    let call = caller.look();
    drop(call);
    caller.rests();
    same(before, caller.balance());
    passes(&mut house, &caller).await;
    assert!(house.is_quiet(), "nothing of it was sent");
}

/// A server that takes a connection and says nothing: under TLS, in the middle of the handshake.
pub(crate) async fn in_a_handshake_a_call_gives_its_place_back(column: Column) {
    let mut house = House::closed(column).await;
    let caller = Caller::of(column, &house, 1);
    let call = tokio::spawn(caller.look());
    let at_the_door = house.knock().await;
    assert_eq!(caller.places().running, 1);
    give_up(call).await;
    caller.rests();
    drop(at_the_door);
    let call = tokio::spawn(caller.look());
    let at_the_door = house.knock().await;
    house.let_in(at_the_door);
    house.visit().await.answer(200);
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
}

pub(crate) async fn in_the_queue_a_call_leaves_it(column: Column) {
    let (mut house, caller) = one_place(column).await;
    let first = tokio::spawn(caller.look());
    let visit = house.visit().await;
    let second = tokio::spawn(caller.look());
    until(|| caller.places().waiting == 1).await;
    give_up(second).await;
    let places = caller.places();
    assert_eq!((places.running, places.waiting), (1, 0));
    visit.answer(200);
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    passes(&mut house, &caller).await;
    assert!(house.is_quiet(), "nothing of it was sent");
}

pub(crate) async fn before_the_head_a_call_gives_its_place_back_and_its_handler_is_dropped(
    column: Column,
) {
    let (mut house, caller) = one_place(column).await;
    let before = caller.balance();
    let call = tokio::spawn(caller.look());
    let visit = house.visit().await;
    assert_eq!((caller.places().running, house.running()), (1, 1));
    give_up(call).await;
    caller.rests();
    same(before, caller.balance());
    visit.dropped().await;
    house.rests().await;
    passes(&mut house, &caller).await;
}

pub(crate) async fn before_the_head_a_probe_leaves_its_place_to_the_next(column: Column) {
    let (mut house, caller) = one_place(column).await;
    let breaker = caller.breaker();
    breaker.force_open();
    breaker.automatic();
    // More often than a circuit has probes to lose.
    for _ in 0..8 {
        let call = tokio::spawn(caller.look_once());
        let visit = house.visit().await;
        give_up(call).await;
        visit.dropped().await;
    }
    passes(&mut house, &caller).await;
    caller.rests();
}

pub(crate) async fn in_the_wait_before_a_retry_a_call_gets_its_money_back(column: Column) {
    let (mut house, caller) = one_place(column).await;
    let before = caller.balance();
    let call = tokio::spawn(caller.dawdle());
    house.visit().await.answer(503);
    until(|| caller.balance() < before).await;
    caller.rests();
    give_up(call).await;
    same(before, caller.balance());
    passes(&mut house, &caller).await;
    assert!(house.is_quiet(), "the retry was never sent");
}

pub(crate) async fn in_a_retry_a_call_has_spent_its_money_and_no_more(column: Column) {
    let (mut house, caller) = one_place(column).await;
    let before = caller.balance();
    let call = tokio::spawn(caller.look());
    house.visit().await.answer(503);
    let visit = house.visit().await;
    let spent = caller.balance();
    assert!(spent < before);
    give_up(call).await;
    caller.rests();
    same(spent, caller.balance());
    visit.dropped().await;
    house.rests().await;
    passes(&mut house, &caller).await;
}

/// A place is for the head of an answer; who reads the body holds none, on either side.
pub(crate) async fn in_the_body_a_call_is_missed_by_the_server(column: Column) {
    let (mut house, caller) = one_place(column).await;
    let call = tokio::spawn(caller.look());
    let (pieces, body) = Pieces::new();
    pieces.send(Ok(Bytes::from_static(b"4"))).unwrap();
    house.visit().await.act(Act::Stream(body));
    let mut answer = call.await.unwrap().unwrap();
    let frame = answer.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "4");
    caller.rests();
    house.rests().await;
    drop(answer);
    pieces.closed().await;
    passes(&mut house, &caller).await;
}

pub(crate) async fn under_a_key_a_call_leaves_its_handler_running(column: Column) {
    let (mut house, caller) = one_place(column).await;
    let call = tokio::spawn(caller.reserve("k"));
    let visit = house.visit().await;
    give_up(call).await;
    caller.rests();
    passes(&mut house, &caller).await;
    assert_eq!(house.running(), 1, "its work goes on, in its place");
    visit.answer(201);
    house.rests().await;
    let replay = caller.reserve("k").await.unwrap();
    assert_eq!(replay.status(), 201);
    assert!(replay.headers().contains_key(REPLAYED));
    assert!(house.is_quiet(), "it ran once");
}

async fn one_place(column: Column) -> (House, Caller) {
    let house = House::open(column).await;
    let caller = Caller::of(column, &house, 1);
    (house, caller)
}

async fn give_up<T: std::fmt::Debug>(call: JoinHandle<T>) {
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
}

/// Another call is served, in the one place that there is.
pub(crate) async fn passes(house: &mut House, caller: &Caller) {
    let answers = async {
        let visit = house.visit().await;
        visit.answer(200);
    };
    let (answer, ()) = tokio::join!(caller.look(), answers);
    assert_eq!(answer.unwrap().status(), 200);
}

fn same(before: f64, after: f64) {
    assert!((before - after).abs() < f64::EPSILON, "{before} became {after}");
}
