//! Calls that end badly.

use aplomb::core::cause;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::net::TcpListener;

use super::Column;
use super::callers::Caller;
use super::given_up::passes;
use super::house::{Act, House, Pieces};

pub(crate) async fn a_handler_that_panics_fails_its_own_call_alone(column: Column) {
    let mut house = House::open(column).await;
    let caller = Caller::of(column, &house, 2);
    let other = tokio::spawn(caller.look_once());
    let other_visit = house.visit().await;
    let call = tokio::spawn(caller.look_once());
    house.visit().await.act(Act::Panic);
    call.await.unwrap().unwrap_err();
    assert_eq!((caller.places().running, caller.breaker().snapshot().failed), (1, 1));
    other_visit.answer(200);
    assert_eq!(other.await.unwrap().unwrap().status(), 200);
    passes(&mut house, &caller).await;
    caller.rests();
    house.rests().await;
}

pub(crate) async fn a_handler_that_panicked_is_asked_again_where_that_is_safe(column: Column) {
    let mut house = House::open(column).await;
    let caller = Caller::of(column, &house, 1);
    let before = caller.balance();
    let call = tokio::spawn(caller.look());
    house.visit().await.act(Act::Panic);
    house.visit().await.answer(200);
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
    assert!(caller.balance() < before, "nobody knows whether it had acted: that costs");
    caller.rests();
    house.rests().await;
}

pub(crate) async fn a_handler_that_panics_under_a_key_leaves_its_outcome_in_doubt(column: Column) {
    let mut house = House::open(column).await;
    let caller = Caller::of(column, &house, 1);
    let call = tokio::spawn(caller.reserve("k"));
    house.visit().await.act(Act::Panic);
    let answer = call.await.unwrap().unwrap();
    assert!(!answer.status().is_success(), "{answer:?}");
    house.rests().await;
    let again = caller.reserve("k").await.unwrap();
    assert_eq!(again.status(), StatusCode::CONFLICT);
    assert!(house.is_quiet(), "it never runs again by itself");
    caller.rests();
}

pub(crate) async fn a_body_that_breaks_off_takes_nothing_along(column: Column) {
    let mut house = House::open(column).await;
    let caller = Caller::of(column, &house, 1);
    let call = tokio::spawn(caller.look());
    let (pieces, body) = Pieces::new();
    pieces.send(Ok(Bytes::from_static(b"4"))).unwrap();
    house.visit().await.act(Act::Stream(body));
    let answer = call.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    pieces.send(Err("the disk is gone".into())).unwrap();
    answer.into_body().collect().await.unwrap_err();
    caller.rests();
    house.rests().await;
    passes(&mut house, &caller).await;
}

pub(crate) async fn a_server_that_is_gone_takes_nothing_along(column: Column) {
    let mut house = House::open(column).await;
    // Nobody listens there.
    house.address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let caller = Caller::of(column, &house, 1);
    for calls in 1..=2 {
        let error = caller.look_once().await.unwrap_err();
        assert!(cause::<std::io::Error>(&*error).is_some(), "{error:?}");
        assert_eq!(caller.breaker().snapshot().unsent_in_a_row, calls);
        caller.rests();
    }
}
