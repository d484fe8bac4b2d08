//! One service alone, for several processes.

use std::env::VarError;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use aplomb_core::{Dice, Rng};
use aplomb_inventory_service::{Inventory, Place, Tokens, serve};
use aplomb_order_api::{FulfilmentConfig, OrderApi, Policies, Worker, WorkerConfig};
use aplomb_warehouse::Warehouse;
use axum::Router;
use axum::routing::get;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tokio::net::TcpListener;

use crate::cli::{Role, Serve};
use crate::out;
use crate::services::{HASTE, url};
use crate::shutdown::Shutdown;
use crate::trouble::Trouble;

/// Serves one role until it is asked to stop. Its first line on stdout is JSON with its own URL.
pub(crate) async fn run(command: &Serve, data: &Path, policies: Policies) -> Result<(), Trouble> {
    match command.role {
        Role::Inventory => inventory(command, data).await,
        Role::Orders => orders(command, data, policies).await,
        Role::Warehouse => warehouse(command, data).await,
        Role::Worker => worker(command, data, policies).await,
    }
}

async fn inventory(command: &Serve, data: &Path) -> Result<(), Trouble> {
    let listen = command.listen;
    let setting = setting("INVENTORY_TOKENS")?;
    let tokens = Tokens::configured(setting.as_deref(), listen.ip().is_loopback())?;
    let listener = serve::bind(listen).await?;
    let mut config = aplomb_inventory_service::Config::new(data, tokens);
    if let Some(place) = &command.database {
        config.place = place.clone();
    }
    config.keys = command.idempotency_store.clone();
    config.lease = command.lease().unwrap_or(config.lease);
    config.legacy = command.legacy;
    config.chaos_seed = command.seed;
    config.limits.notice = command.notice();
    #[cfg(unix)]
    if command.obey_torture {
        config.points = crate::torture::obey();
    }
    let inventory = Inventory::open(config).await?;
    let shutdown = command.shutdown()?;
    announce("inventory", &listener)?;
    inventory.serve(listener, shutdown.asked()).await;
    Ok(())
}

async fn orders(command: &Serve, data: &Path, policies: Policies) -> Result<(), Trouble> {
    let listen = near("the Order API", command.listen)?;
    let listener = serve::bind(listen).await?;
    let mut config = aplomb_order_api::Config::new(data, command.inventory_url.clone());
    if let Some(token) = setting("INVENTORY_TOKEN")? {
        config.token = token;
    }
    if let Some(place) = &command.database {
        config.place = place.clone();
    }
    config.fulfilment = fulfilment(command);
    config.policies = policies;
    config.fulfilment.analytics = Some(command.warehouse_url.clone());
    config.lease = command.lease().unwrap_or(config.lease);
    config.dice = command.dice();
    config.limits.notice = command.notice();
    let orders = OrderApi::open(config, HttpConnector::new()).await?;
    let shutdown = command.shutdown()?;
    announce("orders", &listener)?;
    orders.serve(listener, shutdown.asked()).await;
    Ok(())
}

async fn warehouse(command: &Serve, data: &Path) -> Result<(), Trouble> {
    let listener = serve::bind(near("the Warehouse", command.listen)?).await?;
    let mut config = aplomb_warehouse::Config::new(data);
    if let Some(place) = &command.database {
        config.place = place.clone();
    }
    config.chaos_seed = command.seed;
    config.limits.notice = command.notice();
    let warehouse = Warehouse::open(config).await?;
    let shutdown = command.shutdown()?;
    announce("warehouse", &listener)?;
    warehouse.serve(listener, shutdown.asked()).await;
    Ok(())
}

/// Its address answers `/healthz`.
async fn worker(command: &Serve, data: &Path, policies: Policies) -> Result<(), Trouble> {
    let listener = serve::bind(near("the worker", command.listen)?).await?;
    let place = command.database.clone();
    let place = place.unwrap_or_else(|| Place::File(data.join(aplomb_order_api::DATABASE)));
    let mut config = WorkerConfig::new(place, fulfilment(command));
    config.policies = policies;
    config.lease = command.lease();
    config.dice = command.dice();
    let worker = Worker::open(config, HttpConnector::new()).await?;
    let shutdown = command.shutdown()?;
    announce("worker", &listener)?;
    let health = Router::new().route("/healthz", get(|| async { "alive" }));
    let answering = tokio::spawn(async move { axum::serve(listener, health).await });
    worker.run(shutdown.asked()).await;
    answering.abort();
    worker.close().await;
    Ok(())
}

fn fulfilment(command: &Serve) -> FulfilmentConfig {
    let mut config = FulfilmentConfig::new(command.warehouse_url.clone());
    if command.hurry {
        config.haste = HASTE;
    }
    config
}

impl Serve {
    fn shutdown(&self) -> Result<Shutdown, Trouble> {
        if self.with_parent { Shutdown::with_parent() } else { Shutdown::listen() }
    }

    fn lease(&self) -> Option<Duration> {
        self.lease_ms.map(Duration::from_millis)
    }

    fn notice(&self) -> Duration {
        Duration::from_millis(self.notice_ms)
    }

    /// Each process rolls its own, or all of them would wait for equally long.
    fn dice(&self) -> Dice {
        let own = |seed| Rng::stream(seed, std::process::id().into()).bits();
        self.seed.map_or_else(Dice::from_entropy, |seed| Dice::seeded(own(seed)))
    }
}

/// Services without authentication are for this machine alone.
fn near(who: &str, listen: SocketAddr) -> Result<SocketAddr, Trouble> {
    if listen.ip().is_loopback() {
        return Ok(listen);
    }
    Err(Trouble::new(format!(
        "{who} has no authentication and does not listen on {listen}; listen on 127.0.0.1 and put a proxy that authenticates before it"
    )))
}

fn announce(role: &str, listener: &TcpListener) -> Result<(), Trouble> {
    out::line(json!({ role: url(listener)? }));
    Ok(())
}

/// A setting from the environment. One that cannot be read is refused: to go on without it would be
/// to go on with the demo's tokens.
fn setting(name: &str) -> Result<Option<String>, Trouble> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Trouble::new(format!(
            "{name} in the environment is not valid UTF-8; set it again or unset it"
        ))),
    }
}
