//! What services do: pass on, queue, work, answer, fail.

use crate::call::{Call, Ticket};
use crate::chance::{exponential, normal};
use crate::model::{Distribution, Fault, Kind as Service, Shed};
use crate::queue::Kind;
use crate::server::Job;
use crate::simulation::Simulation;
use crate::units::{float, whole};
use crate::watch::Watch;

impl<W: Watch> Simulation<'_, W> {
    /// An attempt reaches the service that it was sent to.
    pub(crate) fn reach(&mut self, place: u32, generation: u32) {
        let Call { client, layer, generation: current, .. } = *self.calls.at(place);
        debug_assert_eq!(current, generation, "patience outlasts the way there");
        if layer < self.model.layers {
            let service = self.model.clients + u32::from(layer) - 1;
            let parent = Ticket { call: place, generation };
            return self.begin(service, layer + 1, Some(parent));
        }
        self.measures.at(self.now).arrivals += 1;
        let job = Job { arrived: self.now, call: place, generation, client };
        match self.model.service {
            Service::Workers => self.accept(job),
            Service::Row => self.read(job),
        }
    }

    /// The fault is judged first, then the request is served, queued or refused.
    fn accept(&mut self, job: Job) {
        if self.is_hit(Fault::Error, job.client) {
            return self.reply(Kind::Refuse, job);
        }
        if self.is_hit(Fault::Blackhole, job.client) {
            return;
        }
        if !self.is_paused() && self.server.employ() {
            return self.work(job);
        }
        if !self.server.enqueue(job) {
            self.measures.at(self.now).rejects += 1;
            return self.reply(Kind::Refuse, job);
        }
        let waiting = self.server.waiting();
        let row = self.measures.at(self.now);
        row.queue = row.queue.max(waiting);
    }

    fn work(&mut self, job: Job) {
        let wait = self.now - job.arrived;
        let row = self.measures.at(self.now);
        row.served += 1;
        row.queued += u64::from(wait > 0);
        row.wait += wait;

        let mean = self.model.service_time;
        let mut time = match self.model.service_distribution {
            Distribution::Constant => mean,
            Distribution::Exponential => {
                exponential(&mut self.clients.of(job.client).service, mean)
            }
        };
        if self.model.fault == Fault::Slow && self.model.is_faulty(self.now) {
            time = whole(float(time) * self.model.fault_factor);
        }
        let at = self.now.saturating_add(time);
        self.queue.push(at, Kind::Finish, job.call, job.generation);
    }

    pub(crate) fn finish(&mut self, place: u32, generation: u32) {
        if self.is_paused() {
            // Its work stood still for the whole pause.
            let at = self.now + self.model.fault_seconds;
            return self.queue.push(at, Kind::Finish, place, generation);
        }
        self.measures.at(self.now).completions += 1;
        let at = self.now + self.model.network_delay;
        self.queue.push(at, Kind::Answer, place, generation);
        self.server.dismiss();
        self.serve_waiting();
    }

    /// Gives waiting requests to idle workers.
    pub(crate) fn serve_waiting(&mut self) {
        while self.server.waiting() > 0 && self.server.employ() {
            match self.next_worthy() {
                Some(job) => self.work(job),
                None => self.server.dismiss(),
            }
        }
    }

    /// The next waiting request that is worth a worker.
    fn next_worthy(&mut self) -> Option<Job> {
        while let Some(job) = self.server.dequeue() {
            let waited = self.now - job.arrived;
            if self.is_given_up(&job, waited) {
                self.measures.at(self.now).rejects += 1;
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
            Shed::Cancel => self.calls.at(job.call).generation != job.generation,
            Shed::Deadline => self
                .model
                .attempt_timeout
                .is_some_and(|timeout| waited + self.model.network_delay >= timeout),
        }
    }

    /// An attempt reads the row; what it read goes back to the caller, who sends its write.
    fn read(&mut self, job: Job) {
        self.calls.at(job.call).version = self.version;
        let at = self.now + self.delay(job.client) + self.delay(job.client);
        self.queue.push(at, Kind::Write, job.call, job.generation);
    }

    /// The write holds if nobody wrote since.
    pub(crate) fn write(&mut self, place: u32, generation: u32) {
        let Call { version, client, .. } = *self.calls.at(place);
        let holds = version == self.version;
        self.version += u32::from(holds);
        self.measures.at(self.now).completions += 1;
        let at = self.now + self.delay(client);
        let kind = if holds { Kind::Answer } else { Kind::Refuse };
        self.queue.push(at, kind, place, generation);
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

    fn reply(&mut self, kind: Kind, job: Job) {
        let at = self.now + self.model.network_delay;
        self.queue.push(at, kind, job.call, job.generation);
    }

    fn is_hit(&mut self, fault: Fault, client: u32) -> bool {
        self.model.fault == fault
            && self.model.is_faulty(self.now)
            && self.clients.of(client).fault.chance(self.model.fault_ratio)
    }

    fn is_paused(&self) -> bool {
        self.model.fault == Fault::Pause && self.model.is_faulty(self.now)
    }
}
