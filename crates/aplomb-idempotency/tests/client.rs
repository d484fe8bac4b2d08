//! Keys that go out, and what a client makes of the answers.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aplomb_core::{
    Call, Classify, Dice, FailureKind, HttpClassifier, IDEMPOTENCY_KEY, Outcome, Principal, Ratio,
};
use aplomb_idempotency::{Bare, IdempotencyLayer, Key, KeyLayer, MemoryStore, RecordId, Store};
use aplomb_retry::{Budget, RetryEvent, RetryLayer, Terms};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use tower::{Layer, Service, ServiceExt, service_fn};

use common::{Body, Counter, answer, is_replay, post, send};

#[tokio::test]
async fn a_post_and_a_patch_get_a_key_and_a_get_does_not() {
    let client = KeyLayer::random().layer(echoes_key());
    for (method, keyed) in [("POST", true), ("PATCH", true), ("GET", false), ("PUT", false)] {
        let key = send(&client, bare(method)).await.into_body();
        assert_eq!(!key.is_empty(), keyed, "{method}");
    }
    let puts = KeyLayer::random().methods([Method::PUT]).layer(echoes_key());
    assert!(!send(&puts, bare("PUT")).await.body().is_empty());
    assert!(send(&puts, bare("POST")).await.body().is_empty());
}

#[tokio::test]
async fn random_keys_are_one_for_each_call() {
    let client = KeyLayer::random().layer(echoes_key());
    let (one, other) = (send(&client, bare("POST")).await, send(&client, bare("POST")).await);
    assert_ne!(one.body(), other.body());
    let quoted = String::from_utf8(one.into_body().to_vec()).unwrap();
    assert!(quoted.starts_with('"') && quoted.len() == 38, "{quoted}");
}

#[tokio::test]
async fn a_key_that_is_there_is_left_as_it_is() {
    let client = KeyLayer::random().layer(echoes_key());
    assert_eq!(send(&client, post("chosen", "mug")).await.body(), "chosen");
}

#[tokio::test]
async fn a_derived_key_says_what_the_work_is_about() {
    let client = KeyLayer::derived(by_order).layer(echoes_key());
    let mut request = bare("POST");
    request.extensions_mut().insert(Order(7));
    assert_eq!(send(&client, request).await.body(), "\"order_7\"");
    assert!(send(&client, bare("POST")).await.body().is_empty(), "it is about nothing");
}

