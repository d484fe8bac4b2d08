//! What takes hours, and what chance comes up with: records are made older where they lie.

mod aged;
mod model;

use std::time::Duration;

use aplomb_idempotency::Held;
use aplomb_idempotency::record::LAPSED_KEPT;
use aplomb_idempotency::{Begin, Lapsed, Record, RecordId, Settled, State, Store};
use aplomb_testkit::servers::Redis;
use aplomb_testkit::store::{LONG, NONE, answer, begin, claim, complete, state};

use crate::RedisStore;
use aged::age;

#[tokio::test]
async fn a_claim_that_nobody_came_back_for_ends_as_its_route_declared() {
    let redis = Redis::start().unwrap();
    let store = store(&redis);
    let policies = [Lapsed::Unknown, Lapsed::RunAgain, Lapsed::Recover, Lapsed::AtLeastOnce];
    let mut held = Vec::new();
    for lapsed in policies {
        let call = Begin { lapsed, lease: LONG, ..begin(lapsed.as_str()) };
        held.push(claim(&store, &call).await);
    }
    age(&store, LONG).await;
    assert_eq!(store.sweep(100).await.unwrap(), 0, "its caller may be about to ask again");
    age(&store, LAPSED_KEPT).await;
    assert_eq!(store.sweep(100).await.unwrap(), 3);
    let words = words(&store, &held).await;
    assert_eq!(words, [Some("unknown"), None, Some("started"), None]);
    assert_eq!(store.sweep(100).await.unwrap(), 0);
    assert_eq!(complete(&store, held[1], "late").await, Settled::Lost);
}

#[tokio::test]
async fn a_claim_that_was_renewed_is_not_swept_at_its_old_time() {
    let redis = Redis::start().unwrap();
    let store = store(&redis);
    let held = claim(&store, &begin("k")).await;
    age(&store, LONG + LAPSED_KEPT).await;
    assert_eq!(store.renew(held, LONG).await.unwrap(), Settled::Done);
    assert_eq!(store.sweep(100).await.unwrap(), 0);
    assert!(matches!(state(&store, held).await, Some(State::Started(_))));
}

#[tokio::test]
async fn an_index_that_lags_behind_its_record_is_mended_and_nothing_is_swept() {
    let redis = Redis::start().unwrap();
    let store = store(&redis);
    let held = claim(&store, &begin("k")).await;
    let member = crate::codec::due_member(&begin("k").identity);
    let due = store.keys.due();
    let mut wrong = crate::pool::commands();
    wrong.cmd("ZADD").arg(&due).arg(1).arg(&member).cmd("ZSCORE").arg(&due).arg(&member);
    let before: u64 = score(&store, &wrong).await;
    assert_eq!(before, 1);
    assert_eq!(store.sweep(100).await.unwrap(), 0);
    assert!(matches!(state(&store, held).await, Some(State::Started(_))));
    let mut right = crate::pool::commands();
    right.cmd("ZSCORE").arg(&due).arg(&member);
    assert!(score(&store, &right).await > before);
}

#[tokio::test]
async fn redis_forgets_what_no_sweep_came_for_an_hour_later() {
    let redis = Redis::start().unwrap();
    let store = store(&redis);
    let held = claim(&store, &begin("k")).await;
    assert_eq!(store.complete(held, &answer("old"), NONE).await.unwrap(), Settled::Done);
    assert!(state(&store, held).await.is_some());
    // Redis keeps a key through the millisecond that it expires in.
    age(&store, LAPSED_KEPT + Duration::from_millis(1)).await;
    assert_eq!(state(&store, held).await, None);
}

/// The last answer, as a number.
async fn score(store: &RedisStore, commands: &redis::Pipeline) -> u64 {
    let (link, mut replies) = store.pool.begin(commands).await.unwrap();
    link.give_back();
    redis::from_redis_value(replies.pop().unwrap().unwrap()).unwrap()
}

async fn words(store: &RedisStore, held: &[Held]) -> Vec<Option<&'static str>> {
    let mut words = Vec::new();
    for &held in held {
        words.push(state(store, held).await.map(|state| state.as_str()));
    }
    words
}

fn store(redis: &Redis) -> RedisStore {
    RedisStore::new(redis.url()).unwrap().prefix(redis.prefix())
}

fn id(record: &Record) -> RecordId {
    record.identity.id()
}
