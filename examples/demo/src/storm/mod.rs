//! The lab's prediction beside real sockets.
//!
//! The scenario `article`, scaled down: a server of few workers becomes five times slower for a
//! while. First the lab runs it under virtual time, then as many clients call through the real layers
//! over loopback, with the same dice: when calls begin, how long work takes, how long retries wait.
//! What is left between the two is what the model leaves out.

mod callers;
mod compare;
mod lane;
mod picture;
mod server;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use aplomb_core::time;
use clap::Args;

use crate::out;
use crate::trouble::Trouble;
use compare::Comparison;
use lane::Lane;

/// What to run.
#[derive(Args, Clone, Debug)]
pub(crate) struct Storm {
    /// How many clients call; each of them a call in ten seconds.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(200..=5_000))]
    clients: u32,
    /// For how long; the fault lasts from the tenth second to the twentieth.
    #[arg(long, default_value_t = 75, value_parser = clap::value_parser!(u32).range(30..=300))]
    seconds: u32,
    /// The dice of both.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Where the picture goes.
    #[arg(long, value_name = "FILE", default_value = "storm.html")]
    report: PathBuf,
    /// Exit 1 when prediction and sockets are further apart than this anywhere.
    #[arg(long, value_name = "PERCENT")]
    within: Option<f64>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs it; whether prediction and sockets are as close as they were asked to be.
pub(crate) async fn run(storm: &Storm) -> Result<bool, Trouble> {
    let lanes = lane::all(storm.clients, storm.seconds, storm.seed)?;
    if !storm.json {
        let Storm { clients, seconds, .. } = storm;
        out::line(format!("{clients} clients, {seconds} s under virtual time …"));
    }
    let predicted: Vec<_> = lanes.iter().map(Lane::predict).collect();
    if !storm.json {
        out::line("… and now over real sockets");
    }
    // Everything stands before the first call begins.
    let start = time::now() + Duration::from_secs(1);
    let mut running = Vec::new();
    for lane in &lanes {
        let url = server::start(lane, start).await?;
        running.push(callers::start(lane, &url, start));
    }
    let mut measured = Vec::new();
    for lane in running {
        measured.push(lane.finish().await);
    }
    let compared: Vec<Comparison> = lanes
        .iter()
        .zip(predicted.into_iter().zip(measured))
        .map(|(lane, (predicted, measured))| Comparison::of(lane, predicted, measured))
        .collect();
    let page = picture::page(storm.clients, &compared);
    fs::write(&storm.report, page).map_err(|error| {
        Trouble::new(format!("cannot write {}: {error}", storm.report.display()))
    })?;
    if storm.json {
        out::line(compare::json(&compared));
    } else {
        out::line(compare::table(&compared));
        out::line(format!("the picture: {}", storm.report.display()));
    }
    let worst = compare::worst(&compared);
    Ok(storm.within.is_none_or(|within| worst <= within))
}
