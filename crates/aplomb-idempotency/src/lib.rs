//! Runs each idempotency key once, replaying its answer to whoever asks again.
//!
//! A caller that got no answer cannot know whether its POST was carried out, and sends it again.
//! With a key on every request and this layer on the route, the second request is given the first
//! one's answer: whether the first is done, under way, or its caller long gone.
//!
//! ```
//! use aplomb_core::Principal;
//! use aplomb_idempotency::{IdempotencyLayer, MemoryStore};
//! use axum::{Extension, Router, routing::post};
//!
//! # async fn reserve() -> &'static str { "reserved" }
//! let layer = IdempotencyLayer::new(MemoryStore::new());
//! let drain = layer.drain(); // at shutdown: drain.wait(limit).await
//! let app: Router = Router::new()
//!     .route("/reservations", post(reserve))
//!     .route_layer(layer)
//!     // Keys belong to callers: authentication stands outside and says who is calling.
//!     .layer(Extension(Principal::new("shop")));
//! ```
//!
//! On the other side a [`KeyLayer`] gives each call its key, outside of the retries: derived from
//! what the work is about ([`Key::derived`]), or [random](Key::random).
//!
//! # What it does
//!
//! | a request with a key that | is answered |
//! |---|---|
//! | is new | by the handler; the answer is recorded |
//! | is done | the recorded answer, with `Idempotent-Replayed: true` |
//! | was used for another payload | 422, even while the first is under way |
//! | is under way | 409 with `Retry-After`; or, where it may [`wait`](IdempotencyLayer::wait), the answer of the first |
//! | may or may not have been carried out | 409, [`problems::OUTCOME_UNKNOWN`], for a person to resolve |
//! | was done long ago, or whose answer was erased | 410 |
//! | cannot be looked up | 503 with `Retry-After`; the handler does not run |
//! | has a record that cannot be read | 500, [`problems::RECORD_UNREADABLE`]; the handler does not run |
//!
//! All refusals are in [`problems`]. Only POST and PATCH need keys; other methods pass.
//!
//! To a client that classifies by `aplomb_core::HttpClassifier` a replay is a success, a 409 with
//! `Retry-After` is pending (the same key again, later, and no vote on the dependency's health),
//! and no other refusal with a 4xx is sent again.
//!
//! **The handler runs detached.** A caller that hangs up, a deadline outside this layer, a dropped
//! [`ResponseFuture`]: none of them cancels the handler or the recording of its answer. [`Drain`]
//! waits for such work at shutdown. A permit that was lent for the request
//! ([`HeldPermit`](aplomb_core::HeldPermit)) is held until the handler has ended and its answer is
//! recorded, for a replay until it is looked up, and not at all by who waits for another's outcome.
//!
//! # When nobody knows
//!
//! While a handler runs its lease is renewed. When its process dies the lease ends; the handler may
//! have had its effect or not. What that means, the route says:
//!
//! | the route | a lease that ended, a panic, an error of the service |
//! |---|---|
//! | says nothing | the outcome is *unknown*: no run until an [`Operator`](operator::Operator) resolves it |
//! | is [`transactional`](IdempotencyLayer::transactional) | no record means no effect: the handler runs again |
//! | has a [`recover`](IdempotencyLayer::recover) hook | the hook looks the effect up: its answer is recorded and replayed, or the handler runs again, or the outcome is unknown |
//! | is [`at_least_once`](IdempotencyLayer::at_least_once) | the handler runs again, and its effect may happen twice |
//!
//! A transactional route writes the record in the same transaction as its effect. Its answers are
//! [`Recorded`], which only a store can make, or a [`Refusal`], which is never a success; so the
//! layer, once it is transactional, takes handlers of that type alone:
//!
//! ```
//! # use aplomb_idempotency::{Claim, IdempotencyLayer, MemoryStore, Recorded, Refusal};
//! # use axum::Router;
//! # async fn reserve(_: Claim) -> Result<Recorded, Refusal> {
//! #     Err(aplomb_core::Problem::new("/gone", "gone", http::StatusCode::CONFLICT).into())
//! # }
//! # let store = MemoryStore::new();
//! let keys = IdempotencyLayer::new(store).transactional();
//! // async fn reserve(claim: Claim, ..) -> Result<Recorded, Refusal>
//! let app: Router = Router::new().route("/reservations", keys.post(reserve));
//! ```
//!
//! # What is kept
//!
//! | the handler answers | otherwise | transactional |
//! |---|---|---|
//! | 2xx, 3xx | kept | must be [`Recorded`] |
//! | 401, 403, 408, 413, 415, 421, 425, 429, 431, 503 | key given back | key given back |
//! | other 4xx | kept | kept |
//! | other 5xx | kept; or in doubt, by [`ServerErrors::Unknown`] | key given back |
//!
//! An answer's body is kept if its length is known and within the cap. A longer one, and a stream,
//! goes to its caller and is not kept: a replay then has the original's status and headers, and for
//! a body a problem of the type [`problems::RESULT_NOT_RETAINED`]. The handler never runs again
//! because of that. Trailers are not kept. `Date`, `Set-Cookie` and what belongs to one connection
//! are not replayed. With a [`Seal`] the store sees neither headers nor bodies.
//!
//! # Defaults
//!
//! | | default | why |
//! |---|---|---|
//! | [`lease`](IdempotencyLayer::lease) | 10 s, renewed every 2.5 s | three renewals may fail; a crash costs ten seconds |
//! | [`keep`](IdempotencyLayer::keep) | 24 h | longer than any caller retries |
//! | [`retire`](IdempotencyLayer::retire) | 6 days more | who comes after a weekend is refused, not served twice |
//! | [`body_cap`](IdempotencyLayer::body_cap) | 64 KiB | what fits a database row without harm |
//! | [`upload`](IdempotencyLayer::upload) | 30 s | a body that never comes must not hold a connection for ever |
//! | [`retry_after`](IdempotencyLayer::retry_after) | 1 s, plus up to 1 s | most handlers are done by then |
//! | [`wait`](IdempotencyLayer::wait) | no; when asked for, 5 s for 256 duplicates at once | a waiter costs a connection |
//! | a lease that ended | unknown | the others are promises that only the handler can keep |
//! | [`server_errors`](IdempotencyLayer::server_errors) | kept | most say what went wrong, and for good |
//! | [`seal`](IdempotencyLayer::seal) | none | keys are the application's to keep |
//! | [`global_scope`](IdempotencyLayer::global_scope) | none: no principal is refused | keys made from business data can be guessed |
//!
//! # Price
//!
//! A copy of the request's and of the answer's body in memory; a store's round trip before the
//! handler and one after it; a task for each request that is not answered at once. A duplicate that
//! waits costs its connection and about one look at the store a second.
//!
//! # Stores
//!
//! [`MemoryStore`] is here. The crate `aplomb-idempotency-sqlx` has one on SQLite, beside the
//! caller's own tables. Authors of stores find their contract at [`store::Store`] and the rules,
//! as pure functions, in [`machine`]. A [`Sweep`] keeps any of them from growing; people look into
//! them, resolve and erase with an [`Operator`](operator::Operator).
//!
//! The feature `axum` reads axum's route template, lets a handler take a [`Claim`] as an argument
//! and answer with [`Recorded`] and [`Refusal`], and makes routes of transactional handlers.

