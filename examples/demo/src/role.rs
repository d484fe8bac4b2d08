//! One service alone, for several processes.

use std::env::VarError;
use std::path::Path;
use std::time::Duration;

use aplomb_inventory_service::{Inventory, Tokens, serve};
use aplomb_order_api::OrderApi;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tokio::net::TcpListener;

use crate::cli::{Role, Serve};
use crate::out;
use crate::services::url;
use crate::shutdown::Shutdown;
use crate::trouble::Trouble;

/// Serves one role until it is asked to stop. Its first line on stdout is JSON with its own URL.
pub(crate) async fn run(command: &Serve, data: &Path) -> Result<(), Trouble> {
    match command.role {
        Role::Inventory => inventory(command, data).await,
        Role::Orders => orders(command, data).await,
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
    config.lease = Duration::from_millis(command.lease_ms);
    #[cfg(unix)]
    if command.obey_torture {
        config.points = crate::torture::obey();
    }
    let inventory = Inventory::open(config).await?;
    let shutdown = Shutdown::listen()?;
    announce("inventory", &listener)?;
    inventory.serve(listener, shutdown.asked()).await;
    Ok(())
}

async fn orders(command: &Serve, data: &Path) -> Result<(), Trouble> {
    let listen = command.listen;
    if !listen.ip().is_loopback() {
        return Err(Trouble::new(format!(
            "the Order API has no authentication and does not listen on {listen}; listen on 127.0.0.1 and put a proxy that authenticates before it"
        )));
    }
    let listener = serve::bind(listen).await?;
    let mut config = aplomb_order_api::Config::new(data, command.inventory_url.clone());
    if let Some(token) = setting("INVENTORY_TOKEN")? {
        config.token = token;
    }
    let orders = OrderApi::open(config, HttpConnector::new()).await?;
    let shutdown = Shutdown::listen()?;
    announce("orders", &listener)?;
    orders.serve(listener, shutdown.asked()).await;
    Ok(())
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
