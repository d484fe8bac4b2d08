//! A circuit for each key: dead shards, parents, strangers.

#![cfg(not(aplomb_loom))]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use aplomb_circuit_breaker::{CircuitBreakerLayer, State, Trip};
use aplomb_core::{BoxError, Dice, Ratio, Rng};
use bytes::Bytes;
use common::{Heard, call_to, count, get, ms, secs};
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};

type Body = Full<Bytes>;

#[tokio::test(start_paused = true)]
async fn with_one_of_eight_shards_dead_seven_eighths_of_the_calls_are_answered() {
    for skewed in [false, true] {
        let fleet = Fleet::of(8, &[3]);
        let layer = layer().key(host).with_parent();
        let said = fleet.load(&layer, secs(60), if skewed { Some(3) } else { None }).await;
        let answered = count(&said, "200");
        let dead = count(&said, "502") + count(&said, "open");
        assert_eq!(answered + dead, said.len());
        if skewed {
            // Nine of ten calls go to the dead one: all others are answered.
            assert_eq!(answered, said.len() - fleet.sent_to(3));
        } else {
            let share = Ratio::percent(87).as_f64() * f(said.len());
            assert!(f(answered) >= share, "{answered} of {}", said.len());
        }
        assert_eq!(layer.handle().snapshot().state, State::Closed, "the parent stays closed");
        assert_eq!(layer.handle().of("shard-3").snapshot().state, State::Open);
        assert_eq!(layer.handle().of("shard-4").snapshot().state, State::Closed);
        assert!(count(&said, "502") < 40, "{} calls met the dead one", count(&said, "502"));
    }
}

