//! One commit for many callers.
//!
//! A commit that is synced takes as long for one record as for sixty. What callers ask for while a
//! commit is under way is therefore done in the next one, all of it in one transaction. Whoever was
//! told of the last one and asks for more at once comes along; it waits for nothing else: a caller who
//! is alone is served at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aplomb_idempotency::machine::{self, Verdict};
use aplomb_idempotency::{
    Begin, Begun, Held, Keep, RecordId, Settled, State, StoreError, StoredAnswer, Timestamp,
};
use sqlx::{SqliteConnection, SqlitePool};

use super::job::{Asked, Change, Job, Shared};
use super::row;
use super::store::IMMEDIATE;
use crate::columns;
use crate::error::{in_doubt, undone};
use crate::steps;

/// The steps of many callers, on their way into one transaction.
#[derive(Debug)]
pub(super) struct Group {
    writer: SqlitePool,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: Vec<Job>,
    is_served: bool,
}

impl Group {
    pub(super) fn new(writer: SqlitePool) -> Arc<Self> {
        Arc::new(Self { writer, queue: Mutex::default() })
    }

    pub(super) async fn begin(self: &Arc<Self>, begin: &Begin) -> Result<Begun, StoreError> {
        self.ask(begin.clone(), Job::Begin).await
    }

    pub(super) async fn complete(
        self: &Arc<Self>,
        held: Held,
        answer: &StoredAnswer,
        keep: Keep,
    ) -> Result<Settled, StoreError> {
        self.ask((held, answer.clone(), keep), Job::Complete).await
    }

    pub(super) async fn change(
        self: &Arc<Self>,
        id: RecordId,
        change: Change,
    ) -> Result<Settled, StoreError> {
        self.ask((id, change), Job::Change).await
    }

    async fn ask<Q, A>(
        self: &Arc<Self>,
        question: Q,
        job: fn(Asked<Q, A>) -> Job,
    ) -> Result<A, StoreError> {
        let (asked, answer) = Asked::new(question);
        if self.enqueue(job(asked)) {
            // A task of its own: the caller whose step came first may be gone before it is done.
            tokio::spawn(serve(Served { group: Arc::clone(self), is_done: false }));
        }
        answer.await.unwrap_or_else(|_| Err(StoreError::uncertain("the runtime shut down")))
    }

    /// Whether nobody serves the queue yet.
    fn enqueue(&self, job: Job) -> bool {
        let mut queue = self.queue();
        queue.jobs.push(job);
        !std::mem::replace(&mut queue.is_served, true)
    }

    /// What is next, in the order in which it was asked.
    fn next(&self) -> Option<Vec<Job>> {
        let mut queue = self.queue();
        let most = queue.jobs.len().min(JOBS_MAX);
        (most > 0).then(|| queue.jobs.drain(..most).collect())
    }

