//! Eight stories: each makes one kind of trouble, ends it by itself, then tells what came of it.

mod crowd;
mod single;

use std::time::Duration;

use aplomb_core::time;
use serde_json::{Value, json};

use super::scene::{Scene, Stage, Verdict};
use crate::lanes::Lane;
use crate::trouble::Trouble;

/// A story, as its button names it. What to watch stands on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Story {
    pub(crate) number: u8,
    pub(crate) title: &'static str,
}

const STORIES: [Story; 8] = [
    Story { number: 1, title: "Last item, lost answer" },
    Story { number: 2, title: "Slow by three seconds" },
    Story { number: 3, title: "Flaky" },
    Story { number: 4, title: "Outage and recovery" },
    Story { number: 5, title: "Retry storm" },
    Story { number: 6, title: "The poison shipment" },
    Story { number: 7, title: "The customer clicks again" },
    Story { number: 8, title: "Restarts under load" },
];

pub(crate) fn numbered(number: u8) -> Option<&'static Story> {
    STORIES.iter().find(|story| story.number == number)
}

/// Plays a story to its end, then puts the knobs back.
pub(crate) async fn play(scene: &Scene, story: &Story, stage: Stage) {
    let (before, rate) = (scene.client.knobs().await, scene.traffic.rate());
    let told = tell(scene, story, &stage).await;
    let put_back = put_back(scene, before, rate).await;
    let verdict = told.and_then(|verdict| put_back.map(|()| verdict));
    stage.end(verdict.unwrap_or_else(|trouble| Verdict { held: false, text: trouble.to_string() }));
}

async fn tell(scene: &Scene, story: &Story, stage: &Stage) -> Result<Verdict, Trouble> {
    scene.client.chaos(json!({})).await?;
    if scene.traffic.rate() == 0 {
        scene.traffic.set_rate(RATE);
    }
    match story.number {
        1 => single::last_item(scene, stage).await,
        2 => crowd::slow(scene, stage).await,
        3 => crowd::flaky(scene, stage).await,
        4 => crowd::outage(scene, stage).await,
        5 => crowd::storm(scene, stage).await,
        6 => single::poison(scene, stage).await,
        7 => single::clicks_again(scene, stage).await,
        _ => crowd::restarts(scene, stage).await,
    }
}

async fn put_back(scene: &Scene, before: Result<Value, Trouble>, rate: u32) -> Result<(), Trouble> {
    scene.traffic.set_rate(rate);
    let mut knobs = before?;
    // Faults that have happened since would happen twice.
    knobs["lose_next"] = 0.into();
    scene.client.chaos(knobs).await?;
    scene.client.shipping_chaos(json!({})).await?;
    scene.client.poison(&[]).await
}

/// The figures of a lane at one moment, or how they changed since.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    orders: u64,
    sends: u64,
    accepted: u64,
    pending: u64,
    failed: u64,
    duplicates: u64,
}

impl Figures {
    async fn now(scene: &Scene, lane: Lane) -> Result<Self, Trouble> {
        let counts = scene.traffic.read(lane).counts;
        let audit = scene.client.audit(&scene.traffic.sku(lane)).await?;
        Ok(Self {
            orders: scene.traffic.lanes().placed(lane),
            sends: scene.sends(lane),
            accepted: counts.confirmed + counts.pending,
            pending: counts.pending,
            failed: counts.failed,
            duplicates: audit["duplicates"].as_u64().unwrap_or_default(),
        })
    }

    async fn of_all(scene: &Scene) -> Result<[Self; 3], Trouble> {
        let [once, naive, aplomb] = Lane::ALL;
        Ok([
            Self::now(scene, once).await?,
            Self::now(scene, naive).await?,
            Self::now(scene, aplomb).await?,
        ])
    }

    fn since(self, before: Self) -> Self {
        Self {
            orders: self.orders - before.orders,
            sends: self.sends - before.sends,
            accepted: self.accepted - before.accepted,
            pending: self.pending - before.pending,
            failed: self.failed - before.failed,
            duplicates: self.duplicates.saturating_sub(before.duplicates),
        }
    }

    /// In hundredths, which are exact enough to be compared.
    fn sends_per_order(self) -> f64 {
        f64::from(u32::try_from(self.sends * 100 / self.orders.max(1)).unwrap_or(u32::MAX)) / 100.0
    }
}

/// What changed in each lane since then.
async fn changes(scene: &Scene, before: [Figures; 3]) -> Result<[Figures; 3], Trouble> {
    let now = Figures::of_all(scene).await?;
    Ok(std::array::from_fn(|lane| now[lane].since(before[lane])))
}

/// Waits until no more than a few orders are under way, as ever, for a while. Answers how many more
/// there are.
async fn settle(scene: &Scene, stage: &Stage) -> Result<u64, Trouble> {
    wait_for(scene, stage, UNDER_WAY).await
}

/// Waits until every order has ended, for a while, where no more are placed.
async fn settle_all(scene: &Scene, stage: &Stage) -> Result<u64, Trouble> {
    wait_for(scene, stage, 0).await
}

async fn wait_for(scene: &Scene, stage: &Stage, under_way: u64) -> Result<u64, Trouble> {
    let until = time::now() + PATIENCE;
    loop {
        let tally = scene.api.tally().await;
        let open = tally.map_err(|error| Trouble::new(format!("orders.db: {error}")))?.open;
        if open <= under_way || time::now() > until {
            return Ok(open.saturating_sub(under_way));
        }
        stage.step(format!("calm; {open} orders wait for their confirmation"));
        pause(PAUSE).await;
    }
}

async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

const RATE: u32 = 8;
const PAUSE: Duration = Duration::from_millis(100);
/// The reconciler waits ten seconds at most between two tries of an order, and a machine may be slow.
const PATIENCE: Duration = Duration::from_secs(90);
const UNDER_WAY: u64 = 6;
