//! The server's door: the admission that ships, told the time.

use aplomb_admission::{Arrival, Gate, Job as Knock, Limit, Rejection, Terms, Ticket};
use aplomb_core::{Deadline, OperationClass};

use crate::call::Work;
use crate::model::{Model, nanos};
use crate::queue::Kind;
use crate::server::{Job, missing};
use crate::simulation::Simulation;
use crate::units::{count, index};
use crate::watch::Watch;
use crate::words::Guard;

/// A gate for each shard, and who waits there.
#[derive(Debug)]
pub(crate) struct Door {
    gates: Vec<Gate<u32>>,
    terms: Terms,
    waiters: Vec<Waiter>,
    free: Vec<u32>,
}

/// One who waits. Places are used again; generations go on counting.
#[derive(Debug)]
struct Waiter {
    job: Job,
    ticket: Option<Ticket>,
    generation: u32,
}

impl Door {
    pub(crate) fn new(model: &Model) -> Self {
        let guarded = if model.admission == Guard::Aplomb { model.shards } else { 0 };
        let limit = model.servers.unwrap_or(1);
        let mut terms = Terms::DEFAULT;
        if let Some(wait) = model.queue_wait_limit {
            terms.longest_wait = nanos(wait);
        }
        if let Some(limit) = model.queue_limit {
            terms.waiters_max = usize::try_from(limit).unwrap_or(usize::MAX);
        }
        let gates = (0..guarded).map(|_| Gate::new(Limit::new(limit))).collect();
        Self { gates, terms, waiters: Vec::new(), free: Vec::new() }
    }

    #[inline]
    pub(crate) fn is_open_to_all(&self) -> bool {
        self.gates.is_empty()
    }

    fn put(&mut self, job: Job) -> u32 {
        if let Some(place) = self.free.pop() {
            let waiter = &mut self.waiters[index(place.into())];
            (waiter.job, waiter.ticket) = (job, None);
            return place;
        }
        self.waiters.push(Waiter { job, ticket: None, generation: 0 });
        u32::try_from(self.waiters.len() - 1).expect("the estimate bounds those who wait")
    }

    fn take(&mut self, place: u32) -> Job {
        let waiter = &mut self.waiters[index(place.into())];
        waiter.generation = waiter.generation.wrapping_add(1);
        waiter.ticket = None;
        self.free.push(place);
        waiter.job
    }
}

impl<W: Watch> Simulation<'_, W> {
    /// A request asks to be let in.
    pub(crate) fn knock(&mut self, job: Job, work: Work) {
        let (now, shard) = (self.instant(), usize::from(work.shard));
        let patience = self.model.attempt_timeout;
        let left = patience.map(|time| nanos(time.saturating_sub(self.model.network_delay)));
        let deadline = left.map(|left| Deadline::after(now, left));
        if deadline.is_some_and(|deadline| self.door.terms.is_hopeless(deadline, now)) {
            return self.turn_away(job, false);
        }
        if self.door.gates[shard].enter() {
            return self.work(job, work.client);
        }
        let mut knock = Knock::new(OperationClass::Read);
        knock.deadline = deadline;
        let call = self.calls.awaiting(work.call, job.generation);
        knock.is_reattempt = call.is_some_and(|call| !call.progress.attempt().is_first());
        let waiter = self.door.put(job);
        match self.door.gates[shard].arrive(knock, &self.door.terms, now, waiter) {
            Arrival::Admitted => {
                self.door.take(waiter);
                self.work(job, work.client);
            }
            Arrival::Rejected(rejection) => self.dismiss_waiter(waiter, &rejection),
            Arrival::Waits { ticket, displaced } => {
                self.wait_for_admission(waiter, ticket);
                if let Some((other, rejection)) = displaced {
                    self.dismiss_waiter(other, &rejection);
                }
                let waiting = self.door.gates[shard].snapshot(&self.door.terms, now).waiting;
                let row = self.measures.at(self.now);
                row.queue = row.queue.max(count(waiting));
            }
        }
    }

    fn wait_for_admission(&mut self, place: u32, ticket: Ticket) {
        let waiter = &mut self.door.waiters[index(place.into())];
        waiter.ticket = Some(ticket);
        let until = ticket.until().saturating_duration_since(self.instant());
        let at = self.now + u64::try_from(until.as_nanos()).unwrap_or(u64::MAX / 2);
        self.queue.push(at, Kind::GiveUp, place, self.door.waiters[index(place.into())].generation);
    }

    /// A request has waited for as long as it may.
    pub(crate) fn give_up(&mut self, place: u32, generation: u32) {
        if self.is_paused() {
            return self.queue.push(self.model.fault_end(), Kind::GiveUp, place, generation);
        }
        let waiter = &self.door.waiters[index(place.into())];
        let Some(ticket) = waiter.ticket.filter(|_| waiter.generation == generation) else {
            return;
        };
        let (work, now) = (waiter.job.work, self.instant());
        let shard = usize::from(self.calls.work(work).shard);
        let gone = self.door.gates[shard].give_up(ticket, &self.door.terms, now);
        if let Some((place, rejection)) = gone {
            self.dismiss_waiter(place, &rejection);
        }
    }

    /// A worker is idle again: lets in who waits.
    pub(crate) fn let_in(&mut self, shard: u16) {
        if self.door.gates[usize::from(shard)].finish() {
            self.call_next(shard.into());
        }
    }

    fn call_next(&mut self, shard: usize) {
        let now = self.instant();
        while let Some((place, verdict)) = self.door.gates[shard].next(&self.door.terms, now) {
            match verdict {
                Ok(_) => {
                    let job = self.door.take(place);
                    let client = self.calls.work(job.work).client;
                    self.work(job, client);
                }
                Err(rejection) => self.dismiss_waiter(place, &rejection),
            }
        }
    }

    /// Workers are missing, or are back.
    pub(crate) fn resize_doors(&mut self, are_missing: bool) {
        let workers = self.model.servers.unwrap_or(1);
        let missing = if are_missing { missing(self.model) } else { 0 };
        // A gate without any place has no meaning; one that is never free has.
        let limit = Limit::new((workers - missing).max(1));
        for shard in 0..self.door.gates.len() {
            self.door.gates[shard].set_limit(limit);
            self.call_next(shard);
        }
    }

    /// The server is gone: whoever waited hears nothing of it.
    pub(crate) fn crash_doors(&mut self) {
        let waiting: Vec<u32> = (0..self.door.waiters.len())
            .filter(|&place| self.door.waiters[place].ticket.is_some())
            .filter_map(|place| u32::try_from(place).ok())
            .collect();
        for place in waiting {
            let job = self.door.take(place);
            self.calls.release(job.work);
        }
        let limit = Limit::new(self.model.servers.unwrap_or(1));
        for gate in &mut self.door.gates {
            *gate = Gate::new(limit);
        }
    }

    fn dismiss_waiter(&mut self, place: u32, rejection: &Rejection) {
        let job = self.door.take(place);
        self.turn_away(job, rejection.may_retry);
    }

    fn turn_away(&mut self, job: Job, may_retry: bool) {
        self.measures.at(self.now).rejects += 1;
        let kind = if may_retry { Kind::Busy } else { Kind::Stop };
        self.reply(kind, job);
    }
}
