//! One look at everything, twice a second.
//!
//! What is shown is what the services themselves say: rows counted by SQL, metrics that any operator
//! may read, the circuit, the customers' own answers. A service that does not answer is shown as it
//! was last seen.

use std::collections::VecDeque;
use std::time::{Duration, UNIX_EPOCH};

use aplomb_core::time::{self, Instant};
use aplomb_order_api::FulfilmentTally;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::Scene;
use super::count::{Counted, Rows};
use super::feed::Feed;
use crate::lanes::{Lane, Outcome, Placed, Reading};

/// Looks, and remembers.
pub(crate) struct Looker {
    scene: Scene,
    counted: Counted,
    /// The latest, oldest first: rates are taken over a few of them, or every line would tremble.
    before: VecDeque<Rates>,
    knobs: Value,
}

/// What rates are computed from.
#[derive(Clone, Copy)]
struct Rates {
    at: Instant,
    placed: [u64; 3],
    sends: [u64; 3],
}

/// How everything stands, in figures.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    readings: [Reading; 3],
    placed: [u64; 3],
    sends: [u64; 3],
    /// Per second.
    placing: [f64; 3],
    sending: [f64; 3],
    rows: Rows,
    knobs: Value,
    /// Retries.
    budget: Option<f64>,
    circuit: &'static str,
}

impl Looker {
    pub(crate) fn new(scene: Scene, counted: Counted) -> Self {
        let before = VecDeque::from([Rates::now(&scene)]);
        Self { scene, counted, before, knobs: Value::Null }
    }

    /// Sends what it sees to the page, and a line of it to the terminal, for ever.
    pub(crate) async fn publish(mut self, feed: Feed, line: watch::Sender<String>) {
        let mut next = tokio::time::interval(EVERY);
        next.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            next.tick().await;
            let look = self.look().await;
            feed.publish(look.point(), look.state(&self.scene));
            line.send_replace(look.line());
        }
    }

    async fn look(&mut self) -> Look {
        let scene = &self.scene;
        let (knobs, budget) = (scene.client.knobs().await, scene.client.budget().await);
        if let Ok(knobs) = knobs {
            self.knobs = knobs;
        }
        let now = Rates::now(scene);
        if self.before.len() == SMOOTH {
            self.before.pop_front();
        }
        let before = self.before.front().copied().unwrap_or(now);
        self.before.push_back(now);
        let seconds = (now.at - before.at).as_secs_f64().max(f64::EPSILON);
        Look {
            readings: Lane::ALL.map(|lane| scene.traffic.read(lane)),
            placed: now.placed,
            sends: now.sends,
            placing: rates(before.placed, now.placed, seconds),
            sending: rates(before.sends, now.sends, seconds),
            rows: self.counted.rows(),
            knobs: self.knobs.clone(),
            budget: budget.ok().flatten(),
            circuit: scene.api.reservations().handle().snapshot().state.as_str(),
        }
    }
}

impl Rates {
    fn now(scene: &Scene) -> Self {
        Self {
            at: time::now(),
            placed: Lane::ALL.map(|lane| scene.traffic.lanes().placed(lane)),
            sends: Lane::ALL.map(|lane| scene.sends(lane)),
        }
    }
}

impl Look {
    /// What the charts are drawn from.
    pub(crate) fn point(&self) -> Value {
        let millis = |time: Option<Duration>| time.map(|time| round(time.as_secs_f64() * 1e3));
        let at = time::wall().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        json!({
            "at": u64::try_from(at).unwrap_or(u64::MAX),
            "placing": self.placing.map(round),
            "sending": self.sending.map(round),
            "accepted": self.readings.map(|reading| reading.accepted.map(round)),
            "p50": self.readings.map(|reading| millis(reading.p50)),
            "p99": self.readings.map(|reading| millis(reading.p99)),
            "budget": self.budget.map(round),
            "circuit": self.circuit,
            "open": self.rows.orders.open,
            "queued": self.rows.fulfilment.queued,
            "letters": self.rows.fulfilment.dead_lettered,
        })
    }

