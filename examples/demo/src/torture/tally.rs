//! What came of it, counted from what callers were told and from the rows.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::ToldByUnit;
use super::caller::{Callers, Told};
use super::plan::Plan;
use crate::cli::Store;
use crate::trouble::Trouble;

/// The figures of a run, and every law that was broken.
pub(super) struct Tally {
    plan: Plan,
    store: Store,
    guarantee: &'static str,
    /// Units whose callers were told of success, each under one number.
    done: Vec<(u64, String)>,
    /// Units whose callers were told that nothing is left.
    sold_out: Vec<u64>,
    effects: u64,
    keys: u64,
    kills: u64,
    zombies: u64,
    sends: u64,
    replays: u64,
    in_flight: u64,
    hang_ups: u64,
    server_errors: u64,
    pub(super) took: Duration,
    broken: Vec<String>,
}

impl Tally {
    /// What callers were told.
    pub(super) fn of(plan: Plan, store: Store, guarantee: &'static str, told: &ToldByUnit) -> Self {
        let mut tally = Self {
            plan,
            store,
            guarantee,
            done: Vec::new(),
            sold_out: Vec::new(),
            effects: 0,
            keys: 0,
            kills: 0,
            zombies: 0,
            sends: 0,
            replays: 0,
            in_flight: 0,
            hang_ups: 0,
            server_errors: 0,
            took: Duration::ZERO,
            broken: Vec::new(),
        };
        for (&unit, told) in told {
            tally.add(unit, told);
        }
        tally
    }

    fn add(&mut self, unit: u64, told: &[Told]) {
        let mut ids = BTreeSet::new();
        let mut sold_out = false;
        for told in told {
            match told {
                Told::Done(id) => _ = ids.insert(id.clone()),
                Told::SoldOut => sold_out = true,
                Told::Broken(what) => self.broken.push(what.clone()),
            }
        }
        if ids.len() > 1 {
            self.broken.push(format!("unit {unit} was done {} times: {ids:?}", ids.len()));
        }
        if sold_out && !ids.is_empty() {
            self.broken.push(format!("unit {unit} was said to be done, and to be sold out"));
        }
        if sold_out {
            self.sold_out.push(unit);
        }
        if let Some(id) = ids.pop_first() {
            self.done.push((unit, id));
        }
    }

    /// What the rows say.
    pub(super) async fn count(&mut self, callers: &Callers) -> Result<(), Trouble> {
        let counts = &callers.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        self.kills = callers.replicas.kills();
        self.zombies = callers.replicas.zombies();
        self.sends = read(&counts.sends);
        self.replays = read(&counts.replays);
        self.in_flight = read(&counts.in_flight);
        self.hang_ups = read(&counts.hang_ups);
        self.server_errors = read(&counts.server_errors);
        for (sku, stock) in self.plan.stocks() {
            let path = format!("/inventory/audit?sku={sku}");
            let audit = callers.read("demo-backoffice", &path).await;
            let audit = audit.ok_or_else(|| Trouble::new(format!("no audit of {sku}")))?;
            self.audit(&sku, stock, &audit);
        }
        let done = self.done.len() as u64;
        if self.effects != done {
            let effects = self.effects;
            self.broken.push(format!("{done} units were said to be done, {effects} are"));
        }
        self.count_refusals(callers).await?;
        for (unit, id) in &self.done {
            let path = format!("/inventory/reservations/{id}");
            let row = callers.read("demo-order-api", &path).await;
            let order = self.plan.wanted(*unit).order;
            if row.is_none_or(|row| row["order_id"] != order.as_str()) {
                self.broken.push(format!("unit {unit} was said to be done as {id}, and is not"));
            }
        }
        Ok(())
    }

    /// A refusal for lack of stock is written down in its transaction, and no other row forbids a
    /// second one: where the record commits with it, there is one for each key, or its handler ran
    /// twice.
    async fn count_refusals(&mut self, callers: &Callers) -> Result<(), Trouble> {
        if !self.store.is_transactional() {
            return Ok(());
        }
        for &unit in &self.sold_out {
            let key = self.plan.wanted(unit).key();
            let path = format!("/inventory/audit/events?key={key}");
            let events = callers.read("demo-backoffice", &path).await;
            let events = events.ok_or_else(|| Trouble::new(format!("no events of {key}")))?;
            let refusals = refusals(&events);
            if refusals != 1 {
                self.broken.push(format!("unit {unit} was refused {refusals} times"));
            }
        }
        Ok(())
    }

