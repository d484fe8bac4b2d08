//! Suppresses duplicate requests with idempotency records on Redis.
//!
//! Several processes that serve one API must agree on who runs a key, and many of them have a
//! Redis already. This store makes it the place where they agree: one caller in many is given the
//! claim, answers are replayed by all. What it cannot make of Redis is a database. A server that
//! crashes or fails over may forget what it has confirmed, and a key whose record is forgotten
//! runs again. Where a second effect must be impossible, keep the records in the database of the
//! effect, with `aplomb-idempotency-sqlx`.
//!
//! ```no_run
//! use aplomb_core::Principal;
//! use aplomb_idempotency::IdempotencyLayer;
//! use aplomb_idempotency_redis::RedisStore;
//! use axum::{Extension, Router, routing::post};
//!
//! # async fn reserve() -> &'static str { "reserved" }
//! # async fn example() -> Result<(), aplomb_idempotency::StoreError> {
//! let store = RedisStore::new("redis://127.0.0.1/")?.prefix("shop");
//! store.check().await?; // Refuses a server that evicts keys.
//! let app: Router = Router::new()
//!     .route("/reservations", post(reserve))
//!     .route_layer(IdempotencyLayer::new(store))
//!     .layer(Extension(Principal::new("shop")));
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises, what it does not
//!
//! | as long as the server remembers | |
//! |---|---|
//! | of many callers of one key, on however many processes, one gets the claim | yes |
//! | a zombie, whose claim was taken over, changes nothing | yes, and after data was lost too: see [fences](#fences) |
//! | a claim or an unknown outcome is never forgotten to make room | yes: a server that evicts is refused, at the start and when it is set to later |
//! | time is one clock | yes, the server's |
//! | the record is written in the transaction of the effect | no: a [transactional](aplomb_idempotency::IdempotencyLayer::transactional) route needs a store in its database |
//!
//! | what happens to the server | what is lost |
//! |---|---|
//! | restart, with `appendonly yes` and `appendfsync always` | nothing that was confirmed |
//! | crash of the machine, with `appendfsync everysec` | about the last second |
//! | restart, with snapshots alone | all since the last snapshot |
//! | restart, with neither | everything |
//! | failover to a replica | what the replica had not yet received, whatever `appendfsync` says; `min-replicas-to-write` makes it less, not nothing |
//! | connection cut, process of the caller killed | nothing; the step happened or it did not, and may be repeated |
//!
//! A lost claim means that the key may run a second time while its handler still runs; a lost
//! answer, that it runs again. Neither is noticed.
//!
//! # How a step is made
//!
//! `WATCH`, `TIME`, `GET`; the rules of [`machine`](aplomb_idempotency::machine); then `MULTI`,
//! `SET` and the indexes, `EXEC`. If anybody changed the record in between, `EXEC` does nothing and
//! the step looks again, a hundred times at most. It takes two round trips, a claim three, on a
//! connection that the step has to itself.
//!
//! Most calls need less: the key is new, or its answer is there. `begin` first runs a script of a few
//! lines, on a connection that all callers share: it reads the record, or writes that of a first claim.
//! One round trip does for both. The rules stay where they are, in one language: whatever the script
//! finds is judged by them, whatever must change is left to a step. So is everything on a server that
//! lets its user run no scripts, or [is not to run any](RedisStore::without_scripts).
//!
//! A step that fails half-way, or whose future is dropped, closes its connection: none that may
//! still watch something is used again.
//!
//! # Fences
//!
//! A fence is the server's clock in microseconds, or one more than the last where that is greater
//! (`ZADD GT`, then `ZINCRBY`), drawn while the record is watched. A plain `INCR` is not enough
//! here: a crash or a failover sets the counter back, the numbers of the claims that were lost with
//! it are given out again, and the zombie of one of them could complete the claim of another.
//!
//! # A server that is full
//!
//! Under `noeviction` a server with no memory left refuses every command that could need some, and
//! every command in a transaction. New keys are refused then. For what is there already, the store
//! falls back to a script with the flag `allow-oom`, which writes a little over the bound: claims
//! are renewed, given back and completed, answers without their body; sweeps and purges make room.
//! To a user who may not run scripts, or on a server before 7.0, these say
//! [full](aplomb_idempotency::StoreError::is_full) too, and may be repeated when there is room.
//! Nobody else can take a claim from a server that is full.
//!
//! # Sweeping
//!
//! Call [`sweep`](aplomb_idempotency::Store::sweep) every minute or so, in one process or in all.
//! Should nobody do it, Redis itself forgets an answer, a released key and a tombstone an hour
//! after their time; the indexes forget what is gone when they are swept or listed.
//!
//! # Defaults
//!
//! | | default | why |
//! |---|---|---|
//! | [`prefix`](RedisStore::prefix) | [`PREFIX`] | |
//! | [`connections`](RedisStore::connections) | 16, 2 for renewals alone, 1 that is shared | a step holds one for about a millisecond |
//! | [`connect_timeout`](RedisStore::connect_timeout) | 1 s | a server near by answers in a few milliseconds |
//! | [`command_timeout`](RedisStore::command_timeout) | 2 s | less than what is left of a lease when it is renewed |
//! | [`wait_timeout`](RedisStore::wait_timeout) | 2 s | a caller that waits longer is better told 503 |
//! | [`check_policy_every`](RedisStore::check_policy_every) | 30 s | |
//!
//! # Which servers
//!
//! Redis 7 or a server that speaks as it does, at one address: a primary, or a name that follows
//! it. All keys of a store share a hash tag and so lie in one slot; on a cluster, give the address
//! of the node that has it, since redirections are not followed. For TLS enable the feature
//! `tokio-rustls-comp` of the crate `redis` and write `rediss://`.
//!
//! A user needs the keys `~{prefix}:*` and the commands `watch unwatch multi exec get mget set del
//! time zadd zincrby zrem zrangebyscore zrangebylex lpush ltrim lrange`, besides `info` or
//! `config|get`; `script|load evalsha` for fewer round trips, `eval` for a server that is full.
//!
//! Records hold callers' names, keys and answers in plain bytes, under a version that is checked:
//! another version's record is refused by the name of its key ([`Unreadable`]).
//!
//! # Price
//!
//! About 700 bytes of Redis' memory for a key with its indexes, and the answer (measured on 7.0 with
//! keys of 36 characters). Three round trips for a key from its claim to its answer, one for
//! each replay; five, two for a user who may run no scripts.

mod codec;
mod error;
mod first;
mod keys;
mod operate;
mod plan;
mod policy;
mod pool;
mod step;
mod store;
#[cfg(test)]
mod tests;

pub use error::{Busy, Contended, EvictingPolicy, PolicyUnreadable, Unreadable};
pub use plan::AUDIT_MAX;
pub use policy::POLICY_CHECKED_EVERY;
pub use pool::{COMMAND_TIMEOUT, CONNECT_TIMEOUT, CONNECTIONS, WAIT_TIMEOUT};
pub use store::{PREFIX, RedisStore};
