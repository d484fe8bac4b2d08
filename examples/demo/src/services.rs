//! The services in this process, on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{Dice, Rng};
use aplomb_inventory_service::{Tokens, serve};
use aplomb_order_api::{FulfilmentConfig, OrderApi, Policies};
use aplomb_warehouse::Warehouse;
use axum::Router;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};

use crate::client::{Client, Sites};
use crate::place::Ground;
use crate::stand::{Restarter, Stand};
use crate::timeline::Timeline;
use crate::trouble::Trouble;

/// The services, running.
pub(crate) struct Services {
    pub(crate) orders: String,
    pub(crate) inventory: String,
    pub(crate) warehouse: String,
    pub(crate) api: OrderApi,
    pub(crate) timeline: Timeline,
    pub(crate) client: Client,
    stop_orders: watch::Sender<bool>,
    order_task: JoinHandle<()>,
    worker_task: JoinHandle<()>,
    stop_warehouse: watch::Sender<bool>,
    warehouse_task: JoinHandle<()>,
    stock: Stand,
}

/// How the services are started.
pub(crate) struct Plan<'a> {
    /// The Order API's port; Inventory has the next one, the Warehouse the one after. 0 takes any.
    pub(crate) port: u16,
    pub(crate) data: &'a Path,
    pub(crate) seed: Option<u64>,
    pub(crate) ground: &'a Ground,
    /// What the Order API serves beside its own routes.
    pub(crate) beside: Router,
    /// What everything may cost that is asked of others.
    pub(crate) policies: Policies,
}

impl Services {
    /// Starts all. Ports are taken first: when one is not to be had, nothing has been written.
    pub(crate) async fn start(plan: Plan<'_>) -> Result<Self, Trouble> {
        let order_listener = listen(plan.port).await?;
        let inventory_listener = listen(next(plan.port)).await?;
        let warehouse_listener = listen(next(next(plan.port))).await?;
        let (orders, inventory) = (url(&order_listener)?, url(&inventory_listener)?);
        let warehouse = url(&warehouse_listener)?;
        let timeline = Timeline::default();
        let stock = Stand::open(inventory_config(&plan)?, inventory_listener).await?;
        let [at_orders, at_inventory] = [&orders, &inventory].map(|url| Sites::one(url));
        let client = Client::new(at_orders, at_inventory, Sites::one(&warehouse));
        let shipper = open_warehouse(&plan).await?;
        let (stop_warehouse, warehouse_stopped) = watch::channel(false);
        let serve_warehouse = shipper.serve(warehouse_listener, stopped(warehouse_stopped));
        let to = To { inventory: &inventory, warehouse: &warehouse };
        let api = open_orders(&plan, to, &timeline).await?;
        let (stop_orders, orders_stopped) = watch::channel(false);
        let (worker, worker_stopped) =
            (api.worker("worker").lease(TASK_LEASE), stopped(stop_orders.subscribe()));
        let serve_orders = api.clone().serve(order_listener, stopped(orders_stopped));
        Ok(Self {
            client,
            orders,
            inventory,
            warehouse,
            api,
            timeline,
            stop_orders,
            order_task: tokio::spawn(serve_orders),
            worker_task: tokio::spawn(async move { worker.run(worker_stopped).await }),
            stop_warehouse,
            warehouse_task: tokio::spawn(serve_warehouse),
            stock,
        })
    }

    /// Restarts Inventory.
    pub(crate) fn restarter(&self) -> Restarter {
        self.stock.restarter()
    }

    /// Stops all: first what calls, then what is called.
    pub(crate) async fn stop(self) -> Result<(), Trouble> {
        // The database is closed when nobody holds it any more.
        drop(self.api);
        self.stop_orders.send_replace(true);
        self.worker_task.await.map_err(died)?;
        self.order_task.await.map_err(died)?;
        self.stop_warehouse.send_replace(true);
        self.warehouse_task.await.map_err(died)?;
        self.stock.stop().await
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn died(error: JoinError) -> Trouble {
    Trouble::new(format!("a service died: {error}"))
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

fn inventory_config(plan: &Plan<'_>) -> Result<aplomb_inventory_service::Config, Trouble> {
    let tokens = Tokens::configured(None, true)?;
    let mut config = aplomb_inventory_service::Config::new(plan.data, tokens);
    config.place = plan.ground.inventory.clone();
    config.keys = plan.ground.keys.clone();
    config.chaos_seed = plan.seed;
    // The naive lane needs it.
    config.legacy = true;
    config.limits.notice = Duration::ZERO;
    Ok(config)
}

async fn open_warehouse(plan: &Plan<'_>) -> Result<Warehouse, Trouble> {
    let mut config = aplomb_warehouse::Config::new(plan.data);
    config.place = plan.ground.warehouse.clone();
    config.chaos_seed = plan.seed;
    config.limits.notice = Duration::ZERO;
    Ok(Warehouse::open(config).await?)
}

/// Where the Order API's calls go.
#[derive(Clone, Copy)]
struct To<'a> {
    inventory: &'a str,
    warehouse: &'a str,
}

async fn open_orders(
    plan: &Plan<'_>,
    to: To<'_>,
    timeline: &Timeline,
) -> Result<OrderApi, Trouble> {
    let mut config = aplomb_order_api::Config::new(plan.data, uri(to.inventory)?);
    config.place = plan.ground.orders.clone();
    config.beside = plan.beside.clone();
    config.policies = plan.policies.clone();
    let mut fulfilment = FulfilmentConfig::new(uri(to.warehouse)?);
    fulfilment.analytics = Some(uri(to.warehouse)?);
    // Somebody watches: minutes become seconds.
    fulfilment.haste = HASTE;
    config.fulfilment = fulfilment;
    if let Some(seed) = plan.seed {
        // Inventory's faults are rolled with the seed itself.
        config.dice = Dice::seeded(Rng::stream(seed, ORDERS_STREAM).bits());
    }
    config.journal = Arc::new(timeline.clone());
    config.limits.notice = Duration::ZERO;
    Ok(OrderApi::open(config, HttpConnector::new()).await?)
}

fn uri(url: &str) -> Result<Uri, Trouble> {
    url.parse().map_err(|error| Trouble::new(format!("{url} is no URL: {error}")))
}

async fn stopped(mut told: watch::Receiver<bool>) {
    // When nobody is left to tell, it is time to stop as well.
    let _ = told.wait_for(|stop| *stop).await;
}

/// For how long a task is its worker's own: longer than a round and the look after it, and short for
/// whoever waits for a task that was lost.
pub(crate) const TASK_LEASE: Duration = Duration::from_secs(5);
const ORDERS_STREAM: u64 = 100;
/// A minute passes in 400 ms.
pub(crate) const HASTE: NonZeroU32 = NonZeroU32::new(150).expect("it is not zero");
