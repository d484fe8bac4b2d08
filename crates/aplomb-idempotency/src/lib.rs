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
//! # What it does
//!
//! | a request with a key that | is answered |
//! |---|---|
//! | is new | by the handler; the answer is recorded |
//! | is done | the recorded answer, with `Idempotent-Replayed: true` |
//! | was used for another payload | 422, even while the first is under way |
//! | is under way | 409 with `Retry-After` |
//! | may or may not have been carried out | 409, [`problems::OUTCOME_UNKNOWN`], for a person to resolve |
//! | cannot be looked up | 503; the handler does not run |
//!
//! All refusals are in [`problems`]. Only POST and PATCH need keys; other methods pass.
//!
//! **The handler runs detached.** A caller that hangs up, a deadline outside this layer, a dropped
//! [`ResponseFuture`]: none of them cancels the handler or the recording of its answer. [`Drain`]
//! waits for such work at shutdown. While it runs, its lease is renewed; when the process dies, the
//! lease ends, and the route's policy says what that means:
//!
//! - By default the outcome is *unknown*: the handler is not run again, because it may have had its
//!   effect.
//! - A [`transactional`](IdempotencyLayer::transactional) route writes the record in the same
//!   transaction as its effect, so that no record means no effect: the handler runs again. Its
//!   answers are [`Recorded`], which only a store can make; a success that is not recorded is
//!   answered with a 500.
//!
//! | the handler answers | otherwise | transactional |
//! |---|---|---|
//! | 2xx, 3xx | kept | must be [`Recorded`] |
//! | 401, 403, 408, 413, 415, 421, 425, 429, 431, 503 | key given back | key given back |
//! | other 4xx | kept | kept |
//! | other 5xx | kept | key given back |
//! | a panic, an error | unknown | key given back |
//!
//! An answer's body is kept if its length is known and within the cap. A longer one, and a stream,
//! goes to its caller and is not kept: a replay then has the original's status and headers, and for
//! a body a problem of the type [`problems::RESULT_NOT_RETAINED`]. The handler never runs again
//! because of that. Trailers are not kept. `Date`, `Set-Cookie` and what belongs to one connection
//! are not replayed.
//!
//! # Defaults
//!
//! | | default | why |
//! |---|---|---|
//! | [`lease`](IdempotencyLayer::lease) | 10 s, renewed every 2.5 s | three renewals may fail; a crash costs ten seconds |
//! | [`keep`](IdempotencyLayer::keep) | 24 h | longer than any caller retries |
//! | [`body_cap`](IdempotencyLayer::body_cap) | 64 KiB | what fits a database row without harm |
//! | [`retry_after`](IdempotencyLayer::retry_after) | 1 s, plus up to 1 s | most handlers are done by then |
//! | [`transactional`](IdempotencyLayer::transactional) | no | it is a promise that only the handler can keep |
//! | [`global_scope`](IdempotencyLayer::global_scope) | none: no principal is refused | keys made from business data can be guessed |
//!
//! # Price
//!
//! A copy of the request's and of the answer's body in memory; a store's round trip before the
//! handler and one after it; a task for each request that is not answered at once.
//!
//! # Stores
//!
//! [`MemoryStore`] is here. The crate `aplomb-idempotency-sqlx` has one on SQLite, beside the
//! caller's own tables. Authors of stores find their contract at [`store::Store`] and the rules,
//! as pure functions, in [`machine`].
//!
//! The feature `axum` reads axum's route template, lets a handler take a [`Claim`] as an argument
//! and answer with [`Recorded`] and [`Refusal`].

mod answer;
#[cfg(feature = "axum")]
mod axum;
mod claim;
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
pub mod problems;
pub mod record;
mod recorded;
mod refuse;
mod room;
mod run;
mod service;
mod settle;
pub mod store;

pub use answer::{StoredAnswer, Unreadable};
pub use claim::{Claim, Loss, Terms};
pub use drain::Drain;
pub use event::IdempotencyEvent;
pub use fingerprint::Fingerprint;
pub use future::ResponseFuture;
pub use identity::{Identity, RecordId, Scope};
pub use key::{Bare, Key, MalformedKey};
pub use layer::IdempotencyLayer;
pub use memory::{BYTES_MAX, MemoryStore, RECORDS_MAX};
pub use record::{
    Begin, Begun, Fence, Held, Lapsed, Record, Settled, Started, State, Ticket, Timestamp,
};
pub use recorded::{CompleteError, Recorded, Refusal};
pub use service::Idempotency;
pub use store::{Store, StoreError};
