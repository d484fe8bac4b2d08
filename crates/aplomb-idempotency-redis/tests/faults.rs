//! Servers that are down, restart, hang, or lose an answer on the way.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::num::NonZeroUsize;
use std::time::Duration;

use aplomb_core::cause;
use aplomb_idempotency::{Begun, Held, Settled, Store};
use aplomb_idempotency_redis::{Busy, RedisStore};
use aplomb_testkit::servers::{Redis, free_port};
use aplomb_testkit::store::{KEEP, LONG, answer, begin, claim, complete};
use futures_util::future::join_all;

use common::proxy::{Cut, Proxy};
use common::store;

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_nothing_is_in_doubt() {
    let nowhere = format!("redis://127.0.0.1:{}/", free_port().unwrap());
    let store = RedisStore::new(nowhere.as_str()).unwrap();
    let error = store.begin(&begin("k")).await.unwrap_err();
    assert!(!error.is_uncertain() && !error.is_full());
    assert!(cause::<redis::RedisError>(&error).unwrap().is_connection_refusal());
    assert!(RedisStore::connect(nowhere.as_str()).await.is_err());
    assert!(RedisStore::new("no url at all").is_err());
}

#[tokio::test]
async fn a_claim_survives_a_restart_of_a_server_that_appends_its_commands() {
    let redis = Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).unwrap();
    let store = store(&redis);
    let call = begin("k");
    let held = claim(&store, &call).await;

    redis.kill().unwrap();
    let error = store.begin(&begin("other")).await.unwrap_err();
    assert!(!error.is_uncertain());
    let error = store.complete(held, &answer("done"), KEEP).await.unwrap_err();
    assert!(!error.is_uncertain() && !error.is_full());
    assert!(store.renew(held, LONG).await.is_err());
    assert!(store.get(held.id).await.is_err());

    redis.revive().unwrap();
    assert_eq!(store.begin(&begin("k")).await.unwrap(), Begun::InFlight);
    assert!(matches!(store.begin(&call).await.unwrap(), Begun::Claimed(_)), "its own ticket");
    assert_eq!(store.renew(held, LONG).await.unwrap(), Settled::Done);
    assert_eq!(complete(&store, held, "done").await, Settled::Done);
}

#[tokio::test]
async fn connections_that_a_restart_cut_are_replaced_without_an_error() {
    let redis = Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).unwrap();
    let store = store(&redis);
    // Several connections lie idle.
    let calls: Vec<_> = (0..10).map(|number| begin(&format!("k{number}"))).collect();
    let held = join_all(calls.iter().map(|call| claim(&store, call))).await;
    redis.kill().unwrap();
    redis.revive().unwrap();
    let done = join_all(held.iter().map(|&held| complete(&store, held, "done"))).await;
    assert!(done.into_iter().all(|settled| settled == Settled::Done));
}

#[tokio::test]
async fn a_server_that_forgot_everything_runs_keys_again_and_knows_no_zombie() {
    let redis = Redis::start_with(&[]).unwrap();
    let store = store(&redis);
    let zombie = claim(&store, &begin("k")).await;
    redis.kill().unwrap();
    redis.revive().unwrap();
    // This is what "suppression, not durability" means.
    let anew = claim(&store, &begin("k")).await;
    assert!(anew.fence > zombie.fence);
    assert_eq!(complete(&store, zombie, "late").await, Settled::Lost);
    assert_eq!(complete(&store, anew, "done").await, Settled::Done);
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_given_again_to_its_ticket() {
    for cut in [Cut::BeforeTheServer, Cut::BeforeTheCaller] {
        let redis = Redis::start().unwrap();
        let proxy = Proxy::start(&redis, "EXEC", cut).await;
        let store = stepping(&proxy, &redis);
        let call = begin("k");
        let error = store.begin(&call).await.unwrap_err();
        assert!(error.is_uncertain(), "{cut:?}");
        let written = store.get(call.identity.id()).await.unwrap();
        assert_eq!(written.is_some(), cut == Cut::BeforeTheCaller);
        let Begun::Claimed(started) = store.begin(&call).await.unwrap() else {
            panic!("the ticket is known, or the key is free")
        };
        if let Some(record) = written {
            assert_eq!(record.state.fence(), started.fence, "the same claim");
        }
        assert_eq!(started.attempt, 1);
        assert_eq!(store.begin(&begin("k")).await.unwrap(), Begun::InFlight);
    }
}

#[tokio::test]
async fn a_script_whose_answer_was_lost_is_followed_by_a_step_that_knows_its_ticket() {
    for cut in [Cut::BeforeTheServer, Cut::BeforeTheCaller] {
        let redis = Redis::start().unwrap();
        let proxy = Proxy::start(&redis, "EVALSHA", cut).await;
        let store = RedisStore::new(proxy.url()).unwrap().prefix(redis.prefix());
        let call = begin("k");
        let Begun::Claimed(started) = store.begin(&call).await.unwrap() else {
            panic!("the ticket is known, or the key is free")
        };
        assert_eq!(started.attempt, 1, "{cut:?}");
        let held = Held { id: call.identity.id(), fence: started.fence };
        assert_eq!(store.begin(&begin("k")).await.unwrap(), Begun::InFlight);
        assert_eq!(complete(&store, held, "done").await, Settled::Done);
        assert_eq!(store.begin(&begin("k")).await.unwrap(), Begun::Replay(answer("done")));
    }
}

#[tokio::test]
async fn a_script_that_hangs_is_in_doubt_and_given_again_to_its_ticket() {
    let redis = Redis::start_with(&[]).unwrap();
    let short = Duration::from_millis(100);
    let store = store(&redis).command_timeout(short).connect_timeout(short);
    claim(&store, &begin("k")).await;
    redis.freeze().unwrap();
    let calls: Vec<_> = (0..3).map(|number| begin(&format!("other{number}"))).collect();
    let answers = join_all(calls.iter().map(|call| store.begin(call))).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap_err().is_uncertain()));
    redis.thaw().unwrap();
    for call in &calls {
        let again = claim(&store, call).await;
        assert_eq!(complete(&store, again, "done").await, Settled::Done);
    }
}

