use std::collections::VecDeque;

use crate::model::Model;
use crate::units::{SECOND, count, float, whole};
use crate::words::Discipline;

/// A request at the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) arrived: u64,
    pub(crate) work: u32,
    pub(crate) generation: u32,
}

/// Workers behind a queue: the whole last service, or one of its shards.
#[derive(Debug)]
pub(crate) struct Server {
    /// Idle workers; `None`: never short of one.
    idle: Option<u32>,
    /// Workers that are missing; idle ones beyond them serve.
    absent: u32,
    queue: VecDeque<Job>,
    /// Since when the queue was never empty.
    stood_since: u64,
    limit: u64,
    discipline: Discipline,
}

impl Server {
    pub(crate) fn new(model: &Model) -> Self {
        Self {
            idle: model.servers,
            absent: 0,
            queue: VecDeque::new(),
            stood_since: 0,
            limit: model.queue_limit.unwrap_or(u64::MAX),
            discipline: model.discipline,
        }
    }

    /// Takes a worker, if one is idle.
    #[inline]
    pub(crate) fn employ(&mut self) -> bool {
        match &mut self.idle {
            None => true,
            Some(idle) if *idle <= self.absent => false,
            Some(idle) => {
                *idle -= 1;
                true
            }
        }
    }

    /// A worker finished.
    #[inline]
    pub(crate) fn dismiss(&mut self) {
        if let Some(idle) = &mut self.idle {
            *idle += 1;
        }
    }

    /// So many workers are missing from now on; what they do is finished first.
    pub(crate) fn miss(&mut self, workers: u32) {
        self.absent = workers;
    }

    /// Lets a request wait, unless the queue is full.
    pub(crate) fn enqueue(&mut self, job: Job, now: u64) -> bool {
        if count(self.queue.len()) >= self.limit {
            return false;
        }
        if self.queue.is_empty() {
            self.stood_since = now;
        }
        self.queue.push_back(job);
        true
    }

    /// The request whose turn it is.
    pub(crate) fn dequeue(&mut self, now: u64) -> Option<Job> {
        let newest = match self.discipline {
            Discipline::Fifo => false,
            Discipline::Lifo => true,
            Discipline::Adaptive => now - self.stood_since >= STANDS,
        };
        if newest { self.queue.pop_back() } else { self.queue.pop_front() }
    }

    #[inline]
    pub(crate) fn waiting(&self) -> u64 {
        count(self.queue.len())
    }

    /// Forgets everything; tells what it held in its queue.
    pub(crate) fn crash(&mut self, model: &Model) -> VecDeque<Job> {
        std::mem::replace(self, Self::new(model)).queue
    }
}

/// How many workers a loss of this share takes.
pub(crate) fn missing(model: &Model) -> u32 {
    let workers = model.servers.unwrap_or(0);
    let missing = float(workers.into()) * model.fault_ratio.as_f64();
    u32::try_from(whole(missing.round())).unwrap_or(workers).min(workers)
}

/// A queue that has not been empty for so long is served from its end (Maurer, *Fail at Scale*, ACM
/// Queue 13(8), 2015).
const STANDS: u64 = SECOND / 10;