#[tokio::test]
async fn a_reqwest_request_gets_a_key_too() {
    let client = KeyLayer::derived(|request: &reqwest::Request| {
        Key::derived(("order", request.url().path())).ok()
    });
    let mut service = client.layer(service_fn(|request: reqwest::Request| async move {
        Ok::<_, Infallible>(Key::of(request.headers(), Bare::Refused).unwrap())
    }));
    let url = "http://shop.test/7".parse().unwrap();
    let request = reqwest::Request::new(Method::POST, url);
    let key = service.ready().await.unwrap().call(request).await.unwrap().unwrap();
    assert_eq!(key.as_str(), "order_%2F7");
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_is_sent_again_with_its_key_until_its_answer_is_there() {
    let (shop, runs) = (Shop::default(), Counter::default());
    let server = shop.serves(&runs, Duration::from_secs(3), 201);
    // Somebody with the same work was first, and its caller has gone.
    let first = send(&server, keyed("order_7"));
    assert!(tokio::time::timeout(Duration::from_millis(1), first).await.is_err());

    let decisions: Arc<Mutex<Vec<RetryEvent>>> = Arc::default();
    let retry = retry().observe({
        let decisions = Arc::clone(&decisions);
        move |event: &RetryEvent| decisions.lock().unwrap().push(*event)
    });
    let client = KeyLayer::derived(by_order).layer(retry.layer(server));
    let mut request = bare("POST");
    request.extensions_mut().insert(Principal::new("shop"));
    request.extensions_mut().insert(Order(7));
    let answer = client.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 201);
    assert!(answer.headers().contains_key("idempotent-replayed"));
    assert_eq!(runs.get(), 1);

    let keys = shop.keys();
    assert!(keys.len() > 2 && keys.iter().all(|key| key == "\"order_7\""), "{keys:?}");
    let decisions = decisions.lock().unwrap();
    let failures = decisions.iter().filter_map(|event| match event {
        RetryEvent::Waiting { failure, wait, .. } => Some((failure.kind, *wait)),
        _ => None,
    });
    for (kind, wait) in failures {
        // Of a kind that has no vote on the dependency, and not before it was asked for.
        assert_eq!(kind, FailureKind::Pending);
        assert!(wait >= Duration::from_secs(1), "{wait:?}");
    }
    let last = decisions.last();
    assert!(matches!(last, Some(RetryEvent::Done { success: true, .. })), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn what_another_try_cannot_mend_is_sent_once() {
    for refusal in ["mismatch", "unknown", "gone"] {
        let (shop, runs) = (Shop::default(), Counter::default());
        let server = shop.serves(&runs, Duration::ZERO, 201);
        let status = shop.refuses(&server, refusal).await;
        let sends = shop.keys().len();
        let client = retry().layer(server);
        let answer = client.oneshot(keyed("k")).await.unwrap();
        assert_eq!(answer.status(), status, "{refusal}");
        assert_eq!(shop.keys().len(), sends + 1, "{refusal}");
        let outcome = HttpClassifier.classify(call(), Ok(&answer));
        assert_eq!(outcome, Outcome::Neutral, "{refusal} is nobody's failure");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_is_a_success() {
    let (shop, runs) = (Shop::default(), Counter::default());
    let server = shop.serves(&runs, Duration::ZERO, 201);
    for _ in 0..2 {
        let answer = send(&server, keyed("k")).await;
        assert_eq!(HttpClassifier.classify(call(), Ok(&answer)), Outcome::Success);
    }
    assert!(is_replay(&send(&server, keyed("k")).await));
}

/// A guarded server that remembers the keys it was sent.
#[derive(Clone, Default)]
struct Shop {
    store: Arc<MemoryStore>,
    keys: Arc<Mutex<Vec<String>>>,
}

impl Shop {
    fn serves(&self, runs: &Counter, takes: Duration, status: u16) -> Server {
        let runs = runs.clone();
        let layer = IdempotencyLayer::new(Arc::clone(&self.store))
            .retire(Duration::from_secs(60))
            .dice(Dice::seeded(1));
        let inner = layer.layer(service_fn(move |_: Request<Body>| {
            let run = runs.add();
            async move {
                tokio::time::sleep(takes).await;
                answer(status, format!("run {run}"))
            }
        }));
        let keys = Arc::clone(&self.keys);
        let noted = service_fn(move |request: Request<Body>| {
            let key = request.headers()[IDEMPOTENCY_KEY].to_str().unwrap().to_owned();
            keys.lock().unwrap().push(key);
            inner.clone().oneshot(request)
        });
        tower::util::BoxCloneService::new(noted)
    }

    fn keys(&self) -> Vec<String> {
        self.keys.lock().unwrap().clone()
    }

    /// Brings the key `k` where another try is refused, and says with what.
    async fn refuses(&self, server: &Server, refusal: &str) -> u16 {
        let first = match refusal {
            "mismatch" => post("\"k\"", "another payload"),
            _ => keyed("k"),
        };
        if refusal == "unknown" {
            let mut begin = aplomb_testkit::store::begin("k");
            let (method, uri) = (first.method(), first.uri());
            let headers = first.headers();
            begin.fingerprint = aplomb_idempotency::Fingerprint::of(method, uri, headers, &[], b"");
            let held = aplomb_testkit::store::claim(&self.store, &begin).await;
            let unknown = self.store.mark_unknown(held).await.unwrap();
            assert_eq!(unknown, aplomb_idempotency::Settled::Done);
            return 409;
        }
        assert_eq!(send(server, first).await.status(), 201);
        if refusal == "mismatch" {
            return 422;
        }
        let operator = aplomb_idempotency::operator::Operator::new(Arc::clone(&self.store), "ada");
        let id: RecordId = aplomb_testkit::store::begin("k").identity.id();
        let purge = aplomb_idempotency::operator::Purge::Key(id);
        assert_eq!(operator.purge(&purge, "asked to").await.unwrap(), 1);
        410
    }
}

type Server = tower::util::BoxCloneService<Request<Body>, Response<Body>, Infallible>;

#[derive(Clone, Copy)]
struct Order(u32);

fn by_order(request: &Request<Body>) -> Option<Key> {
    let Order(number) = request.extensions().get()?;
    Key::derived(("order", number)).ok()
}

/// A budget that is never what stops it.
fn retry() -> RetryLayer {
    let rich = Terms::earning(Ratio::ONE).cap(1_000);
    RetryLayer::new(Budget::new(rich))
        .honours_keys()
        .max_attempts(10)
        .unlimited_total()
        .dice(Dice::seeded(1))
}

fn bare(method: &str) -> Request<Body> {
    let mut request = Request::new(Body::default());
    *request.method_mut() = method.parse().unwrap();
    *request.uri_mut() = "/orders".parse().unwrap();
    request
}

fn keyed(key: &str) -> Request<Body> {
    let mut request = bare("POST");
    request.extensions_mut().insert(Principal::new("shop"));
    let key = Key::try_from(key).unwrap().header_value();
    request.headers_mut().insert(IDEMPOTENCY_KEY, key);
    request
}

fn call() -> Call {
    let key = (IDEMPOTENCY_KEY, Key::random().header_value());
    Call::of(&Method::POST, &HeaderMap::from_iter([key]))
}

fn echoes_key() -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone
{
    service_fn(|request: Request<Body>| async move {
        let key = request.headers().get(IDEMPOTENCY_KEY);
        answer(200, key.map(|key| Bytes::copy_from_slice(key.as_bytes())).unwrap_or_default())
    })
}
