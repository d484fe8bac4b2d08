//! A law: whatever breaks, and wherever a worker or an operator is killed, a job is in its queue, in
//! a letter or done; once the queue is empty, none is both done and dead.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_core::{Dice, Ratio, Rng, time};
use aplomb_dead_letter::machine::Step;
use aplomb_dead_letter::{
    AuditEntry, DeadLetterLayer, Fate, Job, Letter, LetterId, Listing, MemorySink, Note, Record,
    Redriver, Sink, SinkError, StepError, Stored, Which,
};
use aplomb_retry::{Budget, Terms};
use proptest::prelude::*;
use tower::{Layer, Service, ServiceExt};

use common::{Act, HOUR, Parcel, Warehouse, with_job};

/// One move of the world.
#[derive(Clone, Copy, Debug)]
enum Move {
    /// A worker takes a job from the queue; the warehouse does this with it.
    Take(usize, Act),
    /// An operator presses.
    Press(usize, Act),
    /// Somebody's future is polled.
    Poll(usize),
    /// Somebody is killed.
    Kill(usize),
    /// An hour passes: leases end.
    Wait,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let act = || {
        prop_oneof![
            Just(Act::Reset),
            Just(Act::LoseAnswer),
            Just(Act::Status(422)),
            Just(Act::Status(503)),
            Just(Act::Status(201)),
        ]
    };
    let one = prop_oneof![
        4 => (0..KEYS.len(), act()).prop_map(|(key, act)| Move::Take(key, act)),
        2 => (0..KEYS.len(), act()).prop_map(|(key, act)| Move::Press(key, act)),
        20 => (0_usize..6).prop_map(Move::Poll),
        1 => (0_usize..6).prop_map(Move::Kill),
        1 => Just(Move::Wait),
    ];
    prop::collection::vec(one, 0..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_is_lost_and_nothing_is_both_done_and_dead(moves in moves(), seed: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut world = World::new(seed);
            for one in moves {
                world.make(one).await;
                world.check_that_nothing_is_lost().await?;
            }
            world.heal_and_drain().await;
            world.check_that_nothing_is_both().await?;
            world.redrive_all().await;
            for key in KEYS {
                prop_assert_eq!(world.warehouse.effects(key), 1, "{} arrived", key);
            }
            Ok(())
        })?;
    }
}

struct World {
    warehouse: Slow,
    sink: Arc<Faulty>,
    queue: Arc<Mutex<Queue>>,
    redriver: Redriver<Arc<Faulty>, Slow, Budget>,
    /// Who is at work, and on which job, unless it is an operator.
    people: Vec<(Option<usize>, Work)>,
}

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// What survives every crash: the jobs, how often each was taken, which were done.
#[derive(Default)]
struct Queue {
    jobs: BTreeMap<usize, u32>,
    done: BTreeSet<usize>,
}

impl World {
    fn new(seed: u64) -> Self {
        let sink = Arc::new(Faulty::new(seed));
        let warehouse = Slow(Warehouse::default());
        let rich = Budget::new(Terms::earning(Ratio::ONE).cap(1_000));
        let redriver = Redriver::new(Arc::clone(&sink), warehouse.clone(), rich)
            .spread(Duration::ZERO)
            .redrives_max(u32::MAX)
            .schedule(|_, _: &mut Rng| Duration::ZERO);
        let jobs = (0..KEYS.len()).map(|key| (key, 0)).collect();
        let queue = Arc::new(Mutex::new(Queue { jobs, done: BTreeSet::new() }));
        Self { warehouse, sink, queue, redriver, people: Vec::new() }
    }

    async fn make(&mut self, one: Move) {
        match one {
            // One worker at a time has a job; one that was killed has it no more.
            Move::Take(key, act) => {
                if !self.people.iter().any(|(of, _)| *of == Some(key)) {
                    self.warehouse.0.next([act]);
                    self.take(key);
                }
            }
            Move::Press(key, act) => {
                self.warehouse.0.next([act]);
                self.press(key);
            }
            Move::Poll(who) => {
                if let Some((_, future)) = self.people.get_mut(who) {
                    let done = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
                    if done {
                        drop(self.people.remove(who));
                    }
                    // Whoever pauses between two tries goes on.
                    tokio::time::advance(Duration::from_millis(200)).await;
                }
            }
            Move::Kill(who) => {
                if who < self.people.len() {
                    drop(self.people.remove(who));
                }
            }
            Move::Wait => tokio::time::advance(HOUR).await,
        }
    }

    fn take(&mut self, key: usize) {
        let queue = Arc::clone(&self.queue);
        let rounds = {
            let mut queue = queue.lock().unwrap();
            let Some(rounds) = queue.jobs.get_mut(&key) else { return };
            *rounds += 1;
            *rounds - 1
        };
        let left = if rounds < 2 { HOUR } else { Duration::ZERO };
        let request = with_job(KEYS[key], Job::new(left, time::now()).rounds(rounds));
        let layer = DeadLetterLayer::new(Arc::clone(&self.sink)).dice(Dice::seeded(1));
        let client = layer.layer(self.warehouse.clone());
        let work = async move {
            let answer = client.oneshot(request).await;
            let fate = Fate::of(&answer);
            pause().await;
            let mut queue = queue.lock().unwrap();
            match fate {
                None | Some(Fate::Delivered) => {
                    assert!(answer.is_ok(), "{answer:?}");
                    queue.jobs.remove(&key);
                    queue.done.insert(key);
                }
                Some(Fate::Buried(_)) => {
                    queue.jobs.remove(&key);
                }
                Some(Fate::Reschedule(_) | Fate::NotStored(_)) => {}
                Some(other) => panic!("{other:?}"),
            }
        };
        self.people.push((Some(key), Box::pin(work)));
    }

