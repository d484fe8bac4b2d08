use std::fmt;
use std::time::Duration;

use aplomb_core::time::Instant;
use aplomb_core::{OperationClass, time};
use aplomb_dead_letter::{Job, KeptRequest, LetterId, Timestamp};
use bytes::Bytes;
use http::Request;

/// A job that a worker took from the outbox, under a number of its own.
///
/// When its lease has ended, another worker may take it; from then on nothing that is done with this
/// value changes anything. Dropping it leaves the job taken until then.
///
/// ```
/// use std::time::Duration;
/// use aplomb_dead_letter_sqlx::{Depth, MigrateError, Outbox, OutboxError, Task};
///
/// # async fn f(outbox: Outbox<sqlx::Sqlite>) -> Result<(), Box<dyn std::error::Error>> {
/// let ready: Result<(), MigrateError> = outbox.migrate().await;
/// ready?;
/// let depth: Result<Depth, OutboxError> = outbox.depth().await;
/// println!("{} due", depth?.due);
/// let tasks: Vec<Task> = outbox.claim("worker-1", 16, Duration::from_secs(30)).await?;
/// for task in tasks {
///     println!("{} for the {}. time", task.key(), task.takes());
/// }
/// # Ok(()) }
/// ```
pub struct Task {
    taken: Taken,
    taken_at: Instant,
}

/// A job as it was read.
#[derive(Debug)]
pub struct Taken {
    pub(crate) id: LetterId,
    pub(crate) fence: u64,
    pub(crate) key: Box<str>,
    pub(crate) request: KeptRequest,
    pub(crate) left: Duration,
    pub(crate) takes: u32,
    pub(crate) attempts: u32,
    pub(crate) first_failed_at: Option<Timestamp>,
    pub(crate) queued_at: Timestamp,
    pub(crate) due_at: Timestamp,
}

/// A job, and the number under which it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub(crate) id: LetterId,
    pub(crate) fence: u64,
}

impl Task {
    pub(crate) fn new(taken: Taken) -> Self {
        Self { taken, taken_at: time::now() }
    }

    /// The name of its work; its letter would have the same.
    pub fn id(&self) -> LetterId {
        self.taken.id
    }

    /// Its key.
    pub fn key(&self) -> &str {
        &self.taken.key
    }

    /// The number under which it was taken. Later ones are greater.
    pub fn fence(&self) -> u64 {
        self.taken.fence
    }

    /// How often it was taken, this time included. One that is taken again and again, and never
    /// settled, kills its workers.
    pub fn takes(&self) -> u32 {
        self.taken.takes
    }

    /// When it was put into the outbox, on the database's clock.
    pub fn queued_at(&self) -> Timestamp {
        self.taken.queued_at
    }

    /// When its lease ends, on the database's clock.
    pub fn leased_until(&self) -> Timestamp {
        self.taken.due_at
    }

    /// What the queue remembers of it, for a [`DeadLetterLayer`](aplomb_dead_letter::DeadLetterLayer).
    pub fn job(&self) -> Job {
        let Taken { left, takes, attempts, first_failed_at, .. } = self.taken;
        let job = Job::new(left, self.taken_at).rounds(takes.saturating_sub(1)).attempts(attempts);
        match first_failed_at {
            Some(at) => job.first_failed_at(at),
            None => job,
        }
    }

    /// Its request, as the layer wants it: with its class and its [`Job`] in the extensions.
    pub fn request<B: From<Bytes>>(&self) -> Request<B> {
        let mut request: Request<B> = self.taken.request.to_request();
        request.extensions_mut().insert(OperationClass::Deferred);
        request.extensions_mut().insert(self.job());
        request
    }

    pub(crate) fn held(&self) -> Held {
        Held { id: self.taken.id, fence: self.taken.fence }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.taken.id)
            .field("fence", &self.taken.fence)
            .field("takes", &self.taken.takes)
            .finish_non_exhaustive()
    }
}

/// How many jobs an outbox holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Depth {
    /// All of them.
    pub jobs: u64,
    /// Those that a worker has.
    pub taken: u64,
    /// Those that a worker could take now.
    pub due: u64,
}
