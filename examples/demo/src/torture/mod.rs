//! Duplicates, crashes and zombies by the thousand, on real processes and a real store.
//!
//! Inventory processes are killed at named points and stopped past their leases, at random, while
//! callers repeat themselves, hang up, and retry across the processes until they are told what
//! became of their work. In the end there is one effect for every key that was answered with
//! success, and none beside them.

mod caller;
mod fates;
mod plan;
mod tally;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aplomb_core::{Rng, time};
use aplomb_inventory_service::Keys;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use self::caller::{Callers, Told};
use self::plan::Plan;
use self::tally::Tally;
use crate::cli::{Role, Store, Torture};
use crate::out;
use crate::place::{Ground, Records, Rows};
use crate::replicas::Replicas;
use crate::trouble::Trouble;

pub(crate) use self::fates::obey;

/// Tortures one store, prints what came of it, and says whether every law held.
pub(crate) async fn run(torture: Torture, data: Option<&Path>) -> Result<bool, Trouble> {
    let directory = tempfile::Builder::new().prefix("aplomb-torture-").tempdir();
    let directory = directory
        .map_err(|error| Trouble::new(format!("no temporary directory can be made: {error}")))?;
    let data = data.unwrap_or(directory.path());
    let (ground, count) = ground(torture.store, data).await?;
    let replicas = Replicas::start(Role::Inventory, count, |_| arguments(&ground)).await?;
    let mut wakers = JoinSet::new();
    for slot in replicas.slots() {
        wakers.spawn(slot.wake(LEASE * 3));
    }
    let callers = Callers::new(replicas);
    let plan = Plan { seed: torture.seed, steps: torture.steps };
    let begun = time::now();
    for (sku, stock) in plan.stocks() {
        let set = callers.stock(&sku, stock).await;
        set.ok_or_else(|| Trouble::new(format!("the stock of {sku} could not be set")))?;
    }
    let told = play(plan, &callers).await?;
    let mut tally = Tally::of(plan, torture.store, ground.guarantee(), &told);
    tally.count(&callers).await?;
    tally.took = time::now() - begun;
    if let Some(callers) = Arc::into_inner(callers) {
        callers.replicas.stop().await?;
    }
    drop(ground);
    if torture.json {
        out::line(tally.to_json());
    } else {
        out::text(&tally);
    }
    Ok(tally.passed())
}

/// What every caller of every unit was told.
type ToldByUnit = BTreeMap<u64, Vec<Told>>;

async fn play(plan: Plan, callers: &Arc<Callers>) -> Result<ToldByUnit, Trouble> {
    let told = Arc::new(Mutex::new(ToldByUnit::new()));
    let next = Arc::new(AtomicU64::new(0));
    let mut working = JoinSet::new();
    for _ in 0..CALLERS {
        let (callers, told, next) = (Arc::clone(callers), Arc::clone(&told), Arc::clone(&next));
        working.spawn(async move {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= plan.steps {
                    return;
                }
                let step = plan.step(index);
                let rng = Rng::stream(plan.seed ^ ASKING, index);
                let heard = callers.ask(&plan.wanted(step.unit), step.fate, rng).await;
                told.lock().await.entry(step.unit).or_default().push(heard);
            }
        });
    }
    let mut progress = tokio::time::interval(PROGRESS);
    progress.tick().await;
    loop {
        tokio::select! {
            ended = working.join_next() => match ended {
                None => break,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    return Err(Trouble::new(format!("a caller died: {error}")));
                }
            },
            _ = progress.tick() => {
                let done = next.load(Ordering::Relaxed).min(plan.steps);
                let kills = callers.replicas.kills();
                eprintln!("  step {done} of {}, {kills} kills", plan.steps);
            }
        }
    }
    let told = std::mem::take(&mut *told.lock().await);
    Ok(told)
}

/// Where the rows and the records lie, and how many processes share them.
async fn ground(store: Store, data: &Path) -> Result<(Ground, usize), Trouble> {
    let (rows, records, replicas) = match store {
        Store::Sqlite => (Rows::Data, Records::At(Keys::Database), 2),
        Store::Postgres => (Rows::Private, Records::At(Keys::Database), 3),
        Store::Redis => (Rows::Data, Records::Private, 2),
        // Another process would know nothing of these keys.
        Store::Memory => (Rows::Data, Records::At(Keys::Memory), 1),
    };
    Ok((Ground::prepare(rows, records, data).await?, replicas))
}

fn arguments(ground: &Ground) -> Vec<String> {
    let lease = LEASE.as_millis().to_string();
    let mut arguments = ground.arguments(Role::Inventory);
    arguments.extend(["--obey-torture".to_owned(), "--lease-ms".to_owned(), lease]);
    arguments
}

/// Short, so that a crash costs its caller little; renewed at a quarter of it.
const LEASE: Duration = Duration::from_millis(400);
const CALLERS: usize = 16;
const PROGRESS: Duration = Duration::from_secs(5);
/// Tells the callers' dice from the plan's.
const ASKING: u64 = 0x5eed_a5c1_0000_0000;
