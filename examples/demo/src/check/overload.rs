//! Three times as much as Inventory can do, with doors in front of it and without.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aplomb_core::time;
use aplomb_inventory_service::{Config, Doors, Inventory, Place, Tokens, serve};
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use super::report::Scenario;
use super::stage::Stage;
use super::temporary;
use crate::client::{Client, Sites};
use crate::services::url;
use crate::trouble::Trouble;

impl Stage<'_> {
    /// An Inventory with doors goes on doing what it can; one without is busy with what nobody waits
    /// for any more. Both are their own, beside the others.
    pub(crate) async fn overload(&self) -> Result<Scenario, Trouble> {
        let (begun, mut scenario) = self.begin("three times its capacity").await?;
        let behind_doors = Shop::open(Some(Doors::new(PLACES))).await?;
        let capacity = behind_doors.capacity().await;
        let mut with = behind_doors.flood(capacity).await?;
        // Half a second is measured on a machine that may be busy with something else.
        for _ in 1..TRIES {
            if with < GOODPUT_PERCENT {
                with = with.max(behind_doors.flood(capacity).await?);
            }
        }
        behind_doors.close().await?;
        let open = Shop::open(None).await?;
        let without = open.flood(capacity).await?;
        open.close().await?;

        scenario.note("capacity per second", capacity);
        scenario.note("offered per second", capacity * TIMES);
        scenario.note("in time with doors", share(with));
        scenario.note("in time without", share(without));
        scenario.require(with >= GOODPUT_PERCENT, || {
            format!("{with} % of capacity was answered in time, less than {GOODPUT_PERCENT}")
        });
        scenario.require(without < with, || {
            "without doors as much was answered in time: there was no overload".to_owned()
        });
        Ok(scenario.took(time::now() - begun))
    }
}

fn share(percent: u64) -> Value {
    format!("{percent} % of capacity").into()
}

/// An Inventory of its own, in this process.
struct Shop {
    client: Client,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    _data: TempDir,
}

impl Shop {
    async fn open(doors: Option<Doors>) -> Result<Self, Trouble> {
        let data = temporary()?;
        let mut config = Config::new(data.path(), Tokens::configured(None, true)?);
        config.place = Place::File(data.path().join("overload.db"));
        config.doors = doors;
        config.limits.notice = Duration::ZERO;
        config.limits.drain = Duration::ZERO;
        let listener = serve::bind(([127, 0, 0, 1], 0).into()).await?;
        let client = Client::of_inventory(Sites::one(&url(&listener)?));
        let inventory = Inventory::open(config).await?;
        let (stop, mut stopping) = watch::channel(false);
        let task = tokio::spawn(inventory.serve(listener, async move {
            // When nobody is left to say so, it is time to stop as well.
            let _ = stopping.wait_for(|stop| *stop).await;
        }));
        client.stock(SKU, 1).await?;
        client.chaos(json!({"work_ms": WORK_MS, "workers": WORKERS})).await?;
        Ok(Self { client, stop, task, _data: data })
    }

    async fn close(self) -> Result<(), Trouble> {
        // The backlog is dropped with the work that it is made of.
        self.client.chaos(json!({})).await?;
        self.stop.send_replace(true);
        self.task.await.map_err(|error| Trouble::new(format!("an inventory died: {error}")))
    }

    /// How many requests a second it answers on this machine, when as many ask as it has places.
    async fn capacity(&self) -> u64 {
        let (until, answered) = (time::now() + MEASURED, AtomicU64::new(0));
        let askers = (0..PLACES).map(async |_| {
            while time::now() < until {
                answered.fetch_add(self.ask().await.into(), Ordering::Relaxed);
            }
        });
        join_all(askers).await;
        per_second(answered.into_inner(), MEASURED).max(1)
    }

    /// Offers several times as much, at a steady rate, and says how much of its capacity was
    /// answered while somebody waited for it.
    async fn flood(&self, capacity: u64) -> Result<u64, Trouble> {
        let rate = u32::try_from(capacity * TIMES).unwrap_or(u32::MAX);
        let mut tick = tokio::time::interval(Duration::from_secs(1) / rate);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (begun, in_time) = (time::now(), Arc::new(AtomicU64::new(0)));
        let mut customers = JoinSet::new();
        while time::now() < begun + SETTLING + MEASURED {
            tick.tick().await;
            let counts = time::now() >= begun + SETTLING;
            let (client, in_time) = (self.client.clone(), Arc::clone(&in_time));
            customers.spawn(async move {
                let heard = is_in_time(&client).await;
                in_time.fetch_add((counts && heard).into(), Ordering::Relaxed);
            });
        }
        while customers.join_next().await.is_some() {}
        Ok(per_second(in_time.load(Ordering::Relaxed), MEASURED) * 100 / capacity)
    }

    async fn ask(&self) -> bool {
        is_in_time(&self.client).await
    }
}

/// Whether somebody who waits for half a second hears the number.
async fn is_in_time(client: &Client) -> bool {
    let answer = client.look_inside(SKU, "demo-order-api");
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    matches!(answer, Ok(Ok(answer)) if answer.status == StatusCode::OK)
}

fn per_second(count: u64, time: Duration) -> u64 {
    count * 1_000 / u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

const SKU: &str = "overload";
/// Two at a time, 50 ms each: 40 a second, which is little enough for any machine to offer thrice.
const WORK_MS: u64 = 50;
const WORKERS: u64 = 2;
/// As many as work and as many as wait: the wait inside is as long as the work.
const PLACES: u32 = 4;
const TIMES: u64 = 3;
/// How long a customer waits.
const PATIENCE: Duration = Duration::from_millis(500);
/// Until a backlog is as long as that.
const SETTLING: Duration = Duration::from_millis(500);
const MEASURED: Duration = Duration::from_millis(2_500);
const GOODPUT_PERCENT: u64 = 80;
const TRIES: u32 = 3;