mod answer;
#[cfg(feature = "axum")]
mod axum;
mod claim;
mod client;
mod derived;
mod detach;
mod digest;
mod disposition;
mod drain;
mod event;
mod fingerprint;
mod future;
mod identity;
mod keeper;
mod key;
mod layer;
pub mod machine;
mod memory;
pub mod operator;
pub mod problems;
pub mod record;
mod recorded;
mod recover;
mod refuse;
mod run;
mod seal;
mod service;
mod settings;
mod settle;
pub mod store;
mod sweep;
mod typed;
mod upload;
mod wait;

#[cfg(feature = "axum")]
pub use self::axum::RecordingHandler;
pub use answer::{StoredAnswer, Unreadable};
pub use claim::{Claim, Loss, Terms};
pub use client::{Derived, KeyLayer, Keyed, MakeKey, Random};
pub use derived::Parts;
pub use disposition::ServerErrors;
pub use drain::Drain;
pub use event::IdempotencyEvent;
pub use fingerprint::Fingerprint;
pub use future::ResponseFuture;
pub use identity::{Identity, MalformedReference, RecordId, Scope};
pub use key::{Bare, Key, MalformedKey};
pub use layer::IdempotencyLayer;
pub use memory::{AUDIT_MAX, BYTES_MAX, MemoryStore, RECORDS_MAX};
pub use record::{
    Begin, Begun, Fence, Held, Keep, Lapsed, Record, Settled, Started, State, Ticket, Timestamp,
};
pub use recorded::{CompleteError, Recorded, Refusal};
pub use recover::{RECOVER_MAX, Recovered};
pub use seal::{Seal, Unsealable};
pub use service::Idempotency;
pub use settings::UPLOAD_MAX;
pub use store::{Store, StoreError};
pub use sweep::{Sweep, Sweeper};
pub use typed::{Accounted, Plain, Transactional, Typed, TypedFuture};
pub use wait::{WAIT_LIMIT, WAITERS_MAX, Waiting};
