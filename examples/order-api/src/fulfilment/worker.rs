//! Ships what is confirmed.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::time::Duration;

use aplomb_core::time;
use aplomb_dead_letter::machine::Step;
use aplomb_dead_letter::{Cause, Fate, LetterId, Listing, Note, Record, Sink, State};
use aplomb_dead_letter_sqlx::{OutboxError, Settled, Task};
use aplomb_inventory_service::StartError;
use aplomb_inventory_service::database::Database;
use aplomb_telemetry::Metrics;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::Response;
use hyper_util::client::legacy::connect::Connect;
use prometheus::Registry;
use tokio::task::{JoinError, JoinSet};

use super::config::SLOTS;
use super::shipping::order_of;
use super::{Fulfilment, WorkerConfig, state};
use crate::circuit::CircuitWatch;
use crate::policy::InForce;
use crate::service::TABLES;
use crate::wire::{Answered, Wire};

/// Takes tasks from the outbox, sends them to the Warehouse and settles them. Any number may run, in
/// any number of processes.
///
/// A task that failed waits in its row, so that slots are for sends alone. A worker that was stopped
/// for longer than its lease and wakes late has lost its tasks to others: it may send a key once
/// more, which ships nothing twice, and it changes no row.
#[derive(Clone, Debug)]
pub struct Worker {
    fulfilment: Fulfilment,
    name: String,
    slots: NonZeroUsize,
    lease: Option<Duration>,
    in_force: InForce,
}

impl Worker {
    /// Opens the orders' database, for a worker in a process of its own. One beside an Order API
    /// comes from [`OrderApi::worker`](crate::OrderApi::worker).
    ///
    /// # Errors
    ///
    /// [`StartError`] when the database cannot be used; it says what to do.
    pub async fn open<C>(config: WorkerConfig, connector: C) -> Result<Self, StartError>
    where
        C: Connect + Clone + Send + Sync + 'static,
    {
        let database = Database::open(&config.place, &TABLES).await?;
        let metrics = Metrics::register(&Registry::new(), None)
            .map_err(|error| StartError::setting("the metrics", METRICS_MEND, error))?;
        let WorkerConfig { fulfilment: settings, policies, name, slots, lease, dice, .. } = config;
        let to = settings.addresses(None);
        let wire = Wire::open(&policies, to, connector, &dice, &metrics)?;
        let in_force = wire.in_force().clone();
        let fulfilment = Fulfilment::open(&settings, database, wire, dice, &metrics).await?;
        Ok(Self { fulfilment, name, slots, lease, in_force })
    }

    pub(crate) fn new(fulfilment: Fulfilment, in_force: InForce, name: &str) -> Self {
        let name = name.to_owned();
        Self { fulfilment, name, slots: SLOTS, lease: None, in_force }
    }

    /// Takes each task for this long, whatever the policies say.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// The circuit that its shipments go through.
    pub fn circuit(&self) -> CircuitWatch {
        self.fulfilment.shipping.circuit()
    }