    /// Lets those who were just told run, as long as that brings more to do. Half of all callers
    /// would else find the next commit begun, and wait for another one.
    async fn gather(&self) {
        let mut waiting = self.queue().jobs.len();
        for _ in 0..GATHERED_MAX {
            tokio::task::yield_now().await;
            let before = std::mem::replace(&mut waiting, self.queue().jobs.len());
            if waiting == before || waiting >= JOBS_MAX {
                return;
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that serves a queue. If the runtime drops it, whoever waits is told, and the next
/// caller starts another one.
struct Served {
    group: Arc<Group>,
    is_done: bool,
}

impl Served {
    /// Ends the service, unless somebody has come in the meantime.
    fn is_done(&mut self) -> bool {
        let mut queue = self.group.queue();
        queue.is_served = !queue.jobs.is_empty();
        self.is_done = !queue.is_served;
        self.is_done
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if !self.is_done {
            *self.group.queue() = Queue::default();
        }
    }
}

async fn serve(mut served: Served) {
    while !served.is_done() {
        served.group.gather().await;
        if let Some(jobs) = served.group.next() {
            do_together(&served.group.writer, jobs).await;
        }
    }
}

/// Does all jobs in one transaction. If one of them fails, each is done by itself, so that it takes
/// no other with it.
async fn do_together(writer: &SqlitePool, mut jobs: Vec<Job>) {
    jobs.retain(|job| !job.is_moot());
    match commit(writer, &mut jobs).await {
        Err(failure) if !failure.is_final && jobs.len() > 1 => {
            for job in jobs {
                let mut alone = vec![job];
                let committed = commit(writer, &mut alone).await;
                tell(alone, committed);
            }
        }
        committed => tell(jobs, committed),
    }
}

/// Why a transaction failed, and whether its jobs would all fail again: there was no transaction
/// to be had, or it may have been committed.
struct Failure {
    error: sqlx::Error,
    meaning: fn(sqlx::Error) -> StoreError,
    is_final: bool,
}

impl Failure {
    fn of(is_final: bool, meaning: fn(sqlx::Error) -> StoreError) -> impl Fn(sqlx::Error) -> Self {
        move |error| Self { error, meaning, is_final }
    }
}

async fn commit(writer: &SqlitePool, jobs: &mut [Job]) -> Result<(), Failure> {
    let begun = writer.begin_with(IMMEDIATE).await;
    let mut tx = begun.map_err(Failure::of(true, undone))?;
    take_steps(&mut tx, jobs).await.map_err(Failure::of(false, undone))?;
    tx.commit().await.map_err(Failure::of(true, in_doubt))
}

async fn take_steps(connection: &mut SqliteConnection, jobs: &mut [Job]) -> sqlx::Result<()> {
    let begins = jobs.iter().filter(|job| matches!(job, Job::Begin(_))).count();
    let mut numbers = match begins {
        0 => None,
        count => Some(row::next_fences(connection, count).await?),
    };
    let mut claims = 0;
    for job in jobs {
        match job {
            Job::Begin(asked) => {
                let begun = begin(connection, &asked.question, &mut numbers).await?;
                claims += usize::from(matches!(begun, Begun::Claimed(_)));
                asked.answer = Some(begun);
            }
            Job::Complete(asked) => {
                asked.answer = Some(complete(connection, &asked.question).await?);
            }
            Job::Change(asked) => {
                let (id, change) = &asked.question;
                asked.answer = Some(steps::change(connection, *id, change).await?);
            }
        }
    }
    if claims > 0 {
        // Two for one: what has expired goes faster than new keys come.
        steps::sweep(connection, 2 * claims).await?;
    }
    Ok(())
}

/// Most keys are new: their records are written without a look. The write lock holds them all.
async fn begin(
    connection: &mut SqliteConnection,
    begin: &Begin,
    numbers: &mut Option<(i64, Timestamp)>,
) -> sqlx::Result<Begun> {
    if let Some((next, now)) = numbers
        && let Verdict::Claim(turn) = machine::judge(None, begin, *now)
    {
        let started = machine::started(begin, columns::fence(*next)?, turn, *now);
        let record = machine::record(None, begin, started, *now);
        *next += 1;
        if row::claim_new(connection, &record, started).await? {
            return Ok(Begun::Claimed(started));
        }
    }
    steps::begin(connection, begin).await
}

async fn complete(
    connection: &mut SqliteConnection,
    (held, answer, keep): &(Held, StoredAnswer, Keep),
) -> sqlx::Result<Settled> {
    if row::complete(connection, *held, answer, *keep).await? {
        return Ok(Settled::Done);
    }
    let step = |state: Option<&State>, now| {
        machine::complete(state, held.fence, answer.clone(), *keep, now)
    };
    steps::change(connection, held.id, step).await
}

fn tell(jobs: Vec<Job>, committed: Result<(), Failure>) {
    let Err(Failure { error, meaning, .. }) = committed else {
        return jobs.into_iter().for_each(|job| job.tell(Ok(())));
    };
    let mut failure = Some(Shared::new(meaning(error)));
    let mut jobs = jobs.into_iter().peekable();
    while let Some(job) = jobs.next() {
        // The last one, who may be the only one, is told the error itself.
        let told = if jobs.peek().is_some() { failure.clone() } else { failure.take() };
        if let Some(told) = told {
            job.tell(Err(told.into()));
        }
    }
}

/// How often those who were told are let run before the next commit.
const GATHERED_MAX: usize = 16;
/// Bounds how long a handler's own transaction waits for one commit.
const JOBS_MAX: usize = 64;
