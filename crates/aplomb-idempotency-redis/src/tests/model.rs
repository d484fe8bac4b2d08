//! The store beside a model: the same rules over a map. Whatever callers, zombies, operators and
//! time do in whatever order, both say the same.

use std::collections::{BTreeMap, HashSet};
use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use aplomb_core::{Principal, Rng};
use aplomb_idempotency::machine::{self, Expiry, Step, Verdict};
use aplomb_idempotency::operator::{Action, Listing, Note, Purge, Resolution, Which};
use aplomb_idempotency::record::LAPSED_KEPT;
use aplomb_idempotency::{
    Begin, Begun, Fence, Held, Identity, Keep, Lapsed, Record, RecordId, Scope, Settled, State,
    Store, Timestamp,
};
use aplomb_testkit::servers::Redis;
use aplomb_testkit::store::{answer, begin, fingerprint};
use futures_util::future::join_all;

use super::aged::{age, older};
use super::{id, store};
use crate::RedisStore;

#[tokio::test(flavor = "multi_thread")]
async fn the_store_says_what_the_model_says_whatever_happens() {
    let redis = Redis::start().unwrap();
    let runs = (0..SEEDS).map(|seed| {
        let store = store(&redis).prefix(&format!("{}-{seed}", redis.prefix()));
        let store = if seed % 2 == 0 { store } else { store.without_scripts() };
        tokio::spawn(run(seed, store))
    });
    for run in join_all(runs).await {
        run.unwrap();
    }
}

async fn run(seed: u64, store: RedisStore) {
    let mut world = World::new(seed, store);
    for step in 0..STEPS {
        world.step().await;
        // What an answer did not tell shows in the records a few steps later.
        if step % COMPARED_EVERY == 0 {
            world.compare(&format!("seed {seed}, step {step}")).await;
        }
    }
    world.compare_audits(seed).await;
    assert!(world.claims.len() > 200, "{} claims came up", world.claims.len());
    assert_eq!(world.met.len(), 6, "not every answer came up: {:?}", world.met);
}

struct World {
    store: RedisStore,
    rng: Rng,
    model: Model,
    /// Every claim that was given: as the store names it and as the model does.
    claims: Vec<(Held, Held)>,
    calls: Vec<Begin>,
    /// The answers to `begin` that came up.
    met: HashSet<Discriminant<Begun>>,
    last: String,
}

impl World {
    fn new(seed: u64, store: RedisStore) -> Self {
        let (rng, model) = (Rng::seeded(seed), Model::new());
        let (claims, calls, met) = (Vec::new(), Vec::new(), HashSet::new());
        Self { store, rng, model, claims, calls, met, last: String::new() }
    }

    async fn step(&mut self) {
        match self.rng.below(20) {
            0..=6 => self.begin().await,
            7..=11 => self.settle().await,
            12 | 13 => self.resolve().await,
            14 => self.purge().await,
            15 | 16 => {
                self.last = "sweep".into();
                let swept = self.store.sweep(100).await.unwrap();
                assert_eq!(swept, self.model.sweep(), "{}", self.last);
            }
            _ => self.wait().await,
        }
    }

    async fn begin(&mut self) {
        let call = match self.rng.below(4) {
            0 if !self.calls.is_empty() => self.pick(&self.calls.clone()),
            _ => self.call(),
        };
        self.last = format!("{call:?}");
        self.calls.push(call.clone());
        let said = self.store.begin(&call).await.unwrap();
        let expected = self.model.begin(&call);
        self.met.insert(discriminant(&expected));
        match (&said, &expected) {
            (Begun::Claimed(said), Begun::Claimed(expected)) => {
                let shape = |started: &aplomb_idempotency::Started| {
                    (started.attempt, started.after_lapse, started.lapsed, started.ticket)
                };
                assert_eq!(shape(said), shape(expected), "{}", self.last);
                let held = |fence| Held { id: call.identity.id(), fence };
                let claim = (held(said.fence), held(expected.fence));
                if !self.claims.contains(&claim) {
                    let grew = self.claims.iter().all(|(earlier, _)| earlier.fence < said.fence);
                    assert!(grew, "fences grow over all keys");
                    self.claims.push(claim);
                }
            }
            _ => assert_eq!(said, expected, "{}", self.last),
        }
    }

