//! Both services in one process, on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{Dice, Rng};
use aplomb_inventory_service::{Inventory, Tokens, serve};
use aplomb_order_api::OrderApi;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::timeline::Timeline;
use crate::trouble::Trouble;

/// The services, running.
pub(crate) struct Services {
    pub(crate) orders: String,
    pub(crate) inventory: String,
    pub(crate) api: OrderApi,
    pub(crate) timeline: Timeline,
    pub(crate) client: Client,
    stop_orders: watch::Sender<bool>,
    stop_inventory: watch::Sender<bool>,
    order_task: JoinHandle<()>,
    inventory_task: JoinHandle<()>,
}

impl Services {
    /// Starts both. Ports are taken first: when one is not to be had, nothing has been written.
    pub(crate) async fn start(port: u16, data: &Path, seed: Option<u64>) -> Result<Self, Trouble> {
        let order_listener = listen(port).await?;
        let inventory_listener = listen(next(port)).await?;
        let (orders, inventory) = (url(&order_listener)?, url(&inventory_listener)?);
        let timeline = Timeline::default();
        let stock = open_inventory(data, seed).await?;
        let api = open_orders(data, &inventory, seed, &timeline).await?;
        let (stop_orders, orders_stopped) = watch::channel(false);
        let (stop_inventory, inventory_stopped) = watch::channel(false);
        let serve_stock = stock.serve(inventory_listener, stopped(inventory_stopped));
        let serve_orders = api.clone().serve(order_listener, stopped(orders_stopped));
        Ok(Self {
            client: Client::new(&orders, &inventory),
            orders,
            inventory,
            api,
            timeline,
            stop_orders,
            stop_inventory,
            inventory_task: tokio::spawn(serve_stock),
            order_task: tokio::spawn(serve_orders),
        })
    }

    /// Stops both: first what calls, then what is called.
    pub(crate) async fn stop(self) -> Result<(), Trouble> {
        let died = |error| Trouble::new(format!("a service died: {error}"));
        // The database is closed when nobody holds it any more.
        drop(self.api);
        self.stop_orders.send_replace(true);
        self.order_task.await.map_err(died)?;
        self.stop_inventory.send_replace(true);
        self.inventory_task.await.map_err(died)
    }
}

async fn listen(port: u16) -> Result<TcpListener, Trouble> {
    Ok(serve::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?)
}

/// Inventory's port: the next one, or any when any will do.
fn next(port: u16) -> u16 {
    match port {
        0 => 0,
        port => port.saturating_add(1),
    }
}

/// Where a listener can be reached.
pub(crate) fn url(listener: &TcpListener) -> Result<String, Trouble> {
    let address = listener
        .local_addr()
        .map_err(|error| Trouble::new(format!("the socket has no address: {error}")))?;
    Ok(format!("http://{address}"))
}

async fn open_inventory(data: &Path, seed: Option<u64>) -> Result<Inventory, Trouble> {
    let tokens = Tokens::configured(None, true)?;
    let mut config = aplomb_inventory_service::Config::new(data, tokens);
    config.chaos_seed = seed;
    config.limits.notice = Duration::ZERO;
    Ok(Inventory::open(config).await?)
}

async fn open_orders(
    data: &Path,
    inventory: &str,
    seed: Option<u64>,
    timeline: &Timeline,
) -> Result<OrderApi, Trouble> {
    let inventory = inventory
        .parse()
        .map_err(|error| Trouble::new(format!("{inventory} is no URL: {error}")))?;
    let mut config = aplomb_order_api::Config::new(data, inventory);
    if let Some(seed) = seed {
        // Inventory's faults are rolled with the seed itself.
        config.dice = Dice::seeded(Rng::stream(seed, ORDERS_STREAM).bits());
    }
    config.journal = Arc::new(timeline.clone());
    config.limits.notice = Duration::ZERO;
    Ok(OrderApi::open(config, HttpConnector::new()).await?)
}

async fn stopped(mut told: watch::Receiver<bool>) {
    // When nobody is left to tell, it is time to stop as well.
    let _ = told.wait_for(|stop| *stop).await;
}

const ORDERS_STREAM: u64 = 100;