    fn press(&mut self, key: usize) {
        let (redriver, id) = (self.redriver.clone(), id(key));
        let press = async move {
            let _ = redriver.redrive(id, &Note::new("erin", "again")).await;
        };
        self.people.push((None, Box::pin(press)));
    }

    async fn check_that_nothing_is_lost(&self) -> Result<(), TestCaseError> {
        for (key, name) in KEYS.iter().enumerate() {
            let letter = self.sink.inner.get(id(key)).await.unwrap();
            let queue = self.queue.lock().unwrap();
            let is_known = queue.jobs.contains_key(&key) || queue.done.contains(&key);
            prop_assert!(is_known || letter.is_some(), "{} is lost", name);
        }
        Ok(())
    }

    async fn check_that_nothing_is_both(&self) -> Result<(), TestCaseError> {
        let dead = self.sink.inner.list(&Listing::dead(100)).await.unwrap();
        let queue = self.queue.lock().unwrap();
        prop_assert!(queue.jobs.is_empty());
        for done in &queue.done {
            prop_assert!(
                !dead.iter().any(|letter| letter.letter.id == id(*done)),
                "{} is done and dead",
                KEYS[*done]
            );
        }
        Ok(())
    }

    async fn heal_and_drain(&mut self) {
        self.people.clear();
        self.sink.heal();
        self.warehouse.0.state.lock().unwrap().script.clear();
        // Some die in the end.
        self.warehouse.0.next([Act::Status(422), Act::Status(201), Act::Reset]);
        for _ in 0..4 {
            for key in 0..KEYS.len() {
                self.take(key);
                while let Some((_, mut future)) = self.people.pop() {
                    future.as_mut().await;
                }
            }
        }
    }

    async fn redrive_all(&self) {
        tokio::time::advance(HOUR).await;
        self.warehouse.0.state.lock().unwrap().script.clear();
        let redriven = self.redriver.redrive_all(100, &Note::new("erin", "all")).await.unwrap();
        assert!(redriven.iter().all(|(_, redriven)| redriven.is_ok()), "{redriven:?}");
        let listing = Listing { which: Which::Dead, ..Listing::dead(100) };
        assert!(self.sink.inner.list(&listing).await.unwrap().is_empty());
    }
}

/// A sink whose answers are lost, that cannot be reached, and that takes its time.
#[derive(Debug)]
struct Faulty {
    inner: MemorySink,
    faults: Mutex<Option<Rng>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Before,
    After,
}

impl Faulty {
    fn new(seed: u64) -> Self {
        Self { inner: MemorySink::new(), faults: Mutex::new(Some(Rng::seeded(seed))) }
    }

    fn heal(&self) {
        *self.faults.lock().unwrap() = None;
    }

    fn fault(&self) -> Fault {
        match self.faults.lock().unwrap().as_mut().map(|rng| rng.below(6)) {
            Some(0) => Fault::Before,
            Some(1) => Fault::After,
            _ => Fault::None,
        }
    }

    async fn faulty<T, E: From<SinkError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let fault = self.fault();
        pause().await;
        if fault == Fault::Before {
            return Err(SinkError::unavailable("it is down").into());
        }
        let done = work.await;
        pause().await;
        match fault {
            Fault::After => Err(SinkError::uncertain("its answer was lost").into()),
            _ => done,
        }
    }
}

impl Sink for Faulty {
    async fn store(&self, letter: &Letter) -> Result<Stored, SinkError> {
        self.faulty(self.inner.store(letter)).await
    }
    async fn step(&self, id: LetterId, step: &Step) -> Result<Record, StepError> {
        self.faulty(self.inner.step(id, step)).await
    }
    async fn get(&self, id: LetterId) -> Result<Option<Record>, SinkError> {
        self.faulty(self.inner.get(id)).await
    }
    async fn list(&self, listing: &Listing) -> Result<Vec<Record>, SinkError> {
        self.faulty(self.inner.list(listing)).await
    }
    async fn audit(&self, of: Option<LetterId>, most: usize) -> Result<Vec<AuditEntry>, SinkError> {
        self.faulty(self.inner.audit(of, most)).await
    }
    async fn sweep(&self, keep: Duration, most: usize) -> Result<usize, SinkError> {
        self.faulty(self.inner.sweep(keep, most)).await
    }
}

/// A warehouse that takes its time before and after it acts, so that a caller can die in between.
#[derive(Clone, Debug)]
struct Slow(Warehouse);

impl std::ops::Deref for Slow {
    type Target = Warehouse;

    fn deref(&self) -> &Warehouse {
        &self.0
    }
}

impl Service<Parcel> for Slow {
    type Response = http::Response<()>;
    type Error = aplomb_core::BoxError;
    type Future = Pin<Box<dyn Future<Output = common::Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Parcel) -> Self::Future {
        let warehouse = self.0.clone();
        Box::pin(async move {
            pause().await;
            let answer = warehouse.oneshot(request).await;
            pause().await;
            answer
        })
    }
}

async fn pause() {
    let mut is_over = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_over, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn id(key: usize) -> LetterId {
    let request = common::shipment(KEYS[key]);
    LetterId::of(request.method(), request.uri(), KEYS[key])
}

const KEYS: [&str; 3] = ["order_1", "order_2", "order_3"];
