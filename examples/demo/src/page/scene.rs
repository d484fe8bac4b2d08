//! What the page looks at, what its knobs act on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aplomb_chaos::Knobs;
use aplomb_order_api::OrderApi;
use serde_json::{Value, json};

use crate::client::Client;
use crate::lanes::{Lane, Traffic};
use crate::stand::Restarter;
use crate::timeline::Timeline;
use crate::trouble::Trouble;

/// The running demo. Clones are the same.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) client: Client,
    pub(crate) api: OrderApi,
    pub(crate) timeline: Timeline,
    pub(crate) traffic: Traffic,
    pub(crate) restarter: Restarter,
    telling: Telling,
}

impl Scene {
    pub(crate) fn new(
        client: Client,
        api: OrderApi,
        timeline: Timeline,
        traffic: Traffic,
        restarter: Restarter,
    ) -> Self {
        Self { client, api, timeline, traffic, restarter, telling: Telling::default() }
    }

    pub(crate) fn telling(&self) -> &Telling {
        &self.telling
    }

    /// Turns all of Inventory's faults.
    pub(crate) async fn turn(&self, knobs: Knobs) -> Result<(), Trouble> {
        let knobs = serde_json::to_value(knobs).unwrap_or_default();
        self.client.chaos(knobs).await
    }

    /// How many requests reached for Inventory on behalf of a lane's orders.
    pub(crate) fn sends(&self, lane: Lane) -> u64 {
        match lane {
            Lane::Once | Lane::Naive => self.traffic.lanes().sent(lane),
            Lane::Aplomb => self.timeline.sends(),
        }
    }

    /// Fills the shelf of each lane whose stock runs low, for ever.
    pub(crate) async fn keep_stocked(&self) {
        loop {
            for lane in Lane::ALL {
                let sku = self.traffic.sku(lane);
                let left = self.client.audit(&sku).await.ok();
                let left = left.and_then(|audit| audit["available"].as_u64()).unwrap_or_default();
                if left < u64::from(SHELF / 4) {
                    // Inventory may be failing on purpose; the next round tries again.
                    let _ = self.client.stock(&sku, SHELF).await;
                }
            }
            tokio::time::sleep(STOCK_EVERY).await;
        }
    }
}

/// Which story plays, and what came of those that did. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Telling(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    playing: Option<Playing>,
    verdicts: BTreeMap<u8, Verdict>,
}

#[derive(Debug)]
struct Playing {
    number: u8,
    step: String,
    lines: [Option<Line>; 3],
}

/// What a lane's customer reads in a story, and what the rows say.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) reads: String,
    pub(crate) rows: String,
}

/// What came of a story: whether its caption's promise held, and the figures.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) held: bool,
    pub(crate) text: String,
}

/// Another story plays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Busy;

impl Telling {
    /// Begins a story, unless one plays.
    pub(crate) fn begin(&self, number: u8) -> Result<Stage, Busy> {
        let mut told = self.told();
        if told.playing.is_some() {
            return Err(Busy);
        }
        told.verdicts.remove(&number);
        told.playing = Some(Playing { number, step: String::new(), lines: [const { None }; 3] });
        Ok(Stage(self.clone()))
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.told().playing.is_some()
    }

    /// As the page is told.
    pub(crate) fn document(&self) -> Value {
        let told = self.told();
        let playing = told.playing.as_ref().map(|playing| {
            let lines = playing.lines.each_ref().map(|line| {
                line.as_ref().map(|line| json!({ "reads": line.reads, "rows": line.rows }))
            });
            json!({ "number": playing.number, "step": playing.step, "lines": lines })
        });
        let verdicts: BTreeMap<_, _> = told
            .verdicts
            .iter()
            .map(|(number, Verdict { held, text })| {
                (number.to_string(), json!({ "held": held, "text": text }))
            })
            .collect();
        json!({ "playing": playing, "verdicts": verdicts })
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A story that plays. The next one may begin once it is dropped.
#[derive(Debug)]
pub(crate) struct Stage(Telling);

impl Stage {
    /// Says what happens now.
    pub(crate) fn step(&self, step: impl Into<String>) {
        if let Some(playing) = &mut self.0.told().playing {
            playing.step = step.into();
        }
    }

    /// Says what a lane's customer reads now.
    pub(crate) fn line(&self, lane: Lane, reads: impl Into<String>, rows: impl Into<String>) {
        if let Some(playing) = &mut self.0.told().playing {
            playing.lines[lane.index()] = Some(Line { reads: reads.into(), rows: rows.into() });
        }
    }

    /// Ends it.
    pub(crate) fn end(self, verdict: Verdict) {
        let mut told = self.0.told();
        if let Some(Playing { number, .. }) = told.playing.take() {
            told.verdicts.insert(number, verdict);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.0.told().playing = None;
    }
}

/// Enough for minutes of the naive lane's worst, little enough to be read.
const SHELF: u32 = 10_000;
const STOCK_EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_story_plays_at_a_time_and_its_verdict_stays() {
        let telling = Telling::default();
        let stage = telling.begin(4).unwrap();
        stage.step("it is dark");
        stage.line(Lane::Naive, "sorry", "two rows");
        assert!(telling.begin(5).is_err());
        let playing = &telling.document()["playing"];
        assert_eq!((&playing["number"], &playing["step"]), (&json!(4), &json!("it is dark")));
        assert_eq!(playing["lines"][1], json!({ "reads": "sorry", "rows": "two rows" }));
        stage.end(Verdict { held: true, text: "light again".to_owned() });
        let told = telling.document();
        assert_eq!(told["playing"], Value::Null);
        assert_eq!(told["verdicts"]["4"], json!({ "held": true, "text": "light again" }));
    }

    #[test]
    fn a_story_that_is_dropped_lets_the_next_one_begin_and_leaves_no_verdict() {
        let telling = Telling::default();
        drop(telling.begin(1).unwrap());
        assert!(!telling.is_busy());
        assert_eq!(telling.document()["verdicts"], json!({}));
        drop(telling.begin(2).unwrap());
    }
}