#[tokio::test(start_paused = true)]
async fn half_of_the_shards_do_not_open_the_parent() {
    let fleet = Fleet::of(8, &[0, 1, 2, 3]);
    let layer = layer().key(host).with_parent();
    let said = fleet.load(&layer, secs(60), None).await;
    assert!(f(count(&said, "200")) >= 0.49 * f(said.len()));
    assert_eq!(layer.handle().snapshot().state, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_is_called_alone_does_not_open_the_parent() {
    let fleet = Fleet::of(8, &[3]);
    let layer = layer().key(host).with_parent();
    let service = layer.layer(fleet.service());
    for _ in 0..600 {
        call_to(&service, "http://shard-3/").await;
        tokio::time::advance(ms(100)).await;
    }
    assert_eq!(layer.handle().snapshot().state, State::Closed);
    assert_eq!(call_to(&service, "http://shard-4/").await, "200");
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_is_gone_whole_opens_the_parent_and_recovers() {
    let fleet = Fleet::of(3, &[]);
    let heard = Heard::default();
    let layer = layer().key(host).with_parent().observe(heard.clone());
    fleet.load(&layer, secs(10), None).await;
    fleet.kill(0..3);
    // The cells open within a second; what they turn away goes on to vote.
    fleet.load(&layer, secs(12), None).await;
    assert_ne!(layer.handle().snapshot().state, State::Closed);
    let whole = |told: &String| told.starts_with("all open");
    assert_eq!(heard.take().iter().find(|told| whole(told)).unwrap(), "all open: failure_ratio");
    fleet.kill(0..0);
    fleet.load(&layer, secs(120), None).await;
    assert_eq!(layer.handle().snapshot().state, State::Closed);
    for shard in 0..3 {
        let shard = layer.handle().of(format!("shard-{shard}"));
        assert_eq!(shard.snapshot().state, State::Closed);
    }
    let said = fleet.load(&layer, secs(5), None).await;
    assert_eq!(count(&said, "200"), said.len());
}

#[tokio::test(start_paused = true)]
async fn shards_with_too_few_calls_to_open_themselves_open_the_parent() {
    let all: Vec<_> = (0..1_000).collect();
    let fleet = Fleet::of(1_000, &all);
    let layer = layer().key(host).with_parent();
    let service = layer.layer(fleet.service());
    let mut said = Vec::new();
    for shard in 0..1_000 {
        said.push(call_to(&service, &format!("http://shard-{shard}/")).await);
        tokio::time::advance(ms(10)).await;
    }
    assert_eq!(count(&said[..20], "502"), 20);
    assert!(count(&said, "502") < 40, "twenty, then probes: {}", count(&said, "502"));
}

#[tokio::test(start_paused = true)]
async fn one_authority_does_not_open_another() {
    let fleet = Fleet::of(2, &[0]);
    let layer = layer().per_authority();
    let service = layer.layer(fleet.service());
    for _ in 0..20 {
        call_to(&service, "http://shard-0/").await;
    }
    assert_eq!(call_to(&service, "http://shard-0/").await, "open");
    assert_eq!(call_to(&service, "http://shard-1/").await, "200");
    let keys = layer.handle().keys();
    assert_eq!(keys.iter().map(|key| &**key).collect::<Vec<_>>(), ["shard-0", "shard-1"]);
}

#[tokio::test(start_paused = true)]
async fn strangers_make_room_for_each_other_and_not_for_what_is_in_use() {
    let fleet = Fleet::of(2, &[0]);
    let heard = Heard::default();
    let layer = layer().per_authority().keys_max(16).observe(heard.clone());
    let service = layer.layer(fleet.service());
    for stranger in 0..500 {
        call_to(&service, "http://shard-0/").await;
        call_to(&service, &format!("http://stranger-{stranger}/")).await;
        tokio::time::advance(ms(1)).await;
        assert!(layer.handle().keys().len() <= 16);
    }
    assert_eq!(layer.handle().of("shard-0").snapshot().state, State::Open);
    let told = heard.take();
    assert!(count(&told, "stranger-0 forgotten") == 1);
    assert!(count(&told, "shard-0 forgotten") == 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_forgotten_starts_anew() {
    let fleet = Fleet::of(2, &[0]);
    let layer = layer().per_authority().keys_max(1);
    let service = layer.layer(fleet.service());
    for _ in 0..20 {
        call_to(&service, "http://shard-0/").await;
    }
    assert_eq!(call_to(&service, "http://shard-1/").await, "200");
    assert_eq!(call_to(&service, "http://shard-0/").await, "502");
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_was_forgotten_is_not_heard_of_again() {
    let heard = Heard::default();
    let layer = layer().per_authority().keys_max(1).observe(heard.clone());
    let service = layer.layer(slow_to_fail());
    let late = (0..20).map(|_| service.clone().oneshot(get("http://shard-0/later")));
    let late: Vec<_> = late.map(tokio::spawn).collect();
    tokio::task::yield_now().await;
    assert_eq!(call_to(&service, "http://shard-1/").await, "502");
    for call in late {
        assert_eq!(call.await.unwrap().unwrap().status(), 502);
    }
    // The circuit that its key has now is closed: nothing may say that it is open.
    assert_eq!(layer.handle().of("shard-0").snapshot().state, State::Closed);
    assert_eq!(heard.take(), ["shard-0 forgotten"]);
}

#[tokio::test(start_paused = true)]
async fn a_late_result_takes_no_vote_from_its_cell() {
    let layer = layer().per_authority().with_parent();
    let (service, handle) = (layer.layer(slow_to_fail()), layer.handle());
    let late = (0..20).map(|shard| get(&format!("http://shard-{shard}/later")));
    let late: Vec<_> = late.map(|it| tokio::spawn(service.clone().oneshot(it))).collect();
    tokio::task::yield_now().await;
    // The parent begins anew: what went out before has no vote on it.
    handle.force_closed();
    handle.automatic();
    for call in late {
        assert_eq!(call.await.unwrap().unwrap().status(), 502);
    }
    assert_eq!(handle.snapshot().failed, 0);
    for shard in 0..20 {
        assert_eq!(call_to(&service, &format!("http://shard-{shard}/")).await, "502");
    }
    assert_eq!(handle.snapshot().state, State::Open, "twenty cells failed");
}

/// Fails every call: those to `/later` after ten milliseconds.
fn slow_to_fail() -> impl tower::Service<
    Request<Body>,
    Response = Response<Body>,
    Error = BoxError,
    Future = impl Future<Output = common::Answer> + Send,
> + Clone
+ Send
+ 'static {
    service_fn(|request: Request<Body>| async move {
        if request.uri().path() == "/later" {
            tokio::time::sleep(ms(10)).await;
        }
        Ok::<_, BoxError>(Response::builder().status(502).body(Body::default())?)
    })
}

fn layer() -> CircuitBreakerLayer {
    CircuitBreakerLayer::new(Trip::default()).dice(Dice::seeded(7))
}

fn host(request: &Request<Body>) -> Cow<'_, str> {
    Cow::Borrowed(request.uri().host().unwrap_or_default())
}

/// Shards behind one name.
#[derive(Clone)]
struct Fleet {
    shards: u64,
    dead: Arc<Mutex<HashSet<String>>>,
    sent: Arc<Mutex<Vec<u64>>>,
}

impl Fleet {
    fn of(shards: u64, dead: &[u64]) -> Self {
        let fleet = Self { shards, dead: Arc::default(), sent: Arc::default() };
        fleet.kill(dead.iter().copied());
        fleet
    }

    /// These are dead from now on, and all others well.
    fn kill(&self, dead: impl IntoIterator<Item = u64>) {
        let dead = dead.into_iter().map(|shard| format!("shard-{shard}"));
        *self.dead.lock().unwrap() = dead.collect();
    }

    fn sent_to(&self, shard: u64) -> usize {
        self.sent.lock().unwrap().iter().filter(|sent| **sent == shard).count()
    }

    fn service(
        &self,
    ) -> impl tower::Service<
        Request<Body>,
        Response = Response<Body>,
        Error = BoxError,
        Future = impl Future<Output = common::Answer>,
    > + Clone {
        let dead = self.dead.clone();
        service_fn(move |request: Request<Body>| {
            let host = request.uri().host().unwrap();
            let status = if dead.lock().unwrap().contains(host) { 502 } else { 200 };
            async move { Ok::<_, BoxError>(Response::builder().status(status).body(Body::default())?) }
        })
    }

    /// A hundred calls a second to shards that the dice choose; nine of ten to `favourite`.
    async fn load<K, O>(
        &self,
        layer: &CircuitBreakerLayer<K, aplomb_core::HttpClassifier, O>,
        time: std::time::Duration,
        favourite: Option<u64>,
    ) -> Vec<String>
    where
        K: aplomb_circuit_breaker::Key<Request<Body>> + Clone,
        O: for<'a> aplomb_core::Observe<aplomb_circuit_breaker::BreakerEvent<'a>> + Clone,
    {
        let service = layer.layer(self.service());
        let (mut rng, mut said) = (Rng::seeded(11), Vec::new());
        for _ in 0..time.as_millis() / 10 {
            let shard = match favourite {
                Some(favourite) if rng.chance(Ratio::percent(90)) => favourite,
                _ => rng.below(self.shards),
            };
            self.sent.lock().unwrap().push(shard);
            said.push(call_to(&service, &format!("http://shard-{shard}/")).await);
            tokio::time::advance(ms(10)).await;
        }
        said
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand calls")]
fn f(count: usize) -> f64 {
    count as f64
}
