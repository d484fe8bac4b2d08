//! Every scenario, headless, and the invariants counted by SQL.

mod bad_input;
mod crowd;
mod flaky;
mod kills;
mod mixed;
mod outage;
mod overload;
mod report;
mod rolling;
mod room;
mod scenarios;
mod shipments;
mod shown;
mod slow;
mod stage;
mod storm;
mod town;
mod wire;

use std::path::Path;
use std::time::Duration;

use aplomb_core::time;
use clap::ValueEnum;
use tempfile::TempDir;

use self::report::{Report, Scenario};
use self::room::Room;
use self::stage::Stage;
use self::town::Town;
use crate::cli::{Check, Story};
use crate::out;
use crate::paint::Paint;
use crate::place::Ground;
use crate::shutdown::Shutdown;
use crate::trouble::Trouble;

/// Runs every scenario, prints what came of it, and says whether every invariant held.
pub(crate) async fn run(
    check: &Check,
    data: Option<&Path>,
    policy: Option<&Path>,
) -> Result<bool, Trouble> {
    // Kept until the end, then removed with all that lies in it.
    let directory = data.is_none().then(temporary).transpose()?;
    let data = data.or(directory.as_ref().map(TempDir::path));
    let data = data.expect("there is a directory of our own when none was chosen");
    let shutdown = Shutdown::listen()?;
    let (rows, records) = (check.database.clone(), check.idempotency_store.clone());
    let ground = Ground::prepare(rows, records, data).await?;
    let town = Town::start(check, &ground, data, policy).await?;
    let report = tokio::select! {
        report = play(&town, &ground, check) => report,
        () = shutdown.asked() => {
            Room::give_back_at(&ground).await?;
            Err(Trouble::new("the check was stopped"))
        }
    };
    town.stop().await?;
    drop(ground);
    drop(directory);
    let report = report?;
    if check.json {
        out::line(report.to_json());
    } else {
        out::text(report.to_text(Paint::for_stdout()));
    }
    Ok(report.passed())
}

async fn play(town: &Town, ground: &Ground, check: &Check) -> Result<Report, Trouble> {
    let end = time::now() + Duration::from_secs(check.seconds);
    let stage = Stage::open(town, ground, check.seed).await?;
    let rows = ground.server().map_or("SQLite", |_| "Postgres");
    let mut report = Report::new(check.seed, check.processes, rows, ground.guarantee());
    for story in Story::value_variants() {
        if check.only.is_empty() || check.only.contains(story) {
            let left = end.saturating_duration_since(time::now());
            report.add(stage.play(*story, left).await?);
        }
    }
    stage.close().await;
    Ok(report)
}

impl Stage<'_> {
    /// Plays a story, with so much time left for it and all after it.
    async fn play(&self, story: Story, left: Duration) -> Result<Scenario, Trouble> {
        match (story, self.fleet()) {
            (Story::LastItem, _) => self.last_item().await,
            (Story::Rush, _) => self.rush().await,
            (Story::Clicks, _) => self.clicks_again().await,
            (Story::BadInput, _) => self.bad_input().await,
            (Story::Shown, _) => self.shown_stock().await,
            (Story::Poison, _) => self.shipments().await,
            (Story::NoRoom, _) => self.no_room_for_letters().await,
            (Story::Slow, _) => self.slow().await,
            (Story::Flaky, _) => self.flaky().await,
            (Story::Storm, _) => self.storm().await,
            (Story::Overload, _) => self.overload().await,
            (Story::Outage, _) => self.outage((left / 3).clamp(OUTAGE_MIN, OUTAGE_MAX)).await,
            (Story::Rolling, Some(fleet)) => self.rolling_restart(fleet).await,
            (Story::Rolling, None) => Ok(Scenario::skipped(rolling::NAME, NEEDS_PROCESSES)),
            (Story::Kills, Some(fleet)) => {
                self.kills(fleet, (left / 2).clamp(KILLS_MIN, KILLS_MAX)).await
            }
            (Story::Kills, None) => Ok(Scenario::skipped(kills::NAME, NEEDS_PROCESSES)),
            (Story::Mixed, _) => self.mixed(left.max(MIXED_MIN)).await,
        }
    }
}

fn temporary() -> Result<TempDir, Trouble> {
    tempfile::Builder::new().prefix("aplomb-check-").tempdir().map_err(|error| {
        let directory = std::env::temp_dir();
        let directory = directory.display();
        Trouble::new(format!(
            "no temporary directory can be made in {directory}: {error}; choose one with --data-dir"
        ))
    })
}

const NEEDS_PROCESSES: &str = "needs processes: give --processes 1 or more";
/// Long enough for several open times, as far as there is time.
const OUTAGE_MIN: Duration = Duration::from_secs(3);
const OUTAGE_MAX: Duration = Duration::from_secs(12);
/// Long enough that each role is killed.
const KILLS_MIN: Duration = Duration::from_secs(4);
const KILLS_MAX: Duration = Duration::from_secs(60);
/// However little the other scenarios leave, this much trouble is always made.
const MIXED_MIN: Duration = Duration::from_secs(1);
