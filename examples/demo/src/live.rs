//! The demo itself: start, tell, serve.

use std::path::Path;
use std::time::Duration;

use aplomb_inventory_service::Keys;
use aplomb_order_api::Policies;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::lanes::{Lanes, Traffic};
use crate::ledger::Ledger;
use crate::page::{Counted, Desk, Looker, Scene};
use crate::paint::Paint;
use crate::place::{Ground, Records, Rows};
use crate::services::{Plan, Services};
use crate::shutdown::Shutdown;
use crate::trouble::Trouble;
use crate::{fresh_name, out, story};

/// Starts the services, tells the story, and serves until it is asked to stop; with `traffic`, orders
/// flow meanwhile.
pub(crate) async fn run(
    port: u16,
    data: &Path,
    traffic: bool,
    policies: Policies,
) -> Result<(), Trouble> {
    let (rows, records) = (Rows::Data, Records::At(Keys::Database));
    let ground = Ground::prepare(rows, records, data).await?;
    let run = fresh_name();
    let desk = Desk::new(&run);
    let beside = desk.router();
    let plan = Plan { port, data, seed: None, ground: &ground, beside, policies };
    let services = Services::start(plan).await?;
    let (paint, shutdown) = (Paint::for_stdout(), Shutdown::listen()?);
    if port == 0 {
        // For whoever started us: the one line that says where everything is.
        let Services { orders, inventory, warehouse, .. } = &services;
        out::line(json!({
            "dashboard": orders, "orders": orders, "inventory": inventory, "warehouse": warehouse,
        }));
    }
    let lanes = Lanes::new(&services.orders, &services.inventory);
    let traffic = Traffic::new(lanes, run, if traffic { RATE } else { 0 });
    let told = tokio::select! {
        told = show(&services, &ground, data, paint, &desk, traffic) => told,
        () = shutdown.asked() => Ok(()),
    };
    out::line("");
    out::line("stopping");
    desk.close().await;
    services.stop().await?;
    told
}

async fn show(
    services: &Services,
    ground: &Ground,
    data: &Path,
    paint: Paint,
    desk: &Desk,
    traffic: Traffic,
) -> Result<(), Trouble> {
    out::line(paint.strong("aplomb demo"));
    out::line(format!("  {:<9} {}", "dashboard", paint.strong(&services.orders)));
    out::line(format!("  {:<9} {}", "orders", services.orders));
    out::line(format!("  {:<9} {}", "inventory", services.inventory));
    out::line(format!("  {:<9} {}", "warehouse", services.warehouse));
    out::line(format!("  {:<9} {}", "data", data.display()));
    // Before anyone else orders: the one answer that it loses would be somebody else's.
    story::tell(services, paint).await?;
    services.client.stock("mug", 100).await?;
    out::line(format!("  try       {}", paint.faint(&example(services))));
    out::line(format!("  stop      {}", paint.faint("Ctrl-C")));
    out::line("");
    let Services { client, api, timeline, .. } = services;
    let scene = Scene::new(
        client.clone(),
        api.clone(),
        timeline.clone(),
        traffic.clone(),
        services.restarter(),
    );
    desk.open(scene.clone());
    let (said, says) = watch::channel(String::new());
    let counted = Counted::default();
    let looker = Looker::new(scene.clone(), counted.clone());
    let ledger = Ledger::open(ground).await?;
    tokio::select! {
        () = counted.count(&scene) => {}
        () = counted.judge(ledger) => {}
        () = scene.keep_stocked() => {}
        () = traffic.run(SEED) => {}
        () = looker.publish(desk.feed.clone(), said) => {}
        () = report(says, paint) => {}
    }
    Ok(())
}

/// Says once a second how things stand, for ever.
async fn report(says: watch::Receiver<String>, paint: Paint) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        let line = says.borrow().clone();
        if line.is_empty() {
            continue;
        }
        if paint.is_on() {
            // Over the line before.
            out::text(format!("\r\u{1b}[2K{}", paint.faint(&line)));
        } else {
            out::line(&line);
        }
    }
}

fn example(services: &Services) -> String {
    format!(
        "curl -i {}/orders -H 'Idempotency-Key: \"my-first\"' -d '{{\"customer\":\"me\",\"lines\":[{{\"sku\":\"mug\",\"quantity\":1}}]}}'",
        services.orders
    )
}

/// Orders a second in each lane: enough for lively charts, little enough for any laptop.
const RATE: u32 = 8;
/// The same orders in every run.
const SEED: u64 = 7;
