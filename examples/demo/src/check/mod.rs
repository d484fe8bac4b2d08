//! Every scenario, headless, and the invariants counted by SQL.

mod invariants;
mod mixed;
mod outage;
mod report;
mod scenarios;
mod shipments;

use std::path::Path;
use std::time::Duration;

use aplomb_core::time;
use tempfile::TempDir;

use self::report::Report;
use self::scenarios::Stage;
use crate::cli::Check;
use crate::out;
use crate::place::Ground;
use crate::services::{Plan, Services};
use crate::shutdown::Shutdown;
use crate::trouble::Trouble;

/// Runs every scenario, prints what came of it, and says whether every invariant held.
pub(crate) async fn run(check: Check, data: Option<&Path>) -> Result<bool, Trouble> {
    // Kept until the end, then removed with all that lies in it.
    let directory = data.is_none().then(temporary).transpose()?;
    let data = data.or(directory.as_ref().map(TempDir::path));
    let data = data.expect("there is a directory of our own when none was chosen");
    let shutdown = Shutdown::listen()?;
    let (rows, records) = (check.database.clone(), check.idempotency_store.clone());
    let ground = Ground::prepare(rows, records, data).await?;
    let inventories = usize::try_from(check.inventories).unwrap_or_default();
    let plan = Plan { port: 0, data, seed: Some(check.seed), ground: &ground, inventories };
    let services = Services::start(plan).await?;
    let report = tokio::select! {
        report = play(&services, data, &ground, &check) => report,
        () = shutdown.asked() => Err(Trouble::new("the check was stopped")),
    };
    services.stop().await?;
    drop(ground);
    drop(directory);
    let report = report?;
    if check.json {
        out::line(report.to_json());
    } else {
        out::text(&report);
    }
    Ok(report.passed())
}

async fn play(
    services: &Services,
    data: &Path,
    ground: &Ground,
    check: &Check,
) -> Result<Report, Trouble> {
    let end = time::now() + Duration::from_secs(check.seconds);
    let stage = Stage::open(services, data, ground, check.seed).await?;
    let mut report = Report::new(check.seed, check.seconds, ground.guarantee());
    report.add(stage.last_item().await?);
    report.add(stage.rush().await?);
    report.add(stage.clicks_again().await?);
    report.add(stage.shipments().await?);
    let left = end.saturating_duration_since(time::now());
    report.add(stage.outage((left / 2).clamp(OUTAGE_MIN, OUTAGE_MAX)).await?);
    let left = end.saturating_duration_since(time::now());
    report.add(stage.mixed(left.max(MIXED_MIN)).await?);
    stage.close().await;
    Ok(report)
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

/// Long enough for several open times, as far as there is time.
const OUTAGE_MIN: Duration = Duration::from_secs(3);
const OUTAGE_MAX: Duration = Duration::from_secs(12);
/// However little the other scenarios leave, this much trouble is always made.
const MIXED_MIN: Duration = Duration::from_secs(1);
