//! What cannot be.

use aplomb_core::Attempts;

use crate::error::Impossible;
use crate::model::Model;
use crate::words::{Circuit, Discipline, Fault, Guard, Kind, Memory, Schedule, Shed, Start};

/// A contradiction: whether it is there, between which keys, and what to do.
type Rule = (bool, &'static [&'static str], &'static str);

impl Model {
    /// Whether the settings fit together.
    ///
    /// # Errors
    ///
    /// The first pair that does not, and why.
    pub fn check(&self) -> Result<(), Impossible> {
        let rules = [&self.times()[..], &self.faults(), &self.callers(), &self.servers()].concat();
        match rules.into_iter().find(|(wrong, ..)| *wrong) {
            Some((_, keys, why)) => Err(Impossible::new(self, keys, why)),
            None => Ok(()),
        }
    }

    fn times(&self) -> [Rule; 4] {
        let round_trip = 2 * self.network_delay;
        [
            (
                self.attempt_timeout.is_some_and(|time| time < round_trip),
                &["attempt_timeout", "network_delay"],
                "an attempt ends before any answer can arrive; give it at least two network delays",
            ),
            (
                self.arrivals_end.is_some_and(|end| end > self.horizon),
                &["arrivals_end", "horizon"],
                "calls would begin after the end; raise the horizon",
            ),
            (
                self.attempts == Attempts::UNLIMITED
                    && self.network_delay == 0
                    && (self.base == 0 || self.backoff == Schedule::None),
                &["attempts", "network_delay", "backoff"],
                "retries without end or delay would stop the clock; set network_delay or a backoff",
            ),
            (
                self.breaker != Circuit::None
                    && (self.breaker_open == 0 || self.breaker_jitter == Schedule::None),
                &["breaker", "breaker_open", "breaker_jitter"],
                "a circuit that is never open breaks nothing; set breaker_open and a jitter",
            ),
        ]
    }

    fn faults(&self) -> [Rule; 4] {
        let is_faulty = self.fault != Fault::None;
        [
            (
                is_faulty && self.fault_start >= self.horizon,
                &["fault_start", "horizon"],
                "the fault would begin after the end; raise the horizon",
            ),
            (
                is_faulty && self.fault_seconds == 0,
                &["fault", "fault_seconds"],
                "a fault needs a length; set fault_seconds",
            ),
            (
                self.fault == Fault::DeadShard && self.shards == 1,
                &["fault", "shards"],
                "one shard of one is the whole service; set shards, or take fault=error",
            ),
            (
                matches!(self.fault, Fault::Capacity | Fault::Restart | Fault::Pause)
                    && self.servers.is_none(),
                &["fault", "servers"],
                "a server that is never short of workers cannot lose them; set servers",
            ),
        ]
    }

    fn callers(&self) -> [Rule; 5] {
        [
            (
                self.budget_initial.is_some_and(|initial| initial > self.budget_cap),
                &["budget_initial", "budget_cap"],
                "a budget cannot start above its cap; raise budget_cap",
            ),
            (
                self.base > self.cap,
                &["base", "cap"],
                "the first delay is over the longest; raise cap",
            ),
            (
                self.breaker_open > self.breaker_cap,
                &["breaker_open", "breaker_cap"],
                "the first open time is over the longest; raise breaker_cap",
            ),
            (
                self.hedge_after.is_some() && self.layers > 1,
                &["hedge_after", "layers"],
                "each service of a chain would hedge what the one above hedges; leave layers at 1",
            ),
            (
                self.fault == Fault::Surge && self.start == Start::Together,
                &["fault", "start"],
                "calls that all begin at once cannot begin faster; set start=open",
            ),
        ]
    }

    fn servers(&self) -> [Rule; 5] {
        let is_row = self.service == Kind::Row;
        [
            (
                is_row && (self.layers > 1 || self.attempt_timeout.is_some() || self.shards > 1),
                &["service", "layers", "attempt_timeout", "shards"],
                "a row is called directly and answers always; leave layers and shards at 1 and attempt_timeout at none",
            ),
            (
                is_row && (self.fault != Fault::None || self.hedge_after.is_some()),
                &["service", "fault", "hedge_after"],
                "a row fails by contention alone; leave fault and hedge_after at none",
            ),
            (
                self.admission == Guard::Aplomb && (is_row || self.servers.is_none()),
                &["admission", "service", "servers"],
                "admission guards workers that can be too few; set servers",
            ),
            (
                self.admission == Guard::Aplomb
                    && (self.discipline != Discipline::Fifo || self.shed != Shed::None),
                &["admission", "discipline", "shed"],
                "admission decides by itself who is next; leave discipline at fifo and shed at none",
            ),
            (
                self.keys == Memory::Replay && (is_row || self.layers > 1),
                &["keys", "service", "layers"],
                "keys are remembered by workers that are called directly; leave layers at 1",
            ),
        ]
    }
}
