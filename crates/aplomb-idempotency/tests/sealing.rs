//! Answers that their store cannot read.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{Dice, Principal};
use aplomb_idempotency::operator::{Operator, Resolution};
use aplomb_idempotency::store::{Commit, recorded};
use aplomb_idempotency::{
    Claim, IdempotencyEvent, IdempotencyLayer, Keep, Key, MemoryStore, Record, RecordId, Scope,
    Seal, Settled, State, Store, StoredAnswer, Unsealable, problems,
};
use bytes::Bytes;
use chacha20poly1305::aead::{Aead, Generate, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use tower::{Layer, Service, service_fn};

use common::{Body, Counter, Heard, answer, is_replay, post, problem, send};

#[tokio::test]
async fn the_store_sees_nothing_of_an_answer_and_its_caller_all_of_it() {
    let (store, runs) = (Arc::new(MemoryStore::new()), Counter::default());
    let service = layer(&store, 1).layer(tells_a_secret(&runs, 201));
    let first = send(&service, post("k", "mug")).await;
    let retry = send(&service, post("k", "mug")).await;
    assert_eq!((retry.body(), is_replay(&retry)), (first.body(), true));
    assert_eq!(retry.headers()["location"], "/secret/1");
    let stored = stored(&store).await;
    assert!(stored.is_sealed() && stored.headers().is_empty());
    let seen = [stored.headers_to_bytes(), stored.body().unwrap().to_vec()].concat();
    assert!(!seen.windows(6).any(|bytes| bytes == b"secret"), "{seen:?}");
    assert_eq!(runs.get(), 1);
}

#[tokio::test]
async fn an_answer_recorded_by_its_handler_is_sealed_too() {
    let store = Arc::new(MemoryStore::new());
    let handler = {
        let store = Arc::clone(&store);
        service_fn(move |request: Request<Body>| {
            let claim = request.extensions().get::<Claim>().unwrap().clone();
            let store = Arc::clone(&store);
            async move {
                let response = Response::new(Bytes::from_static(b"secret"));
                let (answer, keep) = (claim.stored(&response), claim.terms().keep);
                let done = store.complete(claim.held(), &answer, keep).await.unwrap();
                assert_eq!(done, Settled::Done);
                Ok::<_, Infallible>(recorded(&claim, response, Commit::Pending))
            }
        })
    };
    let service = layer(&store, 1).transactional().layer(handler);
    assert_eq!(send(&service, post("k", "mug")).await.body(), "secret");
    assert!(stored(&store).await.is_sealed());
    assert_eq!(send(&service, post("k", "mug")).await.body(), "secret");
}

#[tokio::test]
async fn what_cannot_be_opened_is_a_problem_and_not_done_again() {
    let (store, runs, heard) = (Arc::new(MemoryStore::new()), Counter::default(), Heard::default());
    let service = layer(&store, 1).layer(tells_a_secret(&runs, 201));
    send(&service, post("k", "mug")).await;
    let another_key = layer(&store, 2).observe(heard.observer());
    let unsealed = IdempotencyLayer::new(Arc::clone(&store)).observe(heard.observer());
    for refused in [
        send(&another_key.layer(tells_a_secret(&runs, 201)), post("k", "mug")).await,
        send(&unsealed.layer(tells_a_secret(&runs, 201)), post("k", "mug")).await,
    ] {
        assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(problem(&refused), problems::RECORD_UNREADABLE);
        let body: serde_json::Value = serde_json::from_slice(refused.body()).unwrap();
        assert_eq!(body["reference"], id().to_string());
        assert!(!is_replay(&refused));
    }
    assert_eq!(heard.all(), [IdempotencyEvent::Unreadable; 2]);
    assert_eq!(runs.get(), 1);
}

#[tokio::test]
async fn a_sealed_answer_opens_where_it_belongs_and_nowhere_else() {
    let (store, runs) = (Arc::new(MemoryStore::new()), Counter::default());
    let service = layer(&store, 1).layer(tells_a_secret(&runs, 201));
    send(&service, post("k", "mug")).await;
    let sealed = stored(&store).await;
    let (head, body) = (sealed.headers_to_bytes(), sealed.body().unwrap().clone());
    let swapped = [&head[..1], &body[..]].concat();
    let cut = body.slice(..body.len() - 1);
    for (wrong, key) in [
        // Of another record; with another status; headers and body changed for one another; cut.
        (StoredAnswer::from_columns(201, &head, Some(body.clone())), "other"),
        (StoredAnswer::from_columns(200, &head, Some(body.clone())), "status"),
        (StoredAnswer::from_columns(201, &swapped, Some(body)), "swapped"),
        (StoredAnswer::from_columns(201, &head, Some(cut)), "cut"),
    ] {
        let at = if key == "other" { key } else { "k" };
        assert_eq!(open(wrong.unwrap(), at).await.unwrap(), problems::RECORD_UNREADABLE, "{key}");
    }
    // A store that had no room for the body still has the rest.
    let short = StoredAnswer::from_columns(201, &head, None).unwrap();
    assert_eq!(open(short, "k").await.unwrap(), problems::RESULT_NOT_RETAINED);
}

#[tokio::test]
async fn the_cap_counts_what_the_handler_said() {
    let (store, runs) = (Arc::new(MemoryStore::new()), Counter::default());
    let service = layer(&store, 1).body_cap(6).layer(tells_a_secret(&runs, 201));
    send(&service, post("k", "mug")).await;
    assert_eq!(send(&service, post("k", "mug")).await.body(), "secret");
    assert!(stored(&store).await.body().unwrap().len() > 6);
}

#[tokio::test]
async fn what_was_recorded_before_there_was_a_seal_is_replayed() {
    let (store, runs) = (Arc::new(MemoryStore::new()), Counter::default());
    let plain = IdempotencyLayer::new(Arc::clone(&store)).layer(tells_a_secret(&runs, 201));
    send(&plain, post("k", "mug")).await;
    let service = layer(&store, 1).layer(tells_a_secret(&runs, 201));
    assert!(is_replay(&send(&service, post("k", "mug")).await));
}

#[tokio::test]
async fn what_an_operator_found_is_sealed_and_can_be_shown() {
    let (store, runs) = (Arc::new(MemoryStore::new()), Counter::default());
    let layer = layer(&store, 1).server_errors(aplomb_idempotency::ServerErrors::Unknown);
    let service = layer.layer(tells_a_secret(&runs, 500));
    send(&service, post("k", "mug")).await;
    let operator = Operator::new(Arc::clone(&store), "ada").seal(sealed(1));
    let record = operator.show(id()).await.unwrap().unwrap();
    let body = Some(Bytes::from_static(b"secret"));
    let answer = StoredAnswer::new(StatusCode::CREATED, &HeaderMap::new(), body, 64);
    let keep = Keep { answer: Duration::from_secs(60), key: Duration::ZERO };
    let applied = Resolution::Applied { answer, keep };
    assert_eq!(operator.resolve(record.held(), applied, "seen").await.unwrap(), Settled::Done);
    assert!(stored(&store).await.is_sealed());
    assert_eq!(send(&service, post("k", "mug")).await.body(), "secret");
    let shown = operator.show(id()).await.unwrap().unwrap();
    assert_eq!(body_of(&operator.open(shown.clone()).unwrap()), "secret");
    assert!(Operator::new(store, "eve").open(shown).is_err());
}

/// The `type` of what a caller gets when this is on record under that key.
async fn open(answer: StoredAnswer, key: &str) -> Option<String> {
    let (store, runs) = (Arc::new(MemoryStore::new()), Counter::default());
    let begin = {
        let mut begin = aplomb_testkit::store::begin(key);
        let request = post(key, "mug");
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        begin.fingerprint = aplomb_idempotency::Fingerprint::of(method, uri, headers, &[], b"mug");
        begin
    };
    let held = aplomb_testkit::store::claim(&store, &begin).await;
    let keep = aplomb_testkit::store::KEEP;
    assert_eq!(store.complete(held, &answer, keep).await.unwrap(), Settled::Done);
    let service = layer(&store, 1).layer(tells_a_secret(&runs, 201));
    let got = send(&service, post(key, "mug")).await;
    assert_eq!(runs.get(), 0);
    (got.headers().get("content-type")? == "application/problem+json").then(|| problem(&got))
}

fn layer(store: &Arc<MemoryStore>, key: u8) -> IdempotencyLayer<Arc<MemoryStore>> {
    IdempotencyLayer::new(Arc::clone(store)).seal(sealed(key)).dice(Dice::seeded(1))
}

fn tells_a_secret(
    runs: &Counter,
    status: u16,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ use<> {
    let runs = runs.clone();
    service_fn(move |_: Request<Body>| {
        runs.add();
        async move {
            let mut response = answer(status, "secret")?;
            response.headers_mut().insert("location", HeaderValue::from_static("/secret/1"));
            Ok(response)
        }
    })
}

fn id() -> RecordId {
    let scope = Scope::Principal(Principal::new("shop"));
    let key = Key::try_from("k").unwrap();
    aplomb_idempotency::Identity::new(scope, Method::POST, "/orders", key).id()
}

async fn stored(store: &Arc<MemoryStore>) -> StoredAnswer {
    match store.get(id()).await.unwrap().unwrap().state {
        State::Completed { answer, .. } => answer,
        other => panic!("{other:?}"),
    }
}

fn body_of(record: &Record) -> Bytes {
    let State::Completed { answer, .. } = &record.state else { panic!("{record:?}") };
    answer.body().unwrap().clone()
}

fn sealed(key: u8) -> impl Seal {
    Sealed(XChaCha20Poly1305::new(&[key; 32].into()))
}

struct Sealed(XChaCha20Poly1305);

impl Seal for Sealed {
    fn seal(&self, id: RecordId, plain: &[u8]) -> Vec<u8> {
        let nonce = XNonce::generate();
        let payload = Payload { msg: plain, aad: id.as_bytes() };
        [nonce.as_slice(), &self.0.encrypt(&nonce, payload).unwrap()].concat()
    }

    fn open(&self, id: RecordId, sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let (nonce, sealed) =
            sealed.split_first_chunk().ok_or_else(|| Unsealable::new("cut short"))?;
        let payload = Payload { msg: sealed, aad: id.as_bytes() };
        let opened = self.0.decrypt(&XNonce::from(*nonce), payload);
        opened.map_err(|_| Unsealable::new("sealed with another key, or tampered with"))
    }
}
