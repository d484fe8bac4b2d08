//! What a test of a store says to it.

use std::time::Duration;

use aplomb_core::Principal;
use aplomb_idempotency::{
    Begin, Begun, Fingerprint, Held, Identity, Keep, Key, Lapsed, Scope, Settled, Started, State,
    Store, StoredAnswer, Ticket,
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};

/// Asks for a key of the caller `shop`, with a lease of [`LONG`].
pub fn begin(key: &str) -> Begin {
    let scope = Scope::Principal(Principal::new("shop"));
    let key = Key::try_from(key).unwrap();
    Begin {
        identity: Identity::new(scope, Method::POST, "/orders", key),
        fingerprint: fingerprint("body"),
        lease: LONG,
        lapsed: Lapsed::Unknown,
        ticket: Ticket::unique(),
    }
}

/// The fingerprint of a request with this body.
pub fn fingerprint(body: &str) -> Fingerprint {
    let uri = Uri::from_static("/orders");
    Fingerprint::of(&Method::POST, &uri, &HeaderMap::new(), &[], body.as_bytes())
}

/// An answer with this body.
pub fn answer(body: &str) -> StoredAnswer {
    let body = Bytes::copy_from_slice(body.as_bytes());
    StoredAnswer::new(StatusCode::CREATED, &HeaderMap::new(), Some(body), 1024)
}

/// Claims a key that is free.
pub async fn started<S: Store>(store: &S, begin: &Begin) -> Started {
    match store.begin(begin).await.unwrap() {
        Begun::Claimed(started) => started,
        other => panic!("the key is free, but {other:?}"),
    }
}

/// Claims a key that is free, and says how a store names the claim.
///
/// ```
/// use aplomb_idempotency::{MemoryStore, Settled, State};
/// use aplomb_testkit::store;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let records = MemoryStore::new();
/// let held = store::claim(&records, &store::begin("order_123")).await;
/// assert_eq!(store::complete(&records, held, "one mug").await, Settled::Done);
/// assert!(matches!(store::state(&records, held).await, Some(State::Completed { .. })));
///
/// let other = store::started(&records, &store::begin("order_124")).await;
/// assert_ne!(other.fence, held.fence);
/// assert!(store::fingerprint("one mug") != store::fingerprint("two mugs"));
/// assert_eq!(store::answer("one mug").status(), 201);
/// # }
/// ```
pub async fn claim<S: Store>(store: &S, begin: &Begin) -> Held {
    let fence = started(store, begin).await.fence;
    Held { id: begin.identity.id(), fence }
}

/// Records an answer with this body, to be kept for [`KEEP`].
pub async fn complete<S: Store>(store: &S, held: Held, body: &str) -> Settled {
    store.complete(held, &answer(body), KEEP).await.unwrap()
}

/// Where a key stands.
pub async fn state<S: Store>(store: &S, held: Held) -> Option<State> {
    store.get(held.id).await.unwrap().map(|record| record.state)
}

/// Longer than any test runs.
pub const LONG: Duration = Duration::from_secs(3600);
/// For longer than any test runs, the answer and the key.
pub const KEEP: Keep = Keep { answer: LONG, key: LONG };
/// Expired at once.
pub const NONE: Keep = Keep { answer: Duration::ZERO, key: Duration::ZERO };