#[tokio::test]
async fn a_server_that_forgot_its_scripts_is_given_them_again() {
    let redis = Redis::start_with(&[]).unwrap();
    let store = store(&redis);
    claim(&store, &begin("a")).await;
    let mut beside = common::client(&redis).await;
    redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut beside).await.unwrap();
    claim(&store, &begin("b")).await;
    redis::cmd("CONFIG").arg("RESETSTAT").exec_async(&mut beside).await.unwrap();
    claim(&store, &begin("c")).await;
    let calls: String =
        redis::cmd("INFO").arg("commandstats").query_async(&mut beside).await.unwrap();
    assert!(calls.contains("cmdstat_evalsha:calls=1,"), "{calls}");
    assert!(!calls.contains("cmdstat_watch"), "{calls}");
}

#[tokio::test]
async fn an_outcome_whose_answer_was_lost_is_recorded_once_when_it_is_repeated() {
    for cut in [Cut::BeforeTheServer, Cut::BeforeTheCaller] {
        let redis = Redis::start().unwrap();
        let held = claim(&store(&redis), &begin("k")).await;
        let proxy = Proxy::start(&redis, "EXEC", cut).await;
        let store = RedisStore::new(proxy.url()).unwrap().prefix(redis.prefix());
        let error = store.complete(held, &answer("done"), KEEP).await.unwrap_err();
        assert!(error.is_uncertain(), "{cut:?}");
        assert_eq!(complete(&store, held, "done").await, Settled::Done);
        let replay = store.begin(&begin("k")).await.unwrap();
        assert_eq!(replay, Begun::Replay(answer("done")));
    }
}

#[tokio::test]
async fn a_connection_lost_before_anything_was_written_leaves_no_doubt() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::start(&redis, "ZINCRBY", Cut::BeforeTheCaller).await;
    let store = stepping(&proxy, &redis);
    let error = store.begin(&begin("k")).await.unwrap_err();
    assert!(!error.is_uncertain());
    assert!(matches!(store.begin(&begin("k")).await.unwrap(), Begun::Claimed(_)));
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_and_used_again_when_it_is_back() {
    let redis = Redis::start_with(&[]).unwrap();
    let short = Duration::from_millis(100);
    let store = store(&redis)
        .without_scripts()
        .connections(NonZeroUsize::MIN)
        .command_timeout(short)
        .connect_timeout(short)
        .wait_timeout(Duration::from_millis(10));
    let held = claim(&store, &begin("k")).await;
    redis.freeze().unwrap();
    let calls: Vec<_> = (0..3).map(|number| begin(&format!("other{number}"))).collect();
    let answers = join_all(calls.iter().map(|call| store.begin(call))).await;
    let errors: Vec<_> = answers.into_iter().map(Result::unwrap_err).collect();
    assert!(errors.iter().all(|error| !error.is_uncertain() && !error.is_full()));
    // One had the only connection, and the others did not wait for ever.
    let busy = errors.iter().filter(|error| cause::<Busy>(*error).is_some()).count();
    assert_eq!(busy, 2);
    redis.thaw().unwrap();
    assert_eq!(complete(&store, held, "done").await, Settled::Done);
}

#[tokio::test]
async fn a_renewal_does_not_wait_behind_a_crowd_of_callers() {
    let redis = Redis::start().unwrap();
    let held = claim(&store(&redis), &begin("k")).await;
    // All connections of callers hang where they draw their fence.
    let proxy = Proxy::start(&redis, "ZINCRBY", Cut::Never).await;
    let store = stepping(&proxy, &redis);
    let calls: Vec<_> = (0..40).map(|number| begin(&format!("k{number}"))).collect();
    let crowd = join_all(calls.iter().map(|call| store.begin(call)));
    let renewed = async {
        proxy.held().await;
        store.renew(held, LONG).await.unwrap()
    };
    let renewed = tokio::select! {
        renewed = renewed => renewed,
        _ = crowd => panic!("nobody of the crowd is answered before the renewal"),
    };
    assert_eq!(renewed, Settled::Done);
}

#[tokio::test]
async fn a_server_that_became_a_replica_is_unavailable_and_not_in_doubt() {
    let redis = Redis::start_with(&[]).unwrap();
    let store = store(&redis);
    let held = claim(&store, &begin("k")).await;
    let mut client = common::client(&redis).await;
    let nowhere = free_port().unwrap();
    let demote = redis::cmd("REPLICAOF").arg("127.0.0.1").arg(nowhere).to_owned();
    demote.exec_async(&mut client).await.unwrap();
    let error = store.begin(&begin("other")).await.unwrap_err();
    assert!(!error.is_uncertain() && !error.is_full());
    let error = store.complete(held, &answer("done"), KEEP).await.unwrap_err();
    assert!(!error.is_uncertain() && !error.is_full());
    let promote = redis::cmd("REPLICAOF").arg("NO").arg("ONE").to_owned();
    promote.exec_async(&mut client).await.unwrap();
    assert_eq!(complete(&store, held, "done").await, Settled::Done);
}

/// A store behind a proxy that is told of every command of a step.
fn stepping(proxy: &Proxy, redis: &Redis) -> RedisStore {
    RedisStore::new(proxy.url()).unwrap().prefix(redis.prefix()).without_scripts()
}