    /// Everything else.
    pub(crate) fn state(&self, scene: &Scene) -> Value {
        json!({
            "rate": scene.traffic.rate(),
            "knobs": self.knobs,
            "lanes": Lane::ALL.map(|lane| self.lane(lane)),
            "story": scene.telling().document(),
            "orders": orders(scene),
            "replays": scene.timeline.replays(),
            "shipped": self.rows.fulfilment.shipped,
            "laws": self.laws(),
        })
    }

    fn lane(&self, lane: Lane) -> Value {
        let (index, audit) = (lane.index(), &self.rows.audits[lane.index()]);
        let Reading { counts, last, .. } = self.readings[index];
        let figure = |name: &str| audit[name].as_u64().unwrap_or_default();
        let (initial, held) = (figure("initial"), figure("reserved"));
        json!({
            "name": lane.name(),
            "orders": self.placed[index],
            "sends": self.sends[index],
            "confirmed": counts.confirmed,
            "pending": counts.pending,
            "failed": counts.failed,
            "sold_out": counts.sold_out,
            "shed": counts.shed,
            "reservations": figure("reservations"),
            "duplicates": figure("duplicates"),
            "initial": initial,
            "available": figure("available"),
            "reserved": held,
            "conserved": initial == figure("available") + held,
            "outcome": last.map(Outcome::name),
            "reads": last.map(Outcome::sentence),
        })
    }

    /// What must hold whatever happens, and how often it does not.
    fn laws(&self) -> Value {
        // Orders that are under way break no law.
        let laws = self.rows.laws.iter().filter(|(law, _)| !law.contains("has ended"));
        laws.map(|(law, broken)| json!({ "law": law, "broken": broken })).collect()
    }

    /// One line for a terminal.
    pub(crate) fn line(&self) -> String {
        let [once, naive, aplomb] = Lane::ALL.map(|lane| {
            let accepted = self.readings[lane.index()].accepted;
            let accepted = accepted.map_or_else(|| "–".to_owned(), |share| format!("{share:.0}%"));
            let audit = &self.rows.audits[lane.index()];
            format!("{accepted}, {} twice", audit["duplicates"].as_u64().unwrap_or_default())
        });
        let budget = self.budget.map_or_else(|| "–".to_owned(), |left| format!("{left:.1}"));
        let (orders, circuit, open) = (self.placed[0], self.circuit, self.rows.orders.open);
        let FulfilmentTally { queued, dead_lettered, .. } = self.rows.fulfilment;
        format!(
            "orders: {orders} · once {once} · naive {naive} · aplomb {aplomb} · budget {budget} · \
             circuit {circuit} · {open} open, {queued} queued, {dead_lettered} dead"
        )
    }
}

/// The latest orders of the aplomb lane; those first that had something happen to them.
fn orders(scene: &Scene) -> Value {
    let told = scene.traffic.latest().into_iter().filter_map(|Placed { what, told }| {
        let order = told.order?;
        let sentence = scene.timeline.tell(order, 1);
        let is_eventful = sentence.contains('→');
        let row = json!({
            "id": order.to_string(),
            "what": what,
            "outcome": told.outcome.name(),
            "took_ms": u64::try_from(told.took.as_millis()).unwrap_or(u64::MAX),
            "sentence": sentence,
            "eventful": is_eventful,
        });
        Some((is_eventful, row))
    });
    let (eventful, smooth): (Vec<_>, Vec<_>) = told.partition(|(is_eventful, _)| *is_eventful);
    let rows = eventful.into_iter().take(ROWS).chain(smooth.into_iter().take(ROWS));
    rows.map(|(_, row)| row).collect()
}

fn rates(before: [u64; 3], now: [u64; 3], seconds: f64) -> [f64; 3] {
    std::array::from_fn(|lane| as_f64(now[lane].saturating_sub(before[lane])) / seconds)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a demonstration")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

/// Hundredths are enough for a picture.
fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

const EVERY: Duration = Duration::from_millis(500);
const ROWS: usize = 8;
/// Two seconds.
const SMOOTH: usize = 4;
