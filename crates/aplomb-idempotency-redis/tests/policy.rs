//! Servers that would throw keys away are refused.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::time::Duration;

use aplomb_core::cause;
use aplomb_idempotency::{Begun, Settled, Store};
use aplomb_idempotency_redis::{EvictingPolicy, PolicyUnreadable, RedisStore};
use aplomb_testkit::servers::Redis;
use aplomb_testkit::store::{begin, claim, complete};

use common::{client, store};

#[tokio::test]
async fn a_server_that_evicts_is_refused_at_the_start_and_by_a_store_that_did_not_ask() {
    for policy in ["allkeys-lru", "volatile-ttl", "allkeys-random", "volatile-lru"] {
        let redis = Redis::start_with(&["--maxmemory-policy", policy]).unwrap();
        let refused = RedisStore::connect(redis.url()).await.unwrap_err();
        assert_eq!(cause::<EvictingPolicy>(&refused).unwrap().policy, policy);
        let refused = store(&redis).trust_policy().begin(&begin("k")).await.unwrap_err();
        assert!(cause::<EvictingPolicy>(&refused).is_some(), "trust does not make it safe");
        assert!(!refused.is_uncertain());
    }
}

#[tokio::test]
async fn a_policy_that_is_changed_under_way_stops_new_claims_and_ends_the_old() {
    let redis = Redis::start_with(&[]).unwrap();
    let store = store(&redis).check_policy_every(Duration::ZERO);
    store.check().await.unwrap();
    let held = claim(&store, &begin("k")).await;
    set_policy(&redis, "allkeys-lru").await;
    let refused = store.begin(&begin("other")).await.unwrap_err();
    assert_eq!(cause::<EvictingPolicy>(&refused).unwrap().policy, "allkeys-lru");
    assert!(store.check().await.is_err());
    assert_eq!(complete(&store, held, "done").await, Settled::Done);
    set_policy(&redis, "noeviction").await;
    assert!(matches!(store.begin(&begin("other")).await.unwrap(), Begun::Claimed(_)));
}

#[tokio::test]
async fn a_server_that_tells_in_one_way_only_is_asked_in_that_way() {
    let redis = Redis::start_with(&[]).unwrap();
    for forbidden in ["-config", "-info"] {
        let url = user(&redis, &["+@all", forbidden]).await;
        RedisStore::connect(url.as_str()).await.unwrap();
    }
    set_policy(&redis, "volatile-lru").await;
    for forbidden in ["-config", "-info"] {
        let url = user(&redis, &["+@all", forbidden]).await;
        let refused = RedisStore::connect(url.as_str()).await.unwrap_err();
        assert!(cause::<EvictingPolicy>(&refused).is_some(), "{forbidden}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_tell_is_refused_unless_its_user_vouches_for_it() {
    let redis = Redis::start_with(&[]).unwrap();
    let url = user(&redis, &["+@all", "-config", "-info"]).await;
    let refused = RedisStore::connect(url.as_str()).await.unwrap_err();
    assert!(cause::<PolicyUnreadable>(&refused).is_some());
    let trusted = RedisStore::new(url.as_str()).unwrap().trust_policy();
    trusted.check().await.unwrap();
    assert!(matches!(trusted.begin(&begin("k")).await.unwrap(), Begun::Claimed(_)));
}

#[tokio::test]
async fn a_user_with_the_commands_of_the_guide_and_no_more_is_enough() {
    let redis = Redis::start_with(&[]).unwrap();
    let keys = "~{aplomb:idempotency}:*";
    let may = "+watch +unwatch +multi +exec +get +mget +set +del +time +zadd +zincrby +zrem \
               +zrangebyscore +zrangebylex +lpush +ltrim +lrange +info +script|load +evalsha +eval";
    let rules: Vec<_> = [keys, "-@all"].into_iter().chain(may.split(' ')).collect();
    let rules: Vec<_> = rules.into_iter().filter(|rule| !rule.is_empty()).collect();
    let url = user_with(&redis, &rules).await;
    let store = RedisStore::connect(url.as_str()).await.unwrap();
    let held = claim(&store, &begin("k")).await;
    assert_eq!(complete(&store, held, "done").await, Settled::Done);
    assert_eq!(store.sweep(10).await.unwrap(), 0);
    let scope = begin("k").identity.scope;
    let purge = aplomb_idempotency::operator::Purge::Of(scope);
    let note = aplomb_idempotency::operator::Note::new("ada", "asked");
    assert_eq!(store.purge(&purge, &note, 10).await.unwrap(), 1);
    assert_eq!(store.audit(None, 10).await.unwrap().len(), 1);
}

async fn set_policy(redis: &Redis, policy: &str) {
    let mut client = client(redis).await;
    let set = redis::cmd("CONFIG").arg("SET").arg("maxmemory-policy").arg(policy).to_owned();
    set.exec_async(&mut client).await.unwrap();
}

/// The URL of a user with these rights on all keys.
async fn user(redis: &Redis, rules: &[&str]) -> String {
    user_with(redis, &[&["~*"], rules].concat()).await
}

async fn user_with(redis: &Redis, rules: &[&str]) -> String {
    let mut client = client(redis).await;
    let mut set = redis::cmd("ACL");
    set.arg("SETUSER").arg("limited").arg("reset").arg("on").arg(">secret").arg(rules);
    set.exec_async(&mut client).await.unwrap();
    redis.url().replace("redis://", "redis://limited:secret@")
}