    fn call(&mut self) -> Begin {
        let lapsed =
            self.pick(&[Lapsed::Unknown, Lapsed::RunAgain, Lapsed::Recover, Lapsed::AtLeastOnce]);
        let lease = self.pick(&[Duration::ZERO, HOUR, 3 * HOUR]);
        let caller = self.pick(&["shop", "mill"]);
        let key = self.pick(&["a", "b"]);
        let payload = self.pick(&["one", "one", "one", "two"]);
        let Identity { method, route, key, .. } = begin(key).identity;
        let identity = Identity::new(Scope::Principal(Principal::new(caller)), method, route, key);
        Begin { identity, lapsed, lease, fingerprint: fingerprint(payload), ..begin("k") }
    }

    async fn settle(&mut self) {
        let Some((held, modelled)) = self.holder() else {
            return;
        };
        let keep = Keep {
            answer: self.pick(&[Duration::ZERO, HOUR, 5 * HOUR]),
            key: self.pick(&[Duration::ZERO, 2 * HOUR]),
        };
        let body = answer(&self.claims.len().to_string());
        let how = self.rng.below(6);
        self.last = format!("{how} by {held:?} with {keep:?}");
        let (fence, now) = (modelled.fence, self.model.now);
        let said = match how {
            0 => self.store.renew(held, HOUR).await,
            1 => self.store.abandon(held, keep.answer).await,
            2 => self.store.mark_unknown(held).await,
            _ => self.store.complete(held, &body, keep).await,
        };
        let expected = self.model.change(held.id, |state| match how {
            0 => machine::renew(state, fence, HOUR, now),
            1 => machine::abandon(state, fence, keep.answer, now),
            2 => machine::mark_unknown(state, fence, now),
            _ => machine::complete(state, fence, body, keep, now),
        });
        assert_eq!(said.unwrap(), expected, "{}", self.last);
    }

    async fn resolve(&mut self) {
        let meant = match self.rng.below(3) {
            0 => self.holder(),
            _ => self.stuck(),
        };
        let Some((held, modelled)) = meant else {
            return;
        };
        let keep = Keep { answer: HOUR, key: HOUR };
        let resolution = match self.rng.below(2) {
            0 => Resolution::Applied { answer: answer("found"), keep },
            _ => Resolution::NotApplied { keep: HOUR },
        };
        self.last = format!("{resolution:?} of {held:?}");
        let said = self.store.resolve(held, &resolution, &note()).await.unwrap();
        let (fence, now) = (modelled.fence, self.model.now);
        let before = self.model.records.get(&held.id).cloned();
        let expected =
            self.model.change(held.id, |state| machine::resolve(state, fence, &resolution, now));
        assert_eq!(said, expected, "{}", self.last);
        if before != self.model.records.get(&held.id).cloned() {
            self.model.audit.push((resolution.action(), held.id));
        }
    }

    async fn purge(&mut self) {
        let call = self.call();
        let purge = match self.rng.below(3) {
            0 => Purge::Of(call.identity.scope),
            _ => Purge::Key(call.identity.id()),
        };
        self.last = format!("{purge:?}");
        let said = self.store.purge(&purge, &note(), 100).await.unwrap();
        assert_eq!(said, self.model.purge(&purge), "{}", self.last);
    }

    async fn wait(&mut self) {
        let minutes = self.pick(&[25, 47, 95]);
        let time = Duration::from_secs(60 * minutes);
        self.last = format!("{minutes} minutes");
        age(&self.store, time).await;
        self.model.wait(time);
    }

    /// The records and the listings are alike.
    async fn compare(&mut self, when: &str) {
        let when = format!("{when} after {}", self.last);
        let now = self.model.now;
        let scopes = ["shop", "mill"].map(|name| Scope::Principal(Principal::new(name)));
        let [shop, mill] = scopes.map(Which::Of);
        for which in [Which::Stuck, shop, mill] {
            let listing = Listing { which: which.clone(), after: None, most: 10 };
            let listed = self.store.list(&listing).await.unwrap();
            let modelled = self.model.records.values().filter(|record| which.holds(record, now));
            let modelled: Vec<_> = modelled.cloned().collect();
            assert_eq!(ids(&listed), ids(&modelled), "{when}: {which:?}");
            for (said, expected) in listed.iter().zip(&modelled) {
                self.compare_states(&said.state, &expected.state, &when);
                assert_eq!(said.fingerprint, expected.fingerprint, "{when}");
            }
        }
    }

    async fn compare_audits(&self, seed: u64) {
        let audit = self.store.audit(None, 10_000).await.unwrap();
        let mut audit: Vec<_> = audit.iter().map(|entry| (entry.action, entry.id)).collect();
        audit.reverse();
        assert_eq!(audit, self.model.audit, "seed {seed}");
    }