    /// Ships until `shutdown` completes, then finishes what it has taken. Meanwhile it follows its
    /// policies.
    ///
    /// Dropping the future stops it at once: what it had taken is taken again when its lease ends,
    /// by whoever comes, under the same key.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            () = self.ship(shutdown) => {}
            never = self.keep_looking() => match never {},
            never = self.in_force.follow() => match never {},
        }
    }

    async fn ship(&self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut busy = JoinSet::new();
        let slots = self.slots.get();
        loop {
            for task in self.take(slots.saturating_sub(busy.len())).await {
                let worker = self.clone();
                busy.spawn(async move { worker.carry(task).await });
            }
            let is_full = busy.len() >= slots;
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(carried) = busy.join_next() => mourn(carried),
                () = self.rest(), if !is_full => {}
            }
        }
        while let Some(carried) = busy.join_next().await {
            mourn(carried);
        }
    }

    async fn keep_looking(&self) -> Infallible {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look_again().await;
        }
    }

    /// Takes as many tasks as it has slots, and carries each once.
    ///
    /// # Errors
    ///
    /// When the database cannot say which tasks are due. A failure with one task is logged, and the
    /// task is due again when its lease ends.
    pub async fn run_once(&self) -> Result<Round, OutboxError> {
        let tasks =
            self.fulfilment.boxes.claim(&self.name, self.slots.get(), self.taken_for()).await?;
        let mut round = Round { taken: tasks.len(), ..Round::default() };
        let mut carried: FuturesUnordered<_> =
            tasks.into_iter().map(|task| self.carry(task)).collect();
        while let Some(settled) = carried.next().await {
            match settled {
                Some(Settled::Done) => round.shipped += 1,
                Some(Settled::Rescheduled) => round.rescheduled += 1,
                Some(Settled::Buried(_)) => round.dead_lettered += 1,
                Some(Settled::Lost) => round.lost += 1,
                _ => {}
            }
        }
        Ok(round)
    }

    /// Asks the Warehouse about letters whose last answer was not clear: a send that was cut off may
    /// have shipped its order a moment later. Such a letter is marked as delivered.
    /// [`run`](Self::run) does it every second.
    pub async fn look_again(&self) {
        let mut listing = Listing::dead(LOOK_MOST);
        loop {
            let page = match self.fulfilment.letters.list(&listing).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(%error, "dead letters cannot be looked at");
                    return;
                }
            };
            for record in page.iter().filter(|record| is_in_doubt(record)) {
                match self.has_shipped(&record.letter.key).await {
                    Some(true) => self.retract(record.letter.id).await,
                    Some(false) => {}
                    // It does not answer now, nor will it to the next question.
                    None => return,
                }
            }
            listing.after = page.last().map(|record| record.letter.id);
            if page.len() < LOOK_MOST {
                return;
            }
        }
    }

    /// Closes the database, once whoever shares it has given its connections back.
    pub async fn close(self) {
        self.fulfilment.database.close().await;
    }

    async fn take(&self, most: usize) -> Vec<Task> {
        let taken = self.fulfilment.boxes.claim(&self.name, most, self.taken_for()).await;
        taken.unwrap_or_else(|error| {
            tracing::error!(%error, "the worker cannot take tasks");
            Vec::new()
        })
    }

    /// For how long a task is its own: the lease must outlast what is done with it.
    fn taken_for(&self) -> Duration {
        self.lease.unwrap_or_else(|| self.fulfilment.shipping.longest() + SPARE)
    }

    /// Sends a task and settles it; `None` when that could not be written down.
    async fn carry(&self, task: Task) -> Option<Settled> {
        let answer = self.fulfilment.shipping.ship(&task).await;
        let answer = self.doubted(&task, answer).await;
        match self.settle(&task, &answer).await {
            Ok(Settled::Lost) => {
                tracing::info!(task = %task.id(), "somebody else has the task; nothing was changed");
                Some(Settled::Lost)
            }
            Ok(settled) => Some(settled),
            Err(error) => {
                tracing::error!(%error, task = %task.id(), "a task could not be settled");
                None
            }
        }
    }

    /// Before a task is given up, the Warehouse is asked whether it has shipped the order after all:
    /// the answer to an earlier send may have been lost.
    async fn doubted(&self, task: &Task, answer: Answered) -> Answered {
        let Some(Fate::HandedOver(_)) = Fate::of(&answer) else {
            return answer;
        };
        if self.has_shipped(task.key()).await == Some(true) {
            Ok(Response::default())
        } else {
            answer
        }
    }

    async fn retract(&self, id: LetterId) {
        let note = Note::new(&self.name, "the warehouse has shipped it");
        let retracted = self.fulfilment.letters.step(id, &Step::Retract { note }).await;
        if let Err(error) = retracted {
            tracing::warn!(%error, "a letter that arrived cannot be marked");
        }
    }

    async fn has_shipped(&self, key: &str) -> Option<bool> {
        self.fulfilment.shipping.has(order_of(key)?).await
    }

    /// The task goes and its order is shipped, or it goes and its letter is stored, or it waits: in
    /// one transaction.
    async fn settle(&self, task: &Task, answer: &Answered) -> sqlx::Result<Settled> {
        let Fulfilment { database, boxes, .. } = &self.fulfilment;
        let mut tx = database.begin().await?;
        let settled = boxes.settle_in(tx.at(), task, answer).await?;
        match settled {
            Settled::Done => state::shipped_in(tx.at(), task.id(), time::wall()).await?,
            Settled::Rescheduled | Settled::Buried(_) => {}
            _ => {
                tx.rollback().await?;
                return Ok(settled);
            }
        }
        tx.commit().await?;
        Ok(settled)
    }

    async fn rest(&self) {
        let jitter = self.fulfilment.dice.roll().up_to(REST / 2);
        tokio::time::sleep(REST / 2 + jitter).await;
    }
}

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Round {
    /// How many tasks it took.
    pub taken: usize,
    /// How many of them are shipped.
    pub shipped: usize,
    /// How many wait for another round.
    pub rescheduled: usize,
    /// How many are dead letters now.
    pub dead_lettered: usize,
    /// How many belonged to somebody else when they came back.
    pub lost: usize,
}

/// Whether a send may have shipped its order unheard: one in its rounds, or a redrive.
fn is_in_doubt(record: &Record) -> bool {
    let Record { letter, state, .. } = record;
    *state == State::Stored
        && (letter.cause == Cause::Exhausted || letter.last_failure.kind.is_some())
}

/// A send that panicked is taken again when its lease ends.
fn mourn(carried: Result<Option<Settled>, JoinError>) {
    if let Err(error) = carried {
        tracing::error!(%error, "a send died");
    }
}

const REST: Duration = Duration::from_millis(100);
/// For writing down what came of it, on a machine that may have more to do.
const SPARE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Letters that are looked at together.
const LOOK_MOST: usize = 64;
const METRICS_MEND: &str = "report this, it is a bug";