    fn audit(&mut self, sku: &str, stock: u64, audit: &Value) {
        let figure = |name: &str| audit[name].as_i64().unwrap_or(i64::MIN);
        let (available, reserved) = (figure("available"), figure("reserved"));
        let (rows, keys) = (figure("reservations"), figure("distinct_keys"));
        self.effects += u64::try_from(rows).unwrap_or_default();
        self.keys += u64::try_from(keys).unwrap_or_default();
        let there = available.checked_add(reserved);
        let held = there.is_some() && there == i64::try_from(stock).ok();
        for (law, holds) in [
            ("initial stock = available + reserved", held),
            ("stock is never negative", available >= 0),
            ("effects = distinct keys", rows == keys),
            ("no order line is reserved twice", figure("duplicates") == 0),
        ] {
            if !holds {
                self.broken.push(format!("{sku}: {law} does not hold: {audit}"));
            }
        }
    }

    pub(super) fn passed(&self) -> bool {
        self.broken.is_empty()
    }

    fn figures(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("steps", self.plan.steps),
            ("keys", self.keys),
            ("effects", self.effects),
            ("sold_out", self.sold_out.len() as u64),
            ("server_errors", self.server_errors),
            ("kills", self.kills),
            ("zombies", self.zombies),
            ("hang_ups", self.hang_ups),
            ("sends", self.sends),
            ("replays", self.replays),
            ("in_flight", self.in_flight),
        ]
    }

    pub(super) fn to_json(&self) -> Value {
        let mut json = json!({
            "store": self.store.as_str(),
            "guarantee": self.guarantee,
            "seed": self.plan.seed,
            "passed": self.passed(),
            "millis": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "broken": self.broken,
        });
        for (name, figure) in self.figures() {
            json[name] = figure.into();
        }
        json
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed() { "pass" } else { "FAIL" };
        let (store, seed) = (self.store.as_str(), self.plan.seed);
        writeln!(f, "{verdict}  {store}, seed {seed}, {:.1} s", self.took.as_secs_f64())?;
        for (name, figure) in self.figures() {
            writeln!(f, "      {:10} {figure:>8}", name.replace('_', " "))?;
        }
        for broken in self.broken.iter().take(BROKEN_SHOWN) {
            writeln!(f, "      {broken}")?;
        }
        writeln!(f, "      {}", self.guarantee)
    }
}

/// How often a key was refused for lack of stock.
fn refusals(events: &Value) -> usize {
    let events = events["events"].as_array();
    events.into_iter().flatten().filter(|event| event["effect"] == "out_of_stock").count()
}

/// The first few tell enough.
const BROKEN_SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_of_one_unit_must_be_told_the_same() {
        assert_eq!(broken(&[done("r1"), done("r1")]), 0);
        assert_eq!(broken(&[Told::SoldOut, Told::SoldOut]), 0);
        assert_eq!(broken(&[done("r1"), done("r2")]), 1, "two effects");
        assert_eq!(broken(&[done("r1"), Told::SoldOut]), 1, "both at once");
        assert_eq!(broken(&[Told::Broken("no answer".into())]), 1);
    }

    #[test]
    fn figures_that_do_not_add_up_are_found() {
        let sound = json!({"available": 7, "reserved": 3, "reservations": 3, "distinct_keys": 3,
            "duplicates": 0});
        let audited = |change: &dyn Fn(&mut Value)| {
            let (mut tally, mut audit) = (empty(), sound.clone());
            change(&mut audit);
            tally.audit("mug", 10, &audit);
            tally.broken.len()
        };
        assert_eq!(audited(&|_| ()), 0);
        assert_eq!(audited(&|audit| audit["available"] = 8.into()), 1);
        assert_eq!(audited(&|audit| audit["available"] = (-1).into()), 2);
        assert_eq!(audited(&|audit| audit["reservations"] = 4.into()), 1);
        assert_eq!(audited(&|audit| audit["duplicates"] = 1.into()), 1);
        assert!(audited(&|audit| *audit = Value::Null) > 0);
    }

    #[test]
    fn refusals_are_counted_among_all_that_was_done() {
        let events = json!({"events": [
            {"effect": "out_of_stock"}, {"effect": "replayed"}, {"effect": "out_of_stock"},
        ]});
        assert_eq!(refusals(&events), 2);
        assert_eq!(refusals(&Value::Null), 0);
    }

    fn done(id: &str) -> Told {
        Told::Done(id.to_owned())
    }

    fn broken(told: &[Told]) -> usize {
        let mut tally = empty();
        tally.add(1, told);
        tally.broken.len()
    }

    fn empty() -> Tally {
        Tally::of(Plan { seed: 1, steps: 10 }, Store::Sqlite, "", &ToldByUnit::new())
    }
}
