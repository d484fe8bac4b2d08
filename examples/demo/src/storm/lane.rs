//! One policy under the scenario.

use std::time::Duration;

use aplomb_lab::{Control, Model, simulate};

use super::compare::Row;
use crate::trouble::Trouble;

/// A policy, and everything that both worlds must agree on.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) attempts: u32,
    /// Whether retries are paid for from aplomb's budget.
    pub(crate) budget: bool,
    pub(crate) clients: u32,
    pub(crate) workers: u32,
    pub(crate) seconds: u32,
    pub(crate) seed: u64,
    model: Model,
}

/// The lanes that are compared.
pub(crate) fn all(clients: u32, seconds: u32, seed: u64) -> Result<Vec<Lane>, Trouble> {
    let lanes = [("no retries", 1, false), ("three attempts", 3, false), ("aplomb", 3, true)];
    lanes
        .into_iter()
        .map(|(name, attempts, budget)| {
            let workers = clients / CLIENTS_PER_WORKER;
            let mut lane = Lane {
                name,
                attempts,
                budget,
                clients,
                workers,
                seconds,
                seed,
                model: Model::default(),
            };
            for (key, value) in lane.settings() {
                let set = lane.model.set(key, &value);
                set.map_err(|wrong| Trouble::new(wrong.to_string()))?;
            }
            Ok(lane)
        })
        .collect()
}

impl Lane {
    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("clients", self.clients.to_string()),
            ("arrivals_per_second", (f64::from(self.clients) / GAP.as_secs_f64()).to_string()),
            ("attempts", self.attempts.to_string()),
            ("attempt_timeout", "500ms".into()),
            ("budget", if self.budget { "aplomb" } else { "none" }.into()),
            ("servers", self.workers.to_string()),
            ("service_time", "40ms".into()),
            // Loopback; the rest of it is the machine's own time.
            ("network_delay", "200us".into()),
            ("timer_tick", "1ms".into()),
            ("fault", "slow".into()),
            ("fault_factor", FACTOR.to_string()),
            ("fault_start", FAULT.0.to_string()),
            ("fault_seconds", (FAULT.1 - FAULT.0).to_string()),
            ("horizon", self.seconds.to_string()),
        ]
    }

    /// What the lab says.
    pub(crate) fn predict(&self) -> Vec<Row> {
        let measures = simulate(&self.model, self.seed, &mut (), &Control::default());
        let rows = measures.seconds.iter();
        rows.map(|row| Row { calls: row.calls, sends: row.attempts, good: row.successes }).collect()
    }

    /// How many times longer work takes that begins at this second.
    pub(crate) fn slowness(at: Duration) -> u32 {
        let is_faulty = (FAULT.0..FAULT.1).contains(&at.as_secs());
        if is_faulty { FACTOR } else { 1 }
    }
}

/// The seconds of the fault.
pub(crate) const FAULT: (u64, u64) = (10, 20);
/// The mean time between two calls of a client.
pub(crate) const GAP: Duration = Duration::from_secs(10);
/// The mean time of the work for one call.
pub(crate) const WORK: Duration = Duration::from_millis(40);
/// The patience with one attempt.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);
const FACTOR: u32 = 5;
/// A worker does 25 calls a second: so many clients, a call in ten seconds each, are 80 % of it.
const CLIENTS_PER_WORKER: u32 = 200;
