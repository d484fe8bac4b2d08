//! The demo itself: start, tell, serve.

use std::path::Path;
use std::time::Duration;

use aplomb_inventory_service::Keys;
use serde_json::json;
use tokio::time::MissedTickBehavior;

use crate::paint::Paint;
use crate::place::{Ground, Records, Rows};
use crate::services::{Plan, Services};
use crate::shutdown::Shutdown;
use crate::trouble::Trouble;
use crate::{out, story};

/// Starts both services, tells the story, and serves until it is asked to stop.
pub(crate) async fn run(port: u16, data: &Path) -> Result<(), Trouble> {
    let (rows, records) = (Rows::Data, Records::At(Keys::Database));
    let ground = Ground::prepare(rows, records, data).await?;
    let plan = Plan { port, data, seed: None, ground: &ground, inventories: 0 };
    let services = Services::start(plan).await?;
    let (paint, shutdown) = (Paint::for_stdout(), Shutdown::listen()?);
    if port == 0 {
        // For whoever started us: the one line that says where everything is.
        let Services { orders, inventory, warehouse, .. } = &services;
        out::line(json!({"orders": orders, "inventory": inventory, "warehouse": warehouse}));
    }
    let told = tokio::select! {
        told = show(&services, data, paint) => told,
        () = shutdown.asked() => Ok(()),
    };
    out::line("");
    out::line("stopping");
    services.stop().await?;
    told
}

async fn show(services: &Services, data: &Path, paint: Paint) -> Result<(), Trouble> {
    out::line(paint.strong("aplomb demo"));
    out::line(format!("  {:<9} {}", "orders", services.orders));
    out::line(format!("  {:<9} {}", "inventory", services.inventory));
    out::line(format!("  {:<9} {}", "warehouse", services.warehouse));
    out::line(format!("  {:<9} {}", "data", data.display()));
    story::tell(services, paint).await?;
    services.client.stock("mug", 100).await?;
    out::line(format!("  try       {}", paint.faint(&example(services))));
    out::line(format!("  stop      {}", paint.faint("Ctrl-C")));
    out::line("");
    report(services, paint).await
}

/// Says once a second how things stand.
async fn report(services: &Services, paint: Paint) -> Result<(), Trouble> {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        let line = status(services).await?;
        if paint.is_on() {
            // Over the line before.
            out::text(format!("\r\u{1b}[2K{}", paint.faint(&line)));
        } else {
            out::line(&line);
        }
    }
}

async fn status(services: &Services) -> Result<String, Trouble> {
    let tally = services.api.tally().await;
    let tally =
        tally.map_err(|error| Trouble::new(format!("the orders cannot be counted: {error}")))?;
    let timeline = &services.timeline;
    Ok(format!(
        "orders: {} confirmed, {} rejected, {} open · to inventory: {} sends, {} unanswered, {} replays",
        tally.confirmed,
        tally.rejected,
        tally.open,
        timeline.sends(),
        timeline.unanswered(),
        timeline.replays(),
    ))
}

fn example(services: &Services) -> String {
    format!(
        "curl -i {}/orders -H 'Idempotency-Key: \"my-first\"' -d '{{\"customer\":\"me\",\"lines\":[{{\"sku\":\"mug\",\"quantity\":1}}]}}'",
        services.orders
    )
}