    fn compare_states(&self, said: &State, expected: &State, when: &str) {
        assert_eq!(said.as_str(), expected.as_str(), "{when}");
        let claim = self.claims.iter().find(|(held, _)| held.fence == said.fence());
        assert_eq!(claim.map(|(_, model)| model.fence), Some(expected.fence()), "{when}");
        if let (State::Completed { answer: said, .. }, State::Completed { answer: expected, .. }) =
            (said, expected)
        {
            assert_eq!(said, expected, "{when}");
        }
    }

    /// A claim that was given, the latest the likeliest.
    fn holder(&mut self) -> Option<(Held, Held)> {
        let back = self.rng.below(3) * self.rng.below(3);
        let back = usize::try_from(back).unwrap();
        self.claims.iter().rev().nth(back).copied()
    }

    /// A claim that nobody but an operator ends.
    fn stuck(&self) -> Option<(Held, Held)> {
        let is_stuck = |record: &&Record| Which::Stuck.holds(record, self.model.now);
        let record = self.model.records.values().find(is_stuck)?;
        let fence = record.state.fence();
        self.claims.iter().find(|(_, model)| model.fence == fence).copied()
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let index = self.rng.below(from.len() as u64);
        from[usize::try_from(index).unwrap()].clone()
    }
}

struct Model {
    records: BTreeMap<RecordId, Record>,
    audit: Vec<(Action, RecordId)>,
    fences: u64,
    now: Timestamp,
}

impl Model {
    fn new() -> Self {
        let now = Timestamp::from_millis(1_000_000_000);
        Self { records: BTreeMap::new(), audit: Vec::new(), fences: 0, now }
    }

    fn begin(&mut self, call: &Begin) -> Begun {
        let key = call.identity.id();
        let existing = self.records.get(&key);
        match machine::judge(existing, call, self.now) {
            Verdict::Answer(answer) => answer,
            Verdict::Doubt(state) => {
                self.records.get_mut(&key).unwrap().state = state;
                Begun::Unknown
            }
            Verdict::Claim(turn) => {
                self.fences += 1;
                let fence = Fence::new(self.fences).unwrap();
                let started = machine::started(call, fence, turn, self.now);
                let record = machine::record(existing, call, started, self.now);
                self.records.insert(key, record);
                Begun::Claimed(started)
            }
        }
    }

    fn change(&mut self, key: RecordId, step: impl FnOnce(Option<&State>) -> Step) -> Settled {
        match step(self.records.get(&key).map(|record| &record.state)) {
            Step::Stay(settled) => settled,
            Step::To(state) => {
                self.records.get_mut(&key).unwrap().state = state;
                Settled::Done
            }
        }
    }

    fn sweep(&mut self) -> usize {
        let mut swept = 0;
        let now = self.now;
        self.records.retain(|_, record| match machine::expire(&record.state, now) {
            Expiry::Keep => true,
            Expiry::To(state) => {
                record.state = state;
                swept += 1;
                true
            }
            Expiry::Forget => {
                swept += 1;
                false
            }
        });
        swept
    }

    fn purge(&mut self, purge: &Purge) -> usize {
        let mut purged = 0;
        for record in self.records.values_mut() {
            let is_meant = match purge {
                Purge::Key(key) => id(record) == *key,
                Purge::Of(scope) => record.identity.scope == *scope,
            };
            if let Some(state) = machine::purge(&record.state).filter(|_| is_meant) {
                record.state = state;
                self.audit.push((Action::Purged, id(record)));
                purged += 1;
            }
        }
        purged
    }

    /// As on the server, the records grow older instead of the clock.
    fn wait(&mut self, time: Duration) {
        let now = self.now;
        for record in self.records.values_mut() {
            *record = older(record.clone(), time);
        }
        let forgotten =
            |state: &State| state.expires().is_some_and(|at| at.plus(LAPSED_KEPT) <= now);
        self.records.retain(|_, record| !forgotten(&record.state));
    }
}

fn ids(records: &[Record]) -> Vec<RecordId> {
    records.iter().map(id).collect()
}

fn note() -> Note {
    Note::new("ada", "chance")
}

const HOUR: Duration = Duration::from_secs(3600);
const SEEDS: u64 = 4;
const STEPS: u32 = 2_500;
const COMPARED_EVERY: u32 = 5;
