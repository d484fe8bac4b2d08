//! What services do: pass on, queue, work, answer.

use crate::call::{Ticket, Work};
use crate::chance::{exponential, normal};
use crate::queue::{Event, Kind};
use crate::server::Job;
use crate::simulation::Simulation;
use crate::watch::Watch;
use crate::words::{Distribution, Fault, Kind as Service, Memory, Shed};

impl<W: Watch> Simulation<'_, W> {
    /// An attempt reaches the service that it was sent to.
    pub(crate) fn reach(&mut self, place: u32, generation: u32) {
        let work = *self.calls.work(place);
        if work.layer < self.model.layers {
            let service = self.model.clients + u32::from(work.layer) - 1;
            let parent = Ticket { call: work.call, generation };
            self.calls.release(place);
            return self.begin(service, work.layer + 1, Some(parent));
        }
        if !self.door.is_open_to_all() && self.is_paused() {
            // Nobody is at the door: it waits before it until somebody is.
            let at = self.model.fault_end();
            return self.queue.push(at, Kind::Reach, place, generation);
        }
        self.measures.at(self.now).arrivals += 1;
        let job = Job { arrived: self.now, work: place, generation };
        match self.model.service {
            Service::Workers => self.accept(job, work),
            Service::Row => self.read(job, work),
        }
    }

    /// The fault is judged first, then the request is served, queued or refused.
    fn accept(&mut self, job: Job, work: Work) {
        if self.model.fault != Fault::None && self.lets_down(job, work) {
            return;
        }
        if self.model.keys == Memory::Replay && work.effects > 0 {
            return self.reply(Kind::Answer, job);
        }
        if !self.door.is_open_to_all() {
            return self.knock(job, work);
        }
        let shard = usize::from(work.shard);
        if !self.is_paused() && self.servers[shard].employ() {
            return self.work(job, work.client);
        }
        if !self.servers[shard].enqueue(job, self.now) {
            self.measures.at(self.now).rejects += 1;
            return self.reply(Kind::Refuse, job);
        }
        let waiting = self.servers[shard].waiting();
        let row = self.measures.at(self.now);
        row.queue = row.queue.max(waiting);
    }

    pub(crate) fn work(&mut self, job: Job, client: u32) {
        let wait = self.now - job.arrived;
        let row = self.measures.at(self.now);
        row.served += 1;
        row.queued += u64::from(wait > 0);
        row.wait += wait;

        let mean = self.model.service_time;
        let time = match self.model.service_distribution {
            Distribution::Constant => mean,
            Distribution::Exponential => exponential(&mut self.clients.of(client).service, mean),
        };
        let at = self.now.saturating_add(self.slowed(time));
        self.queue.push(at, Kind::Finish, job.work, job.generation);
    }

    pub(crate) fn finish(&mut self, event: &Event) {
        let (place, generation) = (event.of, event.generation);
        if event.sequence() < self.lost_before {
            // The server that worked at it is gone.
            return self.calls.release(place);
        }
        if self.is_paused() {
            // Its work stood still for the whole pause.
            let at = self.now + self.model.fault_seconds;
            return self.queue.push(at, Kind::Finish, place, generation);
        }
        let work = self.calls.work(place);
        work.effects = work.effects.saturating_add(1);
        let Work { call, client, shard, effects, .. } = *work;
        let is_duplicate = effects > 1 && self.model.keys == Memory::None;
        let row = self.measures.at(self.now);
        row.completions += 1;
        row.duplicates += u64::from(is_duplicate);
        if !self.is_hit(Fault::Lost, client) {
            let at = self.now + self.model.network_delay;
            self.queue.push(at, Kind::Answer, call, generation);
        }
        self.calls.release(place);
        if !self.door.is_open_to_all() {
            return self.let_in(shard);
        }
        self.servers[usize::from(shard)].dismiss();
        self.serve_waiting(shard.into());
    }

    /// Gives waiting requests to idle workers.
    pub(crate) fn serve_waiting(&mut self, shard: usize) {
        while self.servers[shard].waiting() > 0 && self.servers[shard].employ() {
            match self.next_worthy(shard) {
                Some(job) => {
                    let client = self.calls.work(job.work).client;
                    self.work(job, client);
                }
                None => self.servers[shard].dismiss(),
            }
        }
    }

    /// The next waiting request that is worth a worker.
    fn next_worthy(&mut self, shard: usize) -> Option<Job> {
        while let Some(job) = self.servers[shard].dequeue(self.now) {
            let waited = self.now - job.arrived;
            if self.is_given_up(&job, waited) {
                self.measures.at(self.now).rejects += 1;
                self.calls.release(job.work);
            } else if self.model.queue_wait_limit.is_some_and(|limit| waited > limit) {
                self.measures.at(self.now).rejects += 1;
                self.reply(Kind::Refuse, job);
            } else {
                return Some(job);
            }
        }
        None
    }

    /// Whether the server knows that nobody waits for it.
    fn is_given_up(&mut self, job: &Job, waited: u64) -> bool {
        match self.model.shed {
            Shed::None => false,
            Shed::Cancel => {
                let call = self.calls.work(job.work).call;
                self.calls.at(call).generation != job.generation
            }
            Shed::Deadline => self
                .model
                .attempt_timeout
                .is_some_and(|timeout| waited + self.model.network_delay >= timeout),
        }
    }

    /// An attempt reads the row; what it read goes back to the caller, who sends its write.
    fn read(&mut self, job: Job, work: Work) {
        self.calls.at(work.call).version = self.version;
        let at = self.now + self.delay(work.client) + self.delay(work.client);
        self.queue.push(at, Kind::Write, job.work, job.generation);
    }

    /// The write holds if nobody wrote since.
    pub(crate) fn write(&mut self, place: u32, generation: u32) {
        let Work { call, client, .. } = *self.calls.work(place);
        let version = self.calls.at(call).version;
        let holds = version == self.version;
        self.version += u32::from(holds);
        self.measures.at(self.now).completions += 1;
        let at = self.now + self.delay(client);
        let kind = if holds { Kind::Answer } else { Kind::Refuse };
        self.queue.push(at, kind, call, generation);
        self.calls.release(place);
    }

    /// How long the network takes this time.
    pub(crate) fn delay(&mut self, client: u32) -> u64 {
        match self.model.network_deviation {
            0 => self.model.network_delay,
            deviation => {
                normal(&mut self.clients.of(client).network, self.model.network_delay, deviation)
            }
        }
    }

    /// Answers a request that the server has done with.
    pub(crate) fn reply(&mut self, kind: Kind, job: Job) {
        let at = self.now + self.model.network_delay;
        let call = self.calls.work(job.work).call;
        self.queue.push(at, kind, call, job.generation);
        self.calls.release(job.work);
    }
}
