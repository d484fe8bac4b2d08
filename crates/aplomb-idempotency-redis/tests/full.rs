//! A server whose memory is used up, and that evicts nothing.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::time::Duration;

use aplomb_idempotency::operator::{Note, Purge, Resolution};
use aplomb_idempotency::{Begin, Begun, Held, Lapsed, Settled, State, Store};
use aplomb_idempotency_redis::RedisStore;
use aplomb_testkit::servers::Redis;
use aplomb_testkit::store::{KEEP, LONG, NONE, answer, begin, claim, complete, state};

use common::{client, store};

#[tokio::test]
async fn a_full_server_takes_no_new_key_and_lets_every_claim_end() {
    let redis = Redis::start_with(&[]).unwrap();
    let store = store(&redis);
    let [done, given_up, doubted, renewed] = claims(&store, ["a", "b", "c", "d"]).await;
    let lapsed = Begin { lease: Duration::ZERO, ..begin("lapsed") };
    claim(&store, &lapsed).await;
    fill(&redis).await;

    assert!(store.begin(&begin("new")).await.unwrap_err().is_full());
    assert_eq!(store.begin(&begin("a")).await.unwrap(), Begun::InFlight);
    assert_eq!(store.renew(renewed, LONG).await.unwrap(), Settled::Done);
    assert_eq!(store.abandon(given_up, LONG).await.unwrap(), Settled::Done);
    assert_eq!(store.abandon(given_up, LONG).await.unwrap(), Settled::Done, "a repeated step");
    assert_eq!(store.mark_unknown(doubted).await.unwrap(), Settled::Done);
    assert_eq!(store.begin(&begin("lapsed")).await.unwrap(), Begun::Unknown);

    // The outcome is kept, its body is not.
    assert_eq!(complete(&store, done, "done").await, Settled::Done);
    let mut without_body = answer("done");
    without_body.drop_body();
    assert_eq!(store.begin(&begin("a")).await.unwrap(), Begun::Replay(without_body));
    assert_eq!(complete(&store, done, "done").await, Settled::Done, "a repeated step");
    assert!(matches!(state(&store, given_up).await, Some(State::Released { attempt: 1, .. })));
    assert!(store.begin(&begin("b")).await.unwrap_err().is_full());

    empty(&redis).await;
    assert_eq!(complete(&store, renewed, "kept").await, Settled::Done);
    assert_eq!(store.begin(&begin("d")).await.unwrap(), Begun::Replay(answer("kept")));
    assert!(matches!(store.begin(&begin("new")).await.unwrap(), Begun::Claimed(_)));
}

#[tokio::test]
async fn a_full_server_can_be_swept_and_purged() {
    let redis = Redis::start_with(&[]).unwrap();
    let store = store(&redis);
    let [expired, retired, personal, gone] = claims(&store, ["a", "b", "c", "gone"]).await;
    assert_eq!(store.complete(gone, &answer("old"), NONE).await.unwrap(), Settled::Done);
    forget(&redis, gone).await;
    assert_eq!(store.complete(expired, &answer("old"), NONE).await.unwrap(), Settled::Done);
    let keep = aplomb_idempotency::Keep { answer: Duration::ZERO, key: LONG };
    assert_eq!(store.complete(retired, &answer("old"), keep).await.unwrap(), Settled::Done);
    assert_eq!(complete(&store, personal, "personal").await, Settled::Done);
    fill(&redis).await;
    assert_eq!(store.sweep(100).await.unwrap(), 2, "what was gone is not counted");
    assert_eq!(state(&store, expired).await, None);
    assert!(matches!(state(&store, retired).await, Some(State::Tombstone { .. })));
    let note = Note::new("ada", "asked to be forgotten");
    assert_eq!(store.purge(&Purge::Key(personal.id), &note, 1).await.unwrap(), 1);
    assert_eq!(store.audit(Some(personal.id), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_operators_answer_is_refused_whole_rather_than_cut() {
    let redis = Redis::start_with(&[]).unwrap();
    let store = store(&redis);
    let [doubt] = claims(&store, ["k"]).await;
    assert_eq!(store.mark_unknown(doubt).await.unwrap(), Settled::Done);
    fill(&redis).await;
    let applied = Resolution::Applied { answer: answer("found"), keep: KEEP };
    let note = Note::new("ada", "found order 7");
    let refused = store.resolve(doubt, &applied, &note).await.unwrap_err();
    assert!(refused.is_full());
    assert_eq!(store.audit(None, 10).await.unwrap(), []);
    empty(&redis).await;
    assert_eq!(store.resolve(doubt, &applied, &note).await.unwrap(), Settled::Done);
}

#[tokio::test]
async fn a_user_who_may_not_run_scripts_is_told_that_the_server_is_full() {
    let redis = Redis::start_with(&[]).unwrap();
    let mut client = client(&redis).await;
    let rules = ["on", ">secret", "~*", "+@all", "-@scripting"];
    let set = redis::cmd("ACL").arg("SETUSER").arg("limited").arg(&rules[..]).to_owned();
    set.exec_async(&mut client).await.unwrap();
    let url = redis.url().replace("redis://", "redis://limited:secret@");
    let store = RedisStore::new(url).unwrap().prefix(redis.prefix());
    let [held] = claims(&store, ["k"]).await;
    fill(&redis).await;
    assert!(store.renew(held, LONG).await.unwrap_err().is_full());
    assert!(store.complete(held, &answer("done"), KEEP).await.unwrap_err().is_full());
    // Nobody else can take it meanwhile, and nothing is lost once there is room.
    let again = Begin { lapsed: Lapsed::RunAgain, ..begin("k") };
    assert_eq!(store.begin(&again).await.unwrap(), Begun::InFlight);
    empty(&redis).await;
    assert_eq!(complete(&store, held, "done").await, Settled::Done);
}

/// What Redis does when a record's time is up.
async fn forget(redis: &Redis, held: Held) {
    let mut client = client(redis).await;
    let key = format!("{{{}}}:record:{}", redis.prefix(), held.id);
    redis::cmd("DEL").arg(key).exec_async(&mut client).await.unwrap();
}

async fn claims<const N: usize>(store: &RedisStore, keys: [&str; N]) -> [Held; N] {
    let mut held = Vec::new();
    for key in keys {
        held.push(claim(store, &begin(key)).await);
    }
    held.try_into().unwrap()
}

/// Sets the bound of the server's memory to less than it uses.
async fn fill(redis: &Redis) {
    limit(redis, 1).await;
}

async fn empty(redis: &Redis) {
    limit(redis, 0).await;
}

async fn limit(redis: &Redis, bytes: u64) {
    let mut client = client(redis).await;
    let set = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).to_owned();
    set.exec_async(&mut client).await.unwrap();
}
