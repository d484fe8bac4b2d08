use std::collections::VecDeque;

use crate::model::{Discipline, Model};
use crate::units::count;

/// A request at the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) arrived: u64,
    pub(crate) call: u32,
    pub(crate) generation: u32,
    pub(crate) client: u32,
}

/// Workers behind a queue.
#[derive(Debug)]
pub(crate) struct Server {
    /// Idle workers; `None`: never short of one.
    idle: Option<u32>,
    queue: VecDeque<Job>,
    limit: u64,
    discipline: Discipline,
}

impl Server {
    pub(crate) fn new(model: &Model) -> Self {
        Self {
            idle: model.servers,
            queue: VecDeque::new(),
            limit: model.queue_limit.unwrap_or(u64::MAX),
            discipline: model.discipline,
        }
    }

    /// Takes a worker, if one is idle.
    pub(crate) fn employ(&mut self) -> bool {
        match &mut self.idle {
            None => true,
            Some(0) => false,
            Some(idle) => {
                *idle -= 1;
                true
            }
        }
    }

    /// A worker finished.
    pub(crate) fn dismiss(&mut self) {
        if let Some(idle) = &mut self.idle {
            *idle += 1;
        }
    }

    /// Lets a request wait, unless the queue is full.
    pub(crate) fn enqueue(&mut self, job: Job) -> bool {
        let room = count(self.queue.len()) < self.limit;
        if room {
            self.queue.push_back(job);
        }
        room
    }

    /// The request whose turn it is.
    pub(crate) fn dequeue(&mut self) -> Option<Job> {
        match self.discipline {
            Discipline::Fifo => self.queue.pop_front(),
            Discipline::Lifo => self.queue.pop_back(),
        }
    }

    pub(crate) fn waiting(&self) -> u64 {
        count(self.queue.len())
    }
}
