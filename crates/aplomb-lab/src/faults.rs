//! What goes wrong at the server.

use crate::call::Work;
use crate::model::Model;
use crate::queue::Kind;
use crate::server::{Job, missing};
use crate::simulation::Simulation;
use crate::units::{float, whole};
use crate::watch::Watch;
use crate::words::Fault;

impl<W: Watch> Simulation<'_, W> {
    /// Schedules what a fault does by itself when it begins and ends.
    pub(crate) fn schedule_fault(&mut self) {
        let (start, end) = (self.model.fault_start, self.model.fault_end());
        match self.model.fault {
            Fault::Pause => self.queue.push(end, Kind::Turn, END, 0),
            Fault::Restart => self.queue.push(start, Kind::Turn, BEGIN, 0),
            Fault::Capacity => {
                self.queue.push(start, Kind::Turn, BEGIN, 0);
                self.queue.push(end, Kind::Turn, END, 0);
            }
            _ => {}
        }
    }

    /// The fault begins or ends.
    pub(crate) fn turn(&mut self, which: u32) {
        match self.model.fault {
            Fault::Restart => self.crash(),
            Fault::Capacity => {
                let missing = if which == BEGIN { missing(self.model) } else { 0 };
                self.servers.iter_mut().for_each(|server| server.miss(missing));
                self.resize_doors(which == BEGIN);
            }
            _ => {}
        }
        if which == END {
            (0..self.servers.len()).for_each(|shard| self.serve_waiting(shard));
        }
    }

    /// What the server held is lost without a word; callers learn of it by their timeouts.
    fn crash(&mut self) {
        self.lost_before = self.queue.sequence();
        for shard in 0..self.servers.len() {
            for job in self.servers[shard].crash(self.model) {
                self.calls.release(job.work);
            }
        }
        self.crash_doors();
    }

    /// Whether the fault answers a request that arrives, or loses it.
    pub(crate) fn lets_down(&mut self, job: Job, work: Work) -> bool {
        let hit = match self.model.fault {
            fault @ (Fault::Error | Fault::Blackhole) => self.is_hit(fault, work.client),
            Fault::DeadShard => work.shard == 0 && self.is_hit(Fault::DeadShard, work.client),
            Fault::Restart => self.model.is_faulty(self.now),
            _ => false,
        };
        let kind = match self.model.fault {
            _ if !hit => return false,
            Fault::Blackhole => {
                self.calls.release(job.work);
                return true;
            }
            Fault::Restart => Kind::Unreached,
            _ if self.model.retry_after.is_some() => Kind::Later,
            _ => Kind::Refuse,
        };
        self.reply(kind, job);
        true
    }

    pub(crate) fn is_hit(&mut self, fault: Fault, client: u32) -> bool {
        self.model.fault == fault
            && self.model.is_faulty(self.now)
            && self.clients.of(client).fault.chance(self.model.fault_ratio)
    }

    /// How long work takes that begins now.
    pub(crate) fn slowed(&self, time: u64) -> u64 {
        match self.model.fault {
            Fault::Slow if self.model.is_faulty(self.now) => {
                whole(float(time) * self.model.fault_factor)
            }
            Fault::Restart => whole(float(time) * coldness(self.model, self.now)),
            _ => time,
        }
    }

    #[inline]
    pub(crate) fn is_paused(&self) -> bool {
        self.model.fault == Fault::Pause && self.model.is_faulty(self.now)
    }
}

/// How many times longer work takes: a server that was restarted warms up for as long as it was gone.
fn coldness(model: &Model, now: u64) -> f64 {
    let since = now.saturating_sub(model.fault_end());
    if now < model.fault_end() || since >= model.fault_seconds {
        return 1.0;
    }
    let left = 1.0 - float(since) / float(model.fault_seconds);
    1.0 + (model.fault_factor - 1.0) * left
}

const BEGIN: u32 = 0;
const END: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::SECOND;

    #[test]
    fn a_restarted_server_warms_up_for_as_long_as_it_was_gone() {
        let mut model = Model::default();
        for (key, value) in [
            ("fault", "restart"),
            ("fault_start", "10"),
            ("fault_seconds", "20"),
            ("fault_factor", "5"),
        ] {
            model.set(key, value).unwrap();
        }
        for (second, times) in [(0, 1), (30, 5), (40, 3), (45, 2), (50, 1), (60, 1)] {
            assert_eq!(coldness(&model, second * SECOND).to_string(), times.to_string());
        }
    }
}
